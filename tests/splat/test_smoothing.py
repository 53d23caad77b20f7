"""Smoothing: pictures finer than the inputs show the same scene, without gaps between pixel-sized Gaussians."""

from __future__ import annotations

import itertools

import pytest
import torch
from view.view_scenes import moving_ball, rig

from fourreal.core.camera_paths import look_at
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.gaussians import Gaussians
from fourreal.splat.rasterize import rasterize
from fourreal.splat.smoothing import pixel_footprints, smooth


def one_camera(size: tuple[int, int] = (32, 32)) -> Cameras:
    pose = look_at(torch.tensor([0.0, -4.0, 0.0]), torch.zeros(3))
    return Cameras(pose[None], intrinsics_from_fov(40.0, size)[None], size)


def discs_on_a_wall(camera: Cameras) -> Gaussians:
    """A disc of 0.4 pixels at every pixel centre, on the wall y = 0."""
    count = camera.image_size[0] * camera.image_size[1]
    means = (camera.centers[..., None, :] + 4.0 * camera.ray_directions())[0]
    scales = torch.full((count, 3), 0.4 * 4.0 / float(camera.intrinsics[0, 0, 0]))
    scales[:, 1] = 1e-4
    quats = torch.tensor([1.0, 0, 0, 0]).expand(count, 4).clone()
    return Gaussians.from_colors(means, quats, scales, torch.full((count,), 0.95), torch.full((count, 3), 0.5))


@pytest.mark.parametrize("enlargement", [2, 4])
def test_footprints_grow_exactly_with_the_picture(enlargement):
    """On the axis, k times the pixels is k times the whole footprint, the renderer's widening included."""
    camera = one_camera((33, 33))
    means = torch.tensor([[0.0, 0.3, 0.0]])
    gaussians = Gaussians.from_colors(
        means, torch.tensor([[1.0, 0, 0, 0]]), torch.full((1, 3), 0.02), torch.ones(1), torch.ones(1, 3)
    )
    fine = camera.resized((33 * enlargement, 33 * enlargement))
    small = rasterize(gaussians, camera).screen.conics
    large = rasterize(smooth(gaussians, camera, enlargement), fine).screen.conics
    torch.testing.assert_close(large * enlargement**2, small, rtol=1e-3, atol=1e-5)


def test_a_wall_of_pixels_stays_closed():
    camera = one_camera()
    wall, fine = discs_on_a_wall(camera), camera.resized((128, 128))
    inside = (..., slice(16, -16), slice(16, -16))
    input_alpha = rasterize(wall, camera).alpha[..., 4:-4, 4:-4]
    porous = rasterize(wall, fine).alpha[inside]
    closed = rasterize(smooth(wall, camera, 4.0), fine).alpha[inside]
    assert porous.min() < 0.75
    assert closed.min() > 0.9
    assert abs(float(closed.mean() - input_alpha.mean())) < abs(float(porous.mean() - input_alpha.mean())) / 3


def test_nothing_is_added_for_pictures_no_finer_than_the_inputs():
    step = moving_ball().steps[0]
    assert smooth(step, rig(), 1.0) is step
    assert smooth(step, rig(), 0.5) is step


def test_more_enlargement_adds_more_up_to_a_limit():
    step = moving_ball().steps[0]
    scales = [smooth(step, rig(), k).scales for k in (1.5, 3.0, 100.0, float("inf"))]
    for smaller, larger in itertools.pairwise(scales):
        assert bool((larger >= smaller).all())
    torch.testing.assert_close(scales[-2], scales[-1], rtol=1e-3, atol=0)


def test_the_finest_camera_counts_and_the_unseen_stay():
    near, far = (
        one_camera(),
        Cameras(
            look_at(torch.tensor([[0.0, -8.0, 0.0]]), torch.zeros(1, 3)),
            intrinsics_from_fov(40.0, (32, 32))[None],
            (32, 32),
        ),
    )
    both = Cameras(
        torch.cat([far.world_to_cam, near.world_to_cam]), torch.cat([far.intrinsics, near.intrinsics]), (32, 32)
    )
    means = torch.tensor([[0.0, 0, 0], [0.0, -20, 0], [50.0, 0, 0], [2.0, 0, 0]])
    focal = float(near.intrinsics[0, 0, 0])
    # In front of both; behind both; beside both; inside the far camera's frame only.
    expected = torch.tensor([4 / focal, 0, 0, 8 / focal])
    torch.testing.assert_close(pixel_footprints(means, both), expected, rtol=1e-5, atol=1e-7)
