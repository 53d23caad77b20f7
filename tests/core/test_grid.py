"""The grid noun: what it accepts, what it refuses and in which words."""

from __future__ import annotations

import pytest
import torch

from fourreal.core import camera_paths
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.errors import InputError
from fourreal.core.grid import KnownPattern, VideoGrid, known_pattern


def grid(views: int = 3, times: int = 4, size: tuple[int, int] = (6, 8), cameras: bool = True) -> VideoGrid:
    poses = camera_paths.arc(torch.zeros(3), 3.0, views, span_deg=30)
    rig = Cameras(poses, intrinsics_from_fov(50.0, size).expand(views, 3, 3), size) if cameras else None
    return VideoGrid.complete(torch.rand(views, times, 3, *size), torch.arange(times) / 4, rig)


@pytest.mark.parametrize(
    ("pattern", "cells"),
    [("none", 0), ("row", 4), ("column", 3), ("cross", 6), ("all", 12)],
)
def test_named_patterns_have_the_cells_their_name_says(pattern: KnownPattern, cells: int) -> None:
    known = known_pattern(pattern, 3, 4)
    assert int(known.sum()) == cells
    hidden = grid().with_known(pattern)
    assert torch.equal(hidden.known, known)
    assert not hidden.frames[~known].any()
    assert torch.equal(hidden.frames[known], grid_frames := hidden.frames[known])
    assert grid_frames.numel() == cells * 3 * 6 * 8


def test_hiding_keeps_the_known_frames_bit_for_bit() -> None:
    full = grid()
    hidden = full.with_known("cross")
    assert torch.equal(hidden.frames[hidden.known], full.frames[hidden.known])
    with pytest.raises(InputError, match=r"\(1, 1\)"):
        hidden.with_known("all")


def test_inputs_land_in_their_row_and_column() -> None:
    fixed, freeze = torch.rand(4, 3, 6, 8), torch.rand(3, 3, 6, 8)
    both = VideoGrid.from_inputs(fixed=fixed, freeze=freeze)
    assert torch.equal(both.frames[0], fixed)
    assert torch.equal(both.frames[1:, 0], freeze[1:])
    assert torch.equal(both.known, known_pattern("cross", 3, 4))
    assert torch.equal(VideoGrid.from_inputs(fixed=fixed, views=5).known, known_pattern("row", 5, 4))
    seconds = torch.arange(7.0)
    assert torch.equal(VideoGrid.from_inputs(freeze=freeze, seconds=seconds).known, known_pattern("column", 3, 7))
    with pytest.raises(InputError, match="neither"):
        VideoGrid.from_inputs()
    with pytest.raises(InputError, match="one frame size"):
        VideoGrid.from_inputs(fixed=fixed, freeze=torch.rand(3, 3, 6, 9))


def test_sub_grids_take_their_cameras_along() -> None:
    full = grid()
    part = full.select(views=[2, 0], times=[1, 3])
    assert torch.equal(part.frames, full.frames[[2, 0]][:, [1, 3]])
    assert part.cameras is not None
    assert full.cameras is not None
    assert torch.equal(part.cameras.world_to_cam, full.cameras.world_to_cam[[2, 0]])
    moving = VideoGrid.complete(full.frames, full.seconds, full.cameras.reshape(3, 1).expand(3, 4))
    selected = moving.select(views=[1], times=[0, 2]).cameras
    assert selected is not None
    assert selected.batch_shape == (1, 2)


def test_frame_rate_is_the_mean_one() -> None:
    assert grid().fps == pytest.approx(4.0)
    assert grid(times=1).fps == 1.0


def test_an_incomplete_grid_is_refused_by_readers_that_need_all() -> None:
    with pytest.raises(InputError, match=r"the reader needs a complete grid; missing cells .*\(1, 1\).*"):
        grid().with_known("cross").require_complete("the reader")
    grid().require_complete("the reader")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"frames": torch.full((3, 4, 3, 6, 8), float("nan"))}, "NaN or infinity, first in view 0, time 0"),
        ({"frames": torch.full((3, 4, 3, 6, 8), 255.0)}, "divide by 255"),
        ({"seconds": torch.tensor([0.0, 1.0, 1.0, 2.0])}, "strictly increasing"),
        ({"seconds": torch.tensor([0.0, 1.0, float("inf"), 2.0])}, "finite"),
        ({"known": known_pattern("cross", 3, 4)}, "must hold zeros"),
        ({"cameras": grid(views=2).cameras}, "one per view"),
        ({"cameras": grid(size=(6, 6)).cameras}, "height, width"),
    ],
)
def test_impossible_grids_are_refused_in_one_sentence(change: dict, says: str) -> None:
    full = grid()
    values = {"frames": full.frames, "known": full.known, "seconds": full.seconds, "cameras": full.cameras} | change
    with pytest.raises(InputError, match=says) as caught:
        VideoGrid(**values).validated()
    assert "\n" not in str(caught.value)


def test_empty_and_misshapen_grids_are_refused() -> None:
    for frames, says in ((torch.rand(0, 4, 3, 6, 8), "at least one"), (torch.rand(3, 4, 3, 6, 0), "at least one")):
        with pytest.raises(InputError, match=says):
            VideoGrid.complete(frames, torch.arange(4.0))
