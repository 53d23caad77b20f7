"""The view-time transformer: parity with stock Wan, positions, and what diffusers' machinery still does with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel
from einops import rearrange
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.video.token_grid import TokenGrid
from fourreal.video.transformer import ViewTimeTransformer, check_choices
from fourreal.video.view_time_attention import view_time_mask

STOCK = {
    "num_attention_heads": 2,
    "attention_head_dim": 24,
    "text_dim": 32,
    "freq_dim": 32,
    "ffn_dim": 96,
    "num_layers": 2,
    "rope_max_seq_len": 256,
}


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> tuple[WanTransformer3DModel, Path]:
    torch.manual_seed(0)
    model = WanTransformer3DModel(**STOCK).eval()
    folder = tmp_path_factory.mktemp("stock")
    model.save_pretrained(folder)
    return model, folder


def inputs(views: int = 3, times: int = 2, size: int = 4, channels: int = 16) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(2, views, channels, times, size, size), torch.tensor([900.0, 250.0]), torch.randn(2, 5, 32)


class DenseMask:
    """Stock Wan's own processor, with a mask it never gets from the block."""

    def __init__(self, processor, grid: TokenGrid) -> None:
        self.processor, self.mask = processor, view_time_mask(grid)

    def __call__(self, attn, hidden_states, encoder_hidden_states, attention_mask, rotary_emb):
        return self.processor(attn, hidden_states, encoder_hidden_states, self.mask, rotary_emb)


def dense_reference(model: WanTransformer3DModel, latents: Tensor, timestep: Tensor, text: Tensor, t_max: int):
    """All views as one clip through stock blocks, a mask in every self-attention; view v starts at v t_max."""
    views, times = latents.shape[1], latents.shape[3]
    grid = TokenGrid(views, times, latents.shape[-1] * latents.shape[-2] // 4)
    # Stock positions along a clip of V t_max latents, of which each view keeps its first t.
    padded = torch.zeros(1, 16, views * t_max, *latents.shape[-2:])
    keep = (torch.arange(views)[:, None] * t_max + torch.arange(times)).flatten()
    tables = [rearrange(x, "1 (f s) 1 e -> 1 f s e", f=views * t_max)[:, keep] for x in model.rope(padded)]
    rotary = tuple(rearrange(x, "1 f s e -> 1 (f s) 1 e") for x in tables)
    tokens = model.patch_embedding(rearrange(latents, "b v c t h w -> b c (v t) h w")).flatten(2).transpose(1, 2)
    time, modulation, context, _ = model.condition_embedder(timestep, text)
    for block in model.blocks:
        block.attn1.processor = DenseMask(block.attn1.processor, grid)
        tokens = block(tokens, context, modulation.unflatten(1, (6, -1)), rotary)
        block.attn1.processor = block.attn1.processor.processor
    shift, scale = (model.scale_shift_table + time[:, None]).chunk(2, dim=1)
    tokens = model.proj_out(model.norm_out(tokens) * (1 + scale) + shift)
    sizes = {"v": views, "t": times, "h": latents.shape[-2] // 2, "p": 2, "q": 2}
    return rearrange(tokens, "b (v t h w) (p q c) -> b v c t (h p) (w q)", **sizes)


@pytest.mark.parametrize("arrangement", ["fused", "sequential_twice", "parallel_soft"])
def test_one_view_is_the_stock_model(stock, arrangement: str) -> None:
    model, folder = stock
    ours = ViewTimeTransformer.from_pretrained(folder, arrangement=arrangement).eval()
    latents, timestep, text = inputs(views=1, times=3)
    with torch.no_grad():
        expected = model(latents[:, 0], timestep, text, return_dict=False)[0]
        torch.testing.assert_close(ours(latents, timestep, text)[:, 0], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("attention", ["auto", "merged", "gather"])
def test_several_views_are_stock_blocks_under_a_dense_mask(stock, attention: str) -> None:
    model, folder = stock
    ours = ViewTimeTransformer.from_pretrained(folder, attention=attention).eval()
    latents, timestep, text = inputs()
    with torch.no_grad():
        expected = dense_reference(model, latents, timestep, text, t_max=21)
        torch.testing.assert_close(ours(latents, timestep, text), expected, rtol=0, atol=1e-5)


def test_fused_adds_no_parameter_and_renames_none(stock) -> None:
    model, _ = stock
    ours = ViewTimeTransformer.tiny()
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}
    assert sum(p.numel() for p in ours.parameters()) == 85_840


def test_gradients_of_merged_attention_equal_dense_ones_through_the_whole_model() -> None:
    latents, timestep, text = inputs()
    gradients = []
    for attention in ("dense", "merged"):
        torch.manual_seed(1)
        model = ViewTimeTransformer.tiny(attention=attention).double()
        out = model(latents.double(), timestep.double(), text.double())
        (out**2).sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    for dense, merged in zip(*gradients, strict=True):
        torch.testing.assert_close(merged, dense, rtol=1e-9, atol=1e-9)


def test_distant_cells_do_not_see_each_other() -> None:
    """One block mixes along rows and columns only; a change in cell (0, 0) must not reach (1, 1)."""
    model = ViewTimeTransformer.tiny(num_layers=1).eval()
    latents, timestep, text = inputs(views=2)
    changed = latents.clone()
    changed[:, 0, :, 0] += 1
    with torch.no_grad():
        moved = (model(changed, timestep, text) - model(latents, timestep, text)).abs().amax((0, 2, 4, 5))
    assert moved[1, 1] == 0
    assert (moved.flatten()[:3] > 1e-4).all()


@pytest.mark.parametrize("view_positions", ["stride", "sum", "learned"])
def test_view_positions_follow_the_paper(view_positions: str) -> None:
    model = ViewTimeTransformer.tiny(view_positions=view_positions, t_max=7)
    latents, _, _ = inputs(views=3, times=2)
    frames = {
        "stride": [0, 1, 7, 8, 14, 15],
        "sum": [0, 1, 1, 2, 2, 3],
        "learned": [0, 1, 0, 1, 0, 1],
    }[view_positions]
    cos, sin = model.rope(latents)
    width = model.rope.t_dim
    for table, full in ((cos, model.rope.freqs_cos), (sin, model.rope.freqs_sin)):
        by_frame = rearrange(table, "1 (f s) 1 e -> f s e", f=6)
        assert torch.equal(by_frame[:, 0, :width], full[frames, :width])
    # Along one axis a pretrained block sees a plain video.
    assert torch.equal(
        model.rope(latents, "across_times")[0][0, :12, 0, :width], cos[0, :12, 0, :width].repeat(1, 1)
    ) or (view_positions != "learned")


def test_a_fresh_view_embedding_changes_nothing_and_then_learns() -> None:
    torch.manual_seed(2)
    plain = ViewTimeTransformer.tiny(view_positions="learned")
    latents, timestep, text = inputs()
    before = plain(latents, timestep, text)
    assert torch.equal(plain.view_embedding(3), torch.zeros(3, 48))
    before.square().sum().backward()
    assert plain.view_embedding.out.weight.grad.abs().max() > 0
    with torch.no_grad():
        plain.view_embedding.out.weight.normal_()
    assert not torch.allclose(plain(latents, timestep, text)[:, 1:], before[:, 1:], atol=1e-4)


def test_references_reach_only_known_cells_and_absent_ones_add_nothing() -> None:
    model = ViewTimeTransformer.tiny(num_layers=1).eval()
    latents, timestep, text = inputs()
    references, nothing = torch.randn_like(latents), torch.zeros(2, 3, 2, dtype=torch.bool)
    cross = nothing.clone()
    cross[:, 0], cross[:, :, 0] = True, True
    with torch.no_grad():
        without = model(latents, timestep, text)
        assert torch.equal(model(latents, timestep, text, references, nothing), without)
        given = model(latents, timestep, text, references, cross)
        hidden = torch.where(cross[:, :, None, :, None, None], references, references + 5)
        assert torch.equal(model(latents, timestep, text, hidden, cross), given)
    assert not torch.allclose(given, without, atol=1e-3)


def test_time_per_frame_equal_to_one_time_for_all() -> None:
    model = ViewTimeTransformer.tiny().eval()
    latents, timestep, text = inputs()
    with torch.no_grad():
        one = model(latents, timestep, text)
        per_frame = model(latents, timestep[:, None, None].expand(2, 3, 2), text)
    torch.testing.assert_close(per_frame, one, rtol=0, atol=1e-5)


def test_context_tokens_tell_modes_apart_and_both_is_the_default() -> None:
    model = ViewTimeTransformer.tiny(context_tokens=True).eval()
    latents, timestep, text = inputs(views=1)
    with torch.no_grad():
        freeze = model(latents, timestep, text, mode="freeze_time")
        dynamic = model(latents, timestep, text, mode="dynamic")
        each = model(latents, timestep, text, mode=torch.tensor([0, 1]))
        both = model(latents, timestep, text)
    torch.testing.assert_close(each[0], freeze[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(each[1], dynamic[1], rtol=0, atol=1e-6)
    assert not torch.allclose(freeze, dynamic, atol=1e-4)
    assert not torch.allclose(both, dynamic, atol=1e-5)


@pytest.mark.parametrize("arrangement", ["fused", "sequential_twice", "parallel_hard", "parallel_soft"])
def test_gradient_checkpointing_changes_no_gradient(arrangement: str) -> None:
    latents, timestep, text = inputs()
    gradients = []
    for checkpointing in (False, True):
        torch.manual_seed(3)
        model = ViewTimeTransformer.tiny(arrangement=arrangement, attention="merged")
        if checkpointing:
            model.enable_gradient_checkpointing()
        model.train()(latents, timestep, text).square().sum().backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, plain, rtol=0, atol=0)


def test_checkpointing_survives_another_grid_between_forward_and_backward() -> None:
    torch.manual_seed(4)
    model = ViewTimeTransformer.tiny()
    model.enable_gradient_checkpointing()
    latents, timestep, text = inputs()
    loss = model(latents, timestep, text).square().sum()
    model(latents[:, :2], timestep, text)
    loss.backward()
    got = model.proj_out.weight.grad.clone()
    model.zero_grad()
    model.disable_gradient_checkpointing()
    model(latents, timestep, text).square().sum().backward()
    torch.testing.assert_close(got, model.proj_out.weight.grad, rtol=0, atol=0)


@pytest.mark.parametrize("arrangement", ["fused", "sequential_added", "parallel_hard", "parallel_soft"])
def test_saved_and_reloaded_is_identical(tmp_path: Path, arrangement: str) -> None:
    model = ViewTimeTransformer.tiny(arrangement=arrangement, t_max=9, rope_theta=30.0, attention="gather").eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(tmp_path / "model")
    again = ViewTimeTransformer.from_pretrained(tmp_path / "model").eval()
    assert again.config["t_max"] == 9
    assert again.config["arrangement"] == arrangement
    # Rotary tables built twice may differ in the last bit.
    with torch.no_grad():
        torch.testing.assert_close(again(*inputs_seeded()), model(*inputs_seeded()), rtol=0, atol=1e-6)


def inputs_seeded() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(5)
    return inputs()


@pytest.mark.parametrize("arrangement", ["sequential_added", "parallel_hard", "parallel_soft"])
def test_a_stock_folder_gets_new_layers_with_their_initial_values(stock, arrangement: str) -> None:
    model, folder = stock
    ours = ViewTimeTransformer.from_pretrained(folder, arrangement=arrangement, torch_dtype=torch.bfloat16)
    fresh = ViewTimeTransformer.tiny(arrangement=arrangement)
    assert not any(p.is_meta for p in ours.parameters())
    for name, parameter in ours.named_parameters():
        if name in model.state_dict():
            assert torch.equal(parameter.float(), model.state_dict()[name].to(parameter.dtype).float()), name
        elif "attn" not in name and "ffn.net.0" not in name and "cross_view" not in name:
            assert torch.equal(parameter.float(), fresh.state_dict()[name]), name
    assert ours.rope.freqs_cos.dtype == torch.float32


def test_bfloat16_stays_near_float32(stock) -> None:
    _, folder = stock
    latents, timestep, text = inputs()
    single = ViewTimeTransformer.from_pretrained(folder).eval()
    half = ViewTimeTransformer.from_pretrained(folder, torch_dtype=torch.bfloat16).eval()
    with torch.no_grad():
        expected = single(latents, timestep, text)
        got = half(latents.bfloat16(), timestep, text.bfloat16())
    assert got.dtype == torch.bfloat16
    assert (got.float() - expected).abs().max() < 0.05 * expected.abs().max()


def test_a_fresh_lora_adapter_changes_nothing_and_trains_alone() -> None:
    peft = pytest.importorskip("peft")
    model = ViewTimeTransformer.tiny().eval()
    latents, timestep, text = inputs()
    with torch.no_grad():
        before = model(latents, timestep, text)
    model.add_adapter(peft.LoraConfig(r=4, target_modules=["attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0"]))
    out = model(latents, timestep, text)
    torch.testing.assert_close(out, before, rtol=0, atol=0)
    out.square().sum().backward()
    assert all("lora" in name for name, p in model.named_parameters() if p.grad is not None)


def test_fused_projections_change_nothing() -> None:
    model = ViewTimeTransformer.tiny().eval()
    latents, timestep, text = inputs()
    with torch.no_grad():
        before = model(latents, timestep, text)
        model.fuse_qkv_projections()
        torch.testing.assert_close(model(latents, timestep, text), before, rtol=0, atol=1e-5)


COMPILED = """
import torch
from fourreal.video.transformer import ViewTimeTransformer
model = ViewTimeTransformer.tiny(attention="merged")
inputs = torch.randn(1, 3, 16, 2, 4, 4), torch.tensor([500.0]), torch.randn(1, 5, 32)
eager = torch.autograd.grad(model(*inputs).square().sum(), list(model.blocks.parameters()))
model.compile_repeated_blocks(fullgraph=True, backend="aot_eager")
traced = torch.autograd.grad(model(*inputs).square().sum(), list(model.blocks.parameters()))
assert all(torch.allclose(a, b, atol=1e-5, rtol=1e-4) for a, b in zip(eager, traced)), "gradients differ"
"""


@pytest.mark.slow
def test_blocks_compile_in_one_graph_with_the_same_gradients() -> None:
    # In a process of its own: the shape checker that tests run under cannot be traced.
    subprocess.run([sys.executable, "-c", COMPILED], check=True, timeout=300)


def test_gains_start_the_norms() -> None:
    model = ViewTimeTransformer.tiny(query_gain=2.0, key_gain=1.5)
    assert model.blocks[0].attn1.norm_q.weight.unique().tolist() == [2.0]
    assert model.blocks[1].attn1.norm_k.weight.unique().tolist() == [1.5]
    assert model.blocks[0].attn2.norm_q.weight.unique().tolist() == [1.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 8}, "latents of 16 channels; got 8"),
        ({"size": 5}, r"multiples of the patch \(1, 2, 2\); got \(2, 5, 5\)"),
        ({"times": 22}, "22 latent times.*t_max"),
        ({"views": 14}, "14 views.*needs 275 rotary positions"),
    ],
)
def test_sizes_that_do_not_fit_are_named(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ViewTimeTransformer.tiny()(*inputs(**change))


def test_unknown_choices_are_named() -> None:
    with pytest.raises(InputError, match=r"arrangement must be one of fused, sequential_twice.*got 'sequential'"):
        check_choices({"arrangement": "sequential"})


def test_conditions_that_do_not_fit_are_named() -> None:
    latents, timestep, text = inputs()
    known = torch.ones(2, 3, 2, dtype=torch.bool)
    model = ViewTimeTransformer.tiny()
    with pytest.raises(InputError, match="32 wide; got 33"):
        model(latents, timestep, torch.randn(2, 5, 33))
    with pytest.raises(InputError, match="belong together"):
        model(latents, timestep, text, latents)
    with pytest.raises(InputError, match="no context tokens"):
        model(latents, timestep, text, mode="dynamic")
    with pytest.raises(InputError, match="without reference conditioning"):
        ViewTimeTransformer.tiny(reference_conditioning=False)(latents, timestep, text, latents, known)
