"""The arrangements the papers compare, against stock blocks on reshaped tokens; who trains; how streams agree."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from diffusers import WanTransformer3DModel
from einops import rearrange, repeat
from tiny_generator import only_trainable
from torch import Tensor

from fourreal.video.arrangements import TRAINING_FREE
from fourreal.video.presets import tiny
from fourreal.video.sync import AverageSync, BlendSync, HardSync, SoftSync
from fourreal.video.trainable import trainable_parameters
from fourreal.video.transformer import ViewTimeTransformer

V, T, SIZE = 3, 2, 4
LAYERS = 3


def build(arrangement: str, **changes: object) -> ViewTimeTransformer:
    torch.manual_seed(0)
    return ViewTimeTransformer.tiny(arrangement=arrangement, num_layers=LAYERS, **changes).eval()


def stock_like(model: ViewTimeTransformer) -> WanTransformer3DModel:
    stock = WanTransformer3DModel(**(tiny() | {"num_layers": LAYERS})).eval()
    stock.load_state_dict({k: v for k, v in model.state_dict().items() if k in stock.state_dict()})
    return stock


def batch() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return draw(2, V, 16, T, SIZE, SIZE), torch.tensor([900.0, 250.0]), draw(2, 5, 32), draw(2, 4, 32)


class ByAxis:
    """Stock blocks run on every row, or every column, as if it were a video of its own."""

    def __init__(self, stock: WanTransformer3DModel) -> None:
        self.stock = stock
        self.latents, timestep, text, freeze_text = batch()
        embed = stock.condition_embedder
        self.time, modulation, self.text, _ = embed(timestep, text)
        self.freeze_text = embed.text_embedder(freeze_text)
        self.modulation = modulation.unflatten(1, (6, -1))

    def tokens(self) -> Tensor:
        patches = self.stock.patch_embedding(rearrange(self.latents, "b v c t h w -> (b v) c t h w"))
        return rearrange(patches, "(b v) d t h w -> b v t (h w) d", v=V)

    def across_times(self, layer: int, tokens: Tensor) -> Tensor:
        rows = rearrange(tokens, "b v t s d -> (b v) (t s) d")
        rotary = self.stock.rope(torch.empty(1, 16, T, SIZE, SIZE))
        text, time = (repeat(x, "b ... -> (b v) ...", v=V) for x in (self.text, self.modulation))
        return rearrange(self.stock.blocks[layer](rows, text, time, rotary), "(b v) (t s) d -> b v t s d", v=V, t=T)

    def across_views(self, layer: int, tokens: Tensor) -> Tensor:
        columns = rearrange(tokens, "b v t s d -> (b t) (v s) d")
        rotary = self.stock.rope(torch.empty(1, 16, V, SIZE, SIZE))
        text, time = (repeat(x, "b ... -> (b t) ...", t=T) for x in (self.freeze_text, self.modulation))
        return rearrange(self.stock.blocks[layer](columns, text, time, rotary), "(b t) (v s) d -> b v t s d", v=V, t=T)

    def output(self, tokens: Tensor) -> Tensor:
        shift, scale = (self.stock.scale_shift_table + self.time[:, None]).chunk(2, dim=1)
        tokens = rearrange(tokens, "b v t s d -> b (v t s) d")
        patches = self.stock.proj_out(self.stock.norm_out(tokens) * (1 + scale) + shift)
        sizes = {"v": V, "t": T, "h": SIZE // 2, "p": 2, "q": 2}
        return rearrange(patches, "b (v t h w) (p q c) -> b v c t (h p) (w q)", **sizes)


def twice(axis: ByAxis) -> Tensor:
    x = axis.tokens()
    for layer in range(LAYERS):
        x = axis.across_times(layer, axis.across_views(layer, x))
    return x


def alternate(axis: ByAxis) -> Tensor:
    return axis.across_times(2, axis.across_views(1, axis.across_times(0, axis.tokens())))


def rows_alone(axis: ByAxis) -> Tensor:
    x = axis.tokens()
    for layer in range(LAYERS):
        x = axis.across_times(layer, x)
    return x


def averaged(axis: ByAxis) -> Tensor:
    x = axis.tokens()
    for layer in range(LAYERS):
        x = (axis.across_views(layer, x) + axis.across_times(layer, x)) / 2
    return x


def blended(axis: ByAxis) -> Tensor:
    xv = xt = axis.tokens()
    for layer in range(LAYERS):
        w = 0.1 + layer / LAYERS * 0.4
        yv, yt = axis.across_views(layer, xv), axis.across_times(layer, xt)
        xv, xt = (1 - w) * yv + w * yt, (1 - w) * yt + w * yv
    return (xv + xt) / 2


def strangers(axis: ByAxis) -> Tensor:
    xv = xt = axis.tokens()
    for layer in range(LAYERS):
        xv, xt = axis.across_views(layer, xv), axis.across_times(layer, xt)
    return (xv + xt) / 2


@pytest.mark.parametrize(
    ("arrangement", "written_out"),
    [
        ("sequential_twice", twice),
        ("sequential_alternate", alternate),
        ("sequential_added", rows_alone),
        ("parallel_average", averaged),
        ("parallel_blend", blended),
        ("parallel_hard", averaged),
        ("parallel_soft", strangers),
    ],
)
def test_each_fresh_arrangement_is_stock_blocks_in_its_order(
    arrangement: str, written_out: Callable[[ByAxis], Tensor]
) -> None:
    model = build(arrangement)
    axis = ByAxis(stock_like(model))
    latents, timestep, text, freeze_text = batch()
    with torch.no_grad():
        expected = axis.output(written_out(axis))
        torch.testing.assert_close(model(latents, timestep, text, freeze_text=freeze_text), expected, rtol=0, atol=1e-5)


def test_hard_sync_is_the_weighted_sum_of_equation_8() -> None:
    sync = HardSync(4).double()
    torch.nn.init.normal_(sync.from_views.weight)
    torch.nn.init.normal_(sync.from_times.weight)
    yv, yt, scale = torch.randn(2, 5, 4).double(), torch.randn(2, 5, 4).double(), torch.randn(2, 1, 2, 4).double()
    xv, xt = sync(yv, yt, scale)
    expected = torch.einsum("ij,blj->bli", sync.from_views.weight, yv) * (1 + scale[:, :, 0])
    expected = expected + torch.einsum("ij,blj->bli", sync.from_times.weight, yt) * (1 + scale[:, :, 1])
    torch.testing.assert_close(xv, expected)
    assert torch.equal(xv, xt)


def test_soft_sync_moves_each_stream_by_its_own_half_of_one_linear_map() -> None:
    sync = SoftSync(4).double()
    torch.nn.init.normal_(sync.updates.weight)
    torch.nn.init.normal_(sync.updates.bias)
    yv, yt, scale = torch.randn(2, 5, 4).double(), torch.randn(2, 5, 4).double(), torch.randn(2, 1, 2, 4).double()
    xv, xt = sync(yv, yt, scale)
    delta = torch.cat([yv, yt], -1) @ sync.updates.weight.T + sync.updates.bias
    torch.testing.assert_close(xv, yv + delta[..., :4] * (1 + scale[:, :, 0]))
    torch.testing.assert_close(xt, yt + delta[..., 4:] * (1 + scale[:, :, 1]))


@pytest.mark.parametrize("kind", ["parallel_hard", "parallel_soft"])
def test_trained_sync_layers_depend_on_the_diffusion_time(kind: str) -> None:
    model = build(kind)
    for parameter in model.synchronisation.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    embedding = torch.randn(1, 48)
    early, late = model.synchronisation.scale(embedding), model.synchronisation.scale(-embedding)
    yv, yt = torch.randn(1, 5, 48), torch.randn(1, 5, 48)
    layer = model.synchronisation.layers[0]
    assert not torch.allclose(layer(yv, yt, early)[0], layer(yv, yt, late)[0], atol=1e-3)


TRAINED = {
    "fused": ".attn1.",
    "sequential_twice": ".attn1.",
    "sequential_alternate": ".attn1.",
    "sequential_added": "cross_view.",
    "parallel_hard": "synchronisation.",
    "parallel_soft": "synchronisation.",
}


@pytest.mark.parametrize("arrangement", TRAINED)
def test_gradients_reach_what_the_papers_train_and_nothing_else(arrangement: str) -> None:
    model = build(arrangement)
    # Away from the zeros that new layers start with, behind which gradients are zero for one step.
    for parameter in trainable_parameters(model).values():
        with torch.no_grad():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    only_trainable(model)
    latents, timestep, text, freeze_text = batch()
    known = torch.zeros(2, V, T, dtype=torch.bool)
    known[:, 0] = True
    model(latents, timestep, text, latents, known, freeze_text=freeze_text).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == (TRAINED[arrangement] in name), name
        assert parameter.grad is None or parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("arrangement", ["sequential_added", "parallel_hard", "parallel_soft"])
def test_fresh_layers_learn_from_the_first_step(arrangement: str) -> None:
    model = build(arrangement)
    only_trainable(model)
    latents, timestep, text, _ = batch()
    model(latents, timestep, text).square().sum().backward()
    outputs = {
        "sequential_added": lambda i: (model.cross_view[i].attn.to_out[0], model.cross_view[i].ffn.net[2]),
        "parallel_hard": lambda i: (model.synchronisation.layers[i].from_views, model.synchronisation.time),
        "parallel_soft": lambda i: (model.synchronisation.layers[i].updates,),
    }[arrangement]
    for layer in range(LAYERS):
        assert all(module.weight.grad.abs().max() > 0 for module in outputs(layer))


@pytest.mark.parametrize("arrangement", TRAINING_FREE)
def test_training_free_arrangements_have_nothing_to_train(arrangement: str) -> None:
    assert not only_trainable(build(arrangement))


def test_a_base_model_of_ones_own_trains_whole() -> None:
    model = build("fused", context_tokens=True)
    assert len(only_trainable(model, "all")) == len(list(model.parameters()))


def test_context_tokens_follow_the_axis_of_each_pass() -> None:
    """Across views the freeze-time token is seen, across times the dynamic one: changing one changes that pass."""
    latents, timestep, text, _ = batch()
    for token, arrangement_sees in ((0, "across views"), (1, "across times")):
        model = build("parallel_soft", context_tokens=True)
        streams: list[Tensor] = []
        model.synchronisation.layers[0].register_forward_hook(lambda m, i, o: streams.extend(o))  # noqa: B023
        with torch.no_grad():
            model(latents, timestep, text)
            model.context_embedding.tokens[token] += 1
            model(latents, timestep, text)
        changed = [not torch.equal(streams[0], streams[2]), not torch.equal(streams[1], streams[3])]
        assert changed == [token == 0, token == 1], arrangement_sees


def test_sync_layers_without_training_have_no_parameters() -> None:
    for layer in (AverageSync(), BlendSync(0, 24)):
        assert not list(layer.parameters())
    assert [BlendSync(layer, 24).share for layer in (0, 12)] == pytest.approx([0.1, 0.3])
    for arrangement in TRAINING_FREE:
        assert trainable_parameters(build(arrangement)) == {}
        assert set(build(arrangement).state_dict()) == set(build("fused").state_dict())
