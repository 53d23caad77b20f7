"""Laws of `GridSample` and its flow, on samples made by hand."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.data.sample import GridSample

SIZE = (12, 16)


def sliding_card(shift_m: Tensor, views: int = 1) -> GridSample:
    """A card 2 m ahead that covers the left half of the picture and moves right by `shift_m` per time; sky behind."""
    times = len(shift_m)
    to_cam = torch.eye(4).repeat(views, 1, 1)
    to_cam[:, 0, 3] = -torch.arange(views) * 0.25
    cameras = Cameras(to_cam, intrinsics_from_fov(torch.full((views,), 60.0), SIZE), SIZE)
    motion = torch.eye(4).repeat(times, 2, 1, 1)
    motion[:, 1, 0, 3] = shift_m
    pixels = cameras.pixel_centers()[..., 0]
    focal = cameras.intrinsics[0, 0, 0]
    # The card's right border lies on the first camera's axis at the first time.
    edge = SIZE[1] / 2 + focal * (shift_m[None, :] - torch.arange(views)[:, None] * 0.25) / 2
    on_card = pixels < edge[..., None, None]
    depth = torch.where(on_card, 2.0, torch.inf)
    grid = VideoGrid.complete(torch.rand(views, times, 3, *SIZE), torch.arange(times).float(), cameras)
    return GridSample(
        grid=grid,
        depth=depth,
        instance_ids=on_card.int(),
        caption="a card slides",
        source="made by hand",
        licence="CC0-1.0",
        instance_motion=motion,
    )


def test_flow_of_a_translation_is_focal_length_times_shift_over_depth():
    sample = sliding_card(torch.tensor([0.0, 0.4]))
    field = sample.flow((0, 0), (0, 1))
    on_card = sample.instance_ids[0, 0] == 1
    expected = float(sample.cameras.intrinsics[0, 0, 0]) * 0.4 / 2
    assert torch.allclose(field.flow[on_card], torch.tensor([expected, 0.0]), atol=1e-5)
    assert field.visible[on_card].all()


def test_sky_does_not_move_under_translation_and_is_hidden_by_what_moves_over_it():
    sample = sliding_card(torch.tensor([0.0, 0.4]), views=2)
    field = sample.flow((0, 0), (0, 1))
    sky = sample.instance_ids[0, 0] == 0
    assert field.flow[sky].abs().max() < 1e-5
    covered = sky & (sample.instance_ids[0, 1] == 1)
    well_inside = covered.clone()
    well_inside[:, 1:] &= covered[:, :-1]
    assert well_inside.any()
    assert not field.visible[covered & torch.roll(covered, -1, 1)].any()
    assert field.visible[sky & ~covered].all()
    assert sample.flow((0, 0), (1, 0)).flow[sky].abs().max() < 1e-5


def test_flow_to_the_same_cell_is_nothing_and_everything_is_visible():
    field = sliding_card(torch.tensor([0.0, 0.1])).flow((0, 1), (0, 1))
    assert field.flow.abs().max() < 1e-5
    assert field.visible.all()


def test_a_camera_that_turns_moves_the_sky_by_its_angle():
    sample = sliding_card(torch.tensor([0.0]), views=2)
    angle = torch.tensor(0.1)
    to_cam = sample.cameras.world_to_cam.clone()
    to_cam[1] = torch.eye(4)
    to_cam[1, 0, 0], to_cam[1, 0, 2] = angle.cos(), -angle.sin()
    to_cam[1, 2, 0], to_cam[1, 2, 2] = angle.sin(), angle.cos()
    cameras = Cameras(to_cam, sample.cameras.intrinsics, SIZE)
    sample = dataclasses.replace(sample, grid=dataclasses.replace(sample.grid, cameras=cameras))
    flow = sample.flow((0, 0), (1, 0)).flow
    focal = float(cameras.intrinsics[0, 0, 0])
    x = cameras.pixel_centers()[..., 0] - SIZE[1] / 2
    expected = focal * torch.tan(torch.atan(x / focal) - angle) - x
    sky = sample.instance_ids[0, 0] == 0
    assert torch.allclose(flow[..., 0][sky], expected[sky], atol=1e-3)


def test_points_behind_the_target_camera_are_not_visible():
    sample = sliding_card(torch.tensor([0.0]), views=2)
    to_cam = sample.cameras.world_to_cam.clone()
    to_cam[1, 2, 3] = -3.0  # one metre beyond the card
    cameras = Cameras(to_cam, sample.cameras.intrinsics, SIZE)
    sample = dataclasses.replace(sample, grid=dataclasses.replace(sample.grid, cameras=cameras))
    field = sample.flow((0, 0), (1, 0))
    on_card = sample.instance_ids[0, 0] == 1
    assert not field.visible[on_card].any()
    assert torch.isfinite(field.flow).all()


def test_wrong_shapes_are_refused_with_what_was_expected():
    sample = sliding_card(torch.tensor([0.0, 0.1]))
    with pytest.raises(InputError, match="outside the grid of 1 views x 2 times"):
        sample.flow((0, 0), (0, 2))
    with pytest.raises(InputError, match="instance_ids name instance 1"):
        dataclasses.replace(sample, instance_motion=sample.instance_motion[:, :1]).validated()
    with pytest.raises(InputError, match="complete grid"):
        dataclasses.replace(sample, grid=sample.grid.with_known("column")).validated()
    with pytest.raises(InputError, match="one camera per view"):
        dataclasses.replace(sample, grid=dataclasses.replace(sample.grid, cameras=None))
