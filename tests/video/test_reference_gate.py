"""The gates that let references pass by the network."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fourreal.core.errors import InputError
from fourreal.core.grid import known_pattern
from fourreal.video.conditioning import CARRIED_AT_FIRST, KEPT_AT_FIRST, hints_of, mix_in_hints
from fourreal.video.transformer import ViewTimeTransformer

SHAPE = (3, 4)


def gated(**changes) -> ViewTimeTransformer:
    torch.manual_seed(0)
    return ViewTimeTransformer.tiny(prediction="sample", gate=True, **changes)


def call(model: ViewTimeTransformer, latents, references, known):
    text = torch.zeros(len(latents), 2, model.config["text_dim"])
    return model(latents, torch.full((len(latents),), 500.0), text, references, known)


def hints_by_hand(references, known):
    """Cell by cell, as the docstrings say it."""
    views, times = known.shape
    nearest, change = torch.zeros_like(references), torch.zeros_like(references)
    for v in range(views):
        for t in range(times):
            own = [(abs(t - time), time) for time in range(times) if known[v, time]]
            other = [(abs(v - view), view) for view in range(views) if known[view, t]]
            if own:
                nearest[v, :, t] = references[v, :, min(own)[1]]
            elif other:
                nearest[v, :, t] = references[min(other)[1], :, t]
            if own and other and known[min(other)[1], min(own)[1]]:
                change[v, :, t] = references[min(other)[1], :, t] - references[min(other)[1], :, min(own)[1]]
    return nearest, change


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=12, max_size=12))
def test_hints_are_those_found_by_hand(flags):
    known = torch.tensor(flags).reshape(SHAPE)
    references = torch.randn(3, 2, 4, 1, 1)
    hints = hints_of(references[None], known[None])
    nearest, change = hints_by_hand(references, known)
    assert torch.equal(hints.nearest[0], nearest)
    assert torch.equal(hints.change[0], change)
    assert torch.equal(hints.found[0], known.any(1, keepdim=True) | known.any(0, keepdim=True))


def test_hints_read_known_cells_only():
    known = known_pattern("cross", 3, 4)[None]
    references = torch.randn(1, 3, 2, 4, 2, 2)
    spoilt = torch.where(known[:, :, None, :, None, None], references, 99.0)
    first, second = hints_of(references, known), hints_of(spoilt, known)
    assert torch.equal(first.nearest, second.nearest)
    assert torch.equal(first.change, second.change)


def test_closed_gates_add_nothing_and_open_ones_carry_the_change_over():
    said, references = torch.randn(2, 1, 3, 2, 4, 2, 2)
    hints = hints_of(references, known_pattern("cross", 3, 4)[None])
    shut, wide = torch.full_like(said, -50.0), torch.full_like(said, 50.0)
    assert torch.allclose(mix_in_hints(said, shut, shut, hints), said)
    stays = mix_in_hints(said, wide, shut, hints)
    assert torch.allclose(stays[:, 1:], references[:, 1:, :, :1].expand_as(references[:, 1:]), atol=1e-6)
    carried = mix_in_hints(said, wide, wide, hints)
    expected = references[:, 1:, :, :1] + references[:, :1] - references[:, :1, :, :1]
    assert torch.allclose(carried[:, 1:], expected, atol=1e-5)
    assert torch.allclose(carried[:, 0], references[:, 0], atol=1e-6), "what is known is its own hint"


def test_without_references_the_gates_are_silent():
    said, gate = torch.randn(2, 1, 3, 2, 4, 2, 2)
    hints = hints_of(torch.randn_like(said), torch.zeros(1, 3, 4, dtype=torch.bool))
    assert torch.equal(mix_in_hints(said, gate, gate, hints), said)


def test_gradients_reach_the_gates_and_the_network():
    model = gated()
    latents = torch.randn(1, 3, model.config["in_channels"], 2, 4, 4)
    torch.nn.init.normal_(model.proj_out.weight)
    call(model, latents, torch.randn_like(latents), known_pattern("cross", 3, 2)[None]).square().mean().backward()
    assert model.reference_gate is not None
    for layer in (model.reference_gate.kept, model.reference_gate.carried, model.proj_out):
        assert layer.weight.grad is not None
        assert bool(layer.weight.grad.abs().sum() > 0)


def test_a_new_gated_model_says_nothing_of_its_own():
    model = gated()
    latents = torch.randn(1, 3, model.config["in_channels"], 2, 4, 4)
    references, known = torch.randn_like(latents), known_pattern("column", 3, 2)[None]
    share = torch.sigmoid(torch.tensor(KEPT_AT_FIRST))
    with torch.no_grad():
        said = call(model, latents, references, known)
    assert torch.allclose(said, share * references[:, :, :, :1].expand_as(references), atol=1e-5)


def test_new_gates_take_their_first_shares():
    model, plain = gated(), ViewTimeTransformer.tiny(prediction="sample")
    torch.nn.init.normal_(model.proj_out.weight)
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("reference_gate.")})
    latents = torch.randn(1, 3, model.config["in_channels"], 2, 4, 4)
    references, known = torch.randn_like(latents), known_pattern("cross", 3, 2)[None]
    hints = hints_of(references, known)
    kept, carried = torch.sigmoid(torch.tensor([KEPT_AT_FIRST, CARRIED_AT_FIRST]))
    with torch.no_grad():
        said = call(plain, latents, references, known)
        expected = (
            said + kept * hints.found[:, :, None, :, None, None] * (hints.nearest - said) + carried * hints.change
        )
        assert torch.allclose(call(model, latents, references, known), expected, atol=1e-5)


def test_a_folder_without_a_gate_gets_a_new_one(tmp_path):
    ViewTimeTransformer.tiny(prediction="sample").save_pretrained(tmp_path)
    bias = ViewTimeTransformer.from_pretrained(tmp_path, gate=True).reference_gate.kept.bias
    assert torch.equal(bias, torch.full_like(bias, KEPT_AT_FIRST))


def test_a_gate_on_velocities_is_refused():
    with pytest.raises(InputError, match="prediction 'sample'"):
        ViewTimeTransformer.tiny(gate=True)
