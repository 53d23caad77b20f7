"""The gate that lets a reference pass by the network."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fourreal.core.errors import InputError
from fourreal.core.grid import known_pattern
from fourreal.video.conditioning import mix_in_reference, nearest_references
from fourreal.video.transformer import ViewTimeTransformer

SHAPE = (3, 4)


def gated(**changes) -> ViewTimeTransformer:
    torch.manual_seed(0)
    return ViewTimeTransformer.tiny(prediction="sample", gate=True, **changes)


def call(model: ViewTimeTransformer, latents, references, known):
    text = torch.zeros(len(latents), 2, model.config["text_dim"])
    return model(latents, torch.full((len(latents),), 500.0), text, references, known)


def nearest_by_hand(known) -> list[list[tuple[int, int] | None]]:
    """Cell by cell, as the docstring says it."""
    views, times = known.shape
    answer = []
    for view in range(views):
        row = []
        for time in range(times):
            own = [(abs(time - t), t) for t in range(times) if known[view, t]]
            other = [(abs(view - v), v) for v in range(views) if known[v, time]]
            row.append((view, min(own)[1]) if own else (min(other)[1], time) if other else None)
        answer.append(row)
    return answer


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=12, max_size=12))
def test_nearest_reference_is_the_one_found_by_hand(flags):
    known = torch.tensor(flags).reshape(1, *SHAPE)
    references = torch.arange(12.0).reshape(1, *SHAPE)[:, :, None, :, None, None].expand(1, 3, 2, 4, 1, 1)
    nearest, found = nearest_references(references, known)
    for view, row in enumerate(nearest_by_hand(known[0])):
        for time, cell in enumerate(row):
            assert bool(found[0, view, time]) == (cell is not None)
            if cell is not None:
                assert torch.equal(nearest[0, view, :, time], references[0, cell[0], :, cell[1]])


def test_a_closed_gate_changes_nothing_and_an_open_one_copies():
    said, references = torch.randn(2, 1, 3, 2, 4, 2, 2)
    known = known_pattern("cross", 3, 4)[None]
    shut, wide = torch.full_like(said, -50.0), torch.full_like(said, 50.0)
    assert torch.equal(mix_in_reference(said, shut, references, known), said)
    copied = mix_in_reference(said, wide, references, known)
    own_first = references[:, :, :, :1].expand_as(references)
    assert torch.allclose(copied[:, 1:], own_first[:, 1:], atol=1e-6)
    assert torch.allclose(copied[:, 0], references[:, 0], atol=1e-6), "what is known is its own reference"


def test_without_references_the_gate_is_silent():
    said, gate = torch.randn(2, 1, 3, 2, 4, 2, 2)
    nothing = torch.zeros(1, 3, 4, dtype=torch.bool)
    assert torch.equal(mix_in_reference(said, gate, torch.randn_like(said), nothing), said)


def test_gradients_reach_the_gate_and_the_network():
    model = gated()
    latents = torch.randn(1, 3, model.config["in_channels"], 2, 4, 4)
    call(model, latents, torch.randn_like(latents), known_pattern("cross", 3, 2)[None]).square().mean().backward()
    assert model.reference_gate is not None
    for parameter in (model.reference_gate.projection.weight, model.proj_out.weight):
        assert parameter.grad is not None
        assert bool(parameter.grad.abs().sum() > 0)


def test_a_gate_that_starts_halfway_mixes_half():
    model, plain = gated(), ViewTimeTransformer.tiny(prediction="sample")
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("reference_gate.")})
    latents = torch.randn(1, 3, model.config["in_channels"], 2, 4, 4)
    references, known = torch.randn_like(latents), known_pattern("cross", 3, 2)[None]
    with torch.no_grad():
        expected = (call(plain, latents, references, known) + nearest_references(references, known)[0]) / 2
        assert torch.allclose(call(model, latents, references, known), expected, atol=1e-5)


def test_a_folder_without_a_gate_gets_a_new_one(tmp_path):
    ViewTimeTransformer.tiny(prediction="sample").save_pretrained(tmp_path)
    loaded = ViewTimeTransformer.from_pretrained(tmp_path, gate=True)
    assert torch.equal(loaded.reference_gate.projection.bias, torch.zeros_like(loaded.reference_gate.projection.bias))


def test_a_gate_on_velocities_is_refused():
    with pytest.raises(InputError, match="prediction 'sample'"):
        ViewTimeTransformer.tiny(gate=True)
