"""Drafts of a grid's unknown cells: which have one, of what they are made, and what never changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid, known_pattern
from fourreal.video.draft.draft_model import DraftModel, draft_cells
from fourreal.video.draft.draft_weights import load_draft, save_draft
from fourreal.video.draft.references import reference_cells


@pytest.fixture(scope="module")
def model() -> DraftModel:
    torch.manual_seed(2)
    return DraftModel.tiny().eval()


def grid_of(views: int = 3, times: int = 4, size: tuple[int, int] = (16, 24)) -> VideoGrid:
    frames = torch.rand(views, times, 3, *size, generator=torch.Generator().manual_seed(3))
    return VideoGrid.complete(frames, torch.arange(float(times)))


@pytest.mark.parametrize("pattern", ["none", "row", "column", "all"])
def test_without_a_row_and_a_column_no_cell_has_a_draft(model: DraftModel, pattern) -> None:
    given = grid_of().with_known(pattern)
    frames, drafted = draft_cells(model, given)
    assert not bool(drafted.any())
    assert torch.equal(frames, given.frames)


def test_from_a_cross_every_unknown_cell_has_one_and_known_ones_stay(model: DraftModel) -> None:
    truth = grid_of()
    given = truth.with_known("cross")
    frames, drafted = draft_cells(model, given)
    assert torch.equal(drafted, ~given.known)
    assert torch.equal(frames[given.known], truth.frames[given.known])
    assert bool((frames[drafted].flatten(1).std(-1) > 0).all())
    assert float(frames.min()) >= 0
    assert float(frames.max()) <= 1


def test_references_are_the_nearest_whose_corner_is_known_too() -> None:
    known = known_pattern("cross", 3, 4)
    known[:, 3] = True
    known[2, 1] = True
    cells, chosen = reference_cells(known)
    found = {tuple(cell): tuple(of) for cell, of in zip(cells.tolist(), chosen.tolist(), strict=True)}
    assert found == {(1, 1): (0, 0), (1, 2): (0, 3), (2, 2): (0, 1)}, (
        "(1, 1) is not known, so (2, 1) is of no use to it"
    )


def test_a_cell_does_not_depend_on_which_others_are_wanted(model: DraftModel) -> None:
    truth = grid_of()
    frames, _ = draft_cells(model, truth.with_known("cross"))
    known = truth.with_known("cross").known.clone()
    known[2, 3] = True
    fewer, _ = draft_cells(model, truth.with_known(known))
    torch.testing.assert_close(fewer[1, 1], frames[1, 1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [(18, 21), (104, 32)])
def test_any_size_will_do(model: DraftModel, size: tuple[int, int]) -> None:
    frames, drafted = draft_cells(model, grid_of(2, 2, size).with_known("cross"))
    assert frames.shape[-2:] == size
    assert bool(drafted[1, 1])


def test_frames_that_stand_still_come_back(model: DraftModel) -> None:
    """A new model shares out candidates that are all the same picture."""
    picture = grid_of(1, 1).frames
    still = VideoGrid.complete(picture.expand(2, 3, -1, -1, -1).contiguous(), torch.arange(3.0))
    for parameter in model.matcher.sharpness, *model.matcher.described.parameters():
        assert torch.isfinite(parameter).all()
    frames, _ = draft_cells(model, still.with_known("cross"))
    own_share = 2 / 5  # the own frame as it stands, and with a change of light that there is not
    assert (
        float((frames - still.frames).abs().mean())
        < (1 - own_share) * float((picture - picture.mean()).abs().mean()) * 2
    )


def test_weights_come_back_and_damage_is_told(model: DraftModel, tmp_path: Path) -> None:
    save_draft(tmp_path / "draft", model)
    loaded = load_draft(tmp_path / "draft")
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())
    (tmp_path / "draft" / "draft.json").write_text('{"matcher": {"half": 32}}')
    with pytest.raises(InputError, match="does not hold a draft model"):
        load_draft(tmp_path / "draft")
    with pytest.raises(InputError):
        load_draft(tmp_path / "nothing")


def test_gradients_reach_the_composer_through_frames_and_flows(model: DraftModel) -> None:
    made = DraftModel.tiny()
    frames = grid_of().frames[:, 0]
    with torch.no_grad():
        references = made.matched(frames, torch.tensor([1]), torch.tensor([2]), torch.tensor([0]))
    composed = made.composer(replace(references))
    (composed.frames.sum() + composed.seen.sum() + composed.own[-1].square().sum()).backward()
    missing = [name for name, parameter in made.composer.named_parameters() if parameter.grad is None]
    assert missing == []
