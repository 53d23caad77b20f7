"""What stands still and what moves is told apart, and said in one sentence."""

from __future__ import annotations

import warnings

import pytest
import torch
from job.tiny_jobs import moving_square, texture

from fourreal.core.media import Clip
from fourreal.core.notes import UserNote
from fourreal.data.worlds import WorldConfig, make_world, render_world
from fourreal.job import footage_motion
from fourreal.job.footage_motion import camera_motion, notify_of_moving_camera, notify_of_moving_things, own_motion
from fourreal.job.rigidity import straying_share


@pytest.fixture(autouse=True)
def _full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footage_motion, "SIDE", 96)


@pytest.fixture(scope="module")
def world() -> torch.Tensor:
    """Six views at six times, [6, 6, 3, 96, 96]."""
    config = WorldConfig(views=6, frames=6, height=96, width=96, background="walls", rig="arc", arc_deg=(18.0, 18.0))
    return render_world(make_world(config, 900_102)).grid.frames


def told(of: object, argument: object) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserNote)
        of(argument)  # pyright: ignore[reportCallIssue]
    return " ".join(str(warning.message) for warning in caught)


def test_a_still_camera_is_told_from_a_moving_one(world: torch.Tensor) -> None:
    assert camera_motion(world[0]) < footage_motion.STILL_PX < footage_motion.MOVING_PX < camera_motion(world[:, 0])
    assert told(notify_of_moving_camera, world[0]) == ""
    assert "the camera of the fixed-view video seems to move" in told(notify_of_moving_camera, world[:, 0])
    assert told(notify_of_moving_camera, world[0, :1]) == ""


def test_nothing_is_said_of_objects_on_white_which_move_before_no_background() -> None:
    config = WorldConfig(views=1, frames=5, height=96, width=96, background="white")
    frames = render_world(make_world(config, 1)).grid.frames[0]
    assert camera_motion(frames) > footage_motion.MOVING_PX, "all that can be followed is what moves"
    assert told(notify_of_moving_camera, frames) == ""


def test_a_frozen_moment_is_told_from_one_that_goes_on(world: torch.Tensor) -> None:
    seconds = torch.arange(6) / 8
    # Something that climbs while the camera goes sideways.
    climbing = world[:, 0].clone()
    for index in range(6):
        climbing[index, :, 60 - 4 * index : 84 - 4 * index, 30:54] = texture(24, 24)
    assert told(notify_of_moving_things, Clip(world[:, 0], seconds)) == ""
    assert "things seem to move" in told(notify_of_moving_things, Clip(climbing, seconds))
    assert "hardly moves, so its views are all alike" in told(notify_of_moving_things, Clip(world[0], seconds))


def test_the_camera_is_measured_in_pixels_a_frame() -> None:
    wide = texture(96, 160)
    pan = torch.stack([wide[:, :, 2 * time : 2 * time + 96] for time in range(4)])
    assert camera_motion(pan) == pytest.approx(2.0, abs=0.15)
    assert camera_motion(moving_square(4)) < footage_motion.STILL_PX
    assert camera_motion(torch.full((3, 3, 96, 96), 0.5)) == 0.0


def test_pictures_that_have_nothing_in_common_are_not_judged() -> None:
    assert own_motion(torch.stack([texture(96, 96, seed) for seed in range(3)])) is None


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_exactly_what_moves_by_itself_strays(share: float) -> None:
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(500, 3, generator=generator) * torch.tensor([2.0, 2.0, 2.0]) + torch.tensor([-1.0, -1.0, 3.0])
    angle = torch.tensor(0.1)
    turn = torch.tensor([[angle.cos(), 0.0, angle.sin()], [0.0, 1.0, 0.0], [-angle.sin(), 0.0, angle.cos()]])
    moved = points.clone()
    movers = round(share * 500)
    moved[:movers] += 0.6 * torch.randn(movers, 3, generator=generator)
    seen = moved @ turn.T + torch.tensor([0.4, 0.05, 0.1])
    places, matches = (48 + 60 * x[:, :2] / x[:, 2:] for x in (points, seen))
    # A few move along their epipolar lines, where nobody can tell.
    assert share * 0.8 <= straying_share(places, matches, 96, generator) <= share + 0.02
