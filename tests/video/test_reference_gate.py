"""The gates that let references pass by the network."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fourreal.core.errors import InputError
from fourreal.core.grid import known_pattern
from fourreal.video.reference_gate import FIRST_LOGITS, mix_references, reference_values
from fourreal.video.transformer import ViewTimeTransformer

SHAPE = (3, 4)


def gated(**changes) -> ViewTimeTransformer:
    torch.manual_seed(0)
    return ViewTimeTransformer.tiny(prediction="sample", gate=True, **changes)


def call(model: ViewTimeTransformer, latents, references, known):
    text = torch.zeros(len(latents), 2, model.config["text_dim"])
    return model(latents, torch.full((len(latents),), 500.0), text, references, known)


def values_by_hand(references, known):
    """Cell by cell, as the docstrings say it."""
    views, times = known.shape
    own, across, change = (torch.zeros_like(references) for _ in range(3))
    for v in range(views):
        for t in range(times):
            when = [(abs(t - time), time) for time in range(times) if known[v, time]]
            where = [(abs(v - view), view) for view in range(views) if known[view, t]]
            if when:
                own[v, :, t] = references[v, :, min(when)[1]]
            if where:
                across[v, :, t] = references[min(where)[1], :, t]
            if when and where and known[min(where)[1], min(when)[1]]:
                change[v, :, t] = references[min(where)[1], :, t] - references[min(where)[1], :, min(when)[1]]
    return own, across, change


def gates_like(said, kept=-50.0, borrowed=-50.0, carried=-50.0):
    return [torch.full_like(said, logit) for logit in (kept, borrowed, carried)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=12, max_size=12))
def test_hints_are_those_found_by_hand(flags):
    known = torch.tensor(flags).reshape(SHAPE)
    references = torch.randn(3, 2, 4, 1, 1)
    values = reference_values(references[None], known[None])
    for found, expected in zip(
        (values.own, values.across, values.change), values_by_hand(references, known), strict=True
    ):
        assert torch.equal(found[0], expected)
    assert torch.equal(values.own_known[0], known.any(1, keepdim=True).expand(SHAPE))
    assert torch.equal(values.across_known[0], known.any(0, keepdim=True).expand(SHAPE))


def test_hints_read_known_cells_only():
    known = known_pattern("cross", 3, 4)[None]
    references = torch.randn(1, 3, 2, 4, 2, 2)
    spoilt = torch.where(known[:, :, None, :, None, None], references, torch.nan)
    first, second = reference_values(references, known), reference_values(spoilt, known)
    for name in ("own", "across", "change"):
        assert torch.equal(getattr(first, name), getattr(second, name))


def test_gates_choose_between_the_network_and_the_references():
    said, references = torch.randn(2, 1, 3, 2, 4, 2, 2)
    values = reference_values(references, known_pattern("cross", 3, 4)[None])
    own_first = references[:, 1:, :, :1].expand_as(references[:, 1:])
    same_time = references[:, :1].expand_as(references)
    assert torch.allclose(mix_references(said, gates_like(said), values), said)
    assert torch.allclose(mix_references(said, gates_like(said, kept=50.0), values)[:, 1:], own_first, atol=1e-6)
    borrowed = mix_references(said, gates_like(said, borrowed=50.0), values)
    assert torch.allclose(borrowed[..., 1:, :, :], same_time[..., 1:, :, :], atol=1e-6)
    carried = mix_references(said, gates_like(said, kept=50.0, carried=50.0), values)
    expected = own_first + references[:, :1] - references[:, :1, :, :1]
    assert torch.allclose(carried[:, 1:], expected, atol=1e-5)
    assert torch.allclose(carried[:, 0], references[:, 0], atol=1e-6), "what is known is its own hint"


def test_shares_make_a_whole():
    said = torch.ones(1, 3, 2, 4, 2, 2)
    gates = [torch.randn_like(said) for _ in range(3)]
    for pattern in ("cross", "row", "column", "none"):
        values = reference_values(torch.ones_like(said), known_pattern(pattern, 3, 4)[None])
        assert torch.allclose(mix_references(said, gates, values), said, atol=1e-6), pattern


def test_without_references_the_network_stands_alone():
    said = torch.randn(1, 3, 2, 4, 2, 2)
    values = reference_values(torch.randn_like(said), torch.zeros(1, 3, 4, dtype=torch.bool))
    assert torch.equal(mix_references(said, [torch.randn_like(said) for _ in range(3)], values), said)


def test_gradients_reach_the_gates_and_the_network():
    model = gated()
    torch.nn.init.normal_(model.proj_out.weight)
    latents = torch.randn(1, 3, model.config["in_channels"], 2, 4, 4)
    call(model, latents, torch.randn_like(latents), known_pattern("cross", 3, 2)[None]).square().mean().backward()
    gate = model.reference_gate
    assert gate is not None
    for layer in (gate.kept, gate.borrowed, gate.carried, model.proj_out):
        assert layer.weight.grad is not None
        assert bool(layer.weight.grad.abs().sum() > 0)


def test_a_new_gated_model_says_nothing_of_its_own():
    model = gated()
    latents = torch.randn(1, 3, model.config["in_channels"], 2, 4, 4)
    references, known = torch.randn_like(latents), known_pattern("column", 3, 2)[None]
    share = torch.sigmoid(torch.tensor(FIRST_LOGITS[0]))
    with torch.no_grad():
        said = call(model, latents, references, known)
    assert torch.allclose(said[:, :, :, 1], share * references[:, :, :, 0], atol=1e-5)


def test_the_gates_mix_what_the_network_would_say_without_them():
    model, plain = gated(), ViewTimeTransformer.tiny(prediction="sample")
    torch.nn.init.normal_(model.proj_out.weight)
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("reference_gate.")})
    latents = torch.randn(1, 3, model.config["in_channels"], 2, 4, 4)
    references, known = torch.randn_like(latents), known_pattern("cross", 3, 2)[None]
    with torch.no_grad():
        said = call(plain, latents, references, known)
        expected = mix_references(said, gates_like(said, *FIRST_LOGITS), reference_values(references, known))
        assert torch.allclose(call(model, latents, references, known), expected, atol=1e-5)


def test_a_folder_without_a_gate_gets_a_new_one(tmp_path):
    ViewTimeTransformer.tiny(prediction="sample").save_pretrained(tmp_path)
    bias = ViewTimeTransformer.from_pretrained(tmp_path, gate=True).reference_gate.kept.bias
    assert torch.equal(bias, torch.full_like(bias, FIRST_LOGITS[0]))


def test_a_gate_on_velocities_is_refused():
    with pytest.raises(InputError, match="prediction 'sample'"):
        ViewTimeTransformer.tiny(gate=True)
