"""Footage is cut to what a model is used to; wishes are kept to the letter."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.grid_shape import GridShape
from fourreal.core.media import Clip, write_video
from fourreal.data.grid_wish import GridWish
from fourreal.data.model_input import model_input

USUAL = GridShape.of(4, 9, (16, 16))


def clip(count: int, fps: float = 8.0) -> Clip:
    """Frame i is a flat picture of brightness i / 100."""
    return Clip(
        (torch.arange(count) / 100)[:, None, None, None].expand(count, 3, 20, 24).clone(), torch.arange(count) / fps
    )


def numbers(frames: torch.Tensor) -> list[int]:
    return (frames.flatten(1).mean(1) * 100).round().int().tolist()


def test_a_long_clip_is_sampled_at_the_usual_rate() -> None:
    grid = model_input(clip(60, fps=24.0), None, USUAL).grid
    assert grid.frames.shape == (4, 9, 3, 16, 16)
    assert numbers(grid.frames[0]) == [3 * i for i in range(9)]
    assert torch.equal(grid.known, VideoGrid.from_inputs(fixed=torch.zeros(9, 3, 2, 2), views=4).known)


def test_a_short_clip_is_taken_whole_unless_a_rate_is_wished() -> None:
    assert numbers(model_input(clip(13, fps=24.0), None, USUAL).grid.frames[0]) == [0, 2, 3, 4, 6, 8, 9, 10, 12]
    assert numbers(model_input(clip(5), None, USUAL).grid.frames[0]) == [0, 1, 2, 3, 4]
    wished = model_input(clip(13, fps=24.0), None, USUAL, GridWish(fps=8.0)).grid
    assert numbers(wished.frames[0]) == [0, 3, 6, 9, 12]
    with pytest.raises(InputError, match="fewer than the 9 asked for"):
        model_input(clip(13, fps=24.0), None, USUAL, GridWish(frames=9, fps=8.0))
    with pytest.raises(InputError, match="fewer than the 17 asked for"):
        model_input(clip(13), None, USUAL, GridWish(frames=17))


def test_a_cut_is_sampled_like_a_clip() -> None:
    grid = model_input(clip(60), None, USUAL, start_s=2.0, end_s=4.0).grid
    assert numbers(grid.frames[0]) == list(range(16, 25))


def test_views_are_taken_evenly() -> None:
    assert numbers(model_input(None, clip(13), USUAL).grid.frames[:, 0]) == [0, 4, 8, 12]
    assert model_input(None, clip(3), USUAL).grid.num_views == 3
    wished = model_input(None, clip(13), USUAL, GridWish(views=7, frames=5, size=(8, 12), fps=4.0)).grid
    assert wished.frames.shape == (7, 5, 3, 8, 12)
    assert wished.seconds.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    with pytest.raises(InputError, match="fewer than the 14 asked for"):
        model_input(None, clip(13), USUAL, GridWish(views=14))


def test_files_frames_and_grids_are_one_footage(tmp_path: Path) -> None:
    frames = clip(9).frames
    write_video(tmp_path / "a.mp4", frames, fps=8)
    grid = VideoGrid.complete(frames.expand(4, 9, 3, 20, 24), torch.arange(9) / 8 + 3)
    sources = (tmp_path / "a.mp4", str(tmp_path / "a.mp4"), frames, clip(9), grid)
    made = [model_input(source, None, USUAL).grid for source in sources]
    for other in made[1:]:
        torch.testing.assert_close(other.frames, made[0].frames, atol=0.01, rtol=0)
        torch.testing.assert_close(other.seconds, made[0].seconds)
    cross = model_input(grid, grid, USUAL)
    assert int(cross.grid.known.sum()) == 12


def test_what_is_no_footage_is_refused() -> None:
    partial = VideoGrid.complete(torch.rand(2, 3, 3, 8, 8), torch.arange(3.0)).with_known("row")
    with pytest.raises(InputError, match="first column, and that is not wholly known"):
        model_input(None, partial, USUAL)
    with pytest.raises(InputError, match="first row, and that is not wholly known"):
        model_input(partial.select(views=[1]), None, USUAL)
    with pytest.raises(InputError, match="at least 1 of its frames"):
        GridWish(frames=0)
    with pytest.raises(InputError, match="fps must be positive"):
        GridWish(fps=0.0)
