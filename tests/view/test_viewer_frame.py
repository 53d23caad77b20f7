"""The viewer_frame: laws of the move into the viewer's world, and the up direction of known rigs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from view_scenes import moving_ball, rig

from fourreal.core.camera_paths import arc
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.gaussians import Gaussians
from fourreal.core.rotations import axis_angle_to_matrix, quat_to_matrix, rigid
from fourreal.splat.sh import sh_basis
from fourreal.view.settings import UP_AXES
from fourreal.view.viewer_frame import (
    FRAME_DISTANCE,
    LARGEST_STD,
    SMALLEST_STD,
    ViewerFrame,
    axis_direction,
    fov_y_deg,
    to_viewer_frame,
    world_up,
)


def a_rigid_move() -> torch.Tensor:
    return rigid(axis_angle_to_matrix(torch.tensor([0.7, -1.1, 0.4])), torch.tensor([3.0, -2.0, 5.0]))


def test_cameras_stand_at_the_stage_distance_whatever_the_units():
    for unit in (0.001, 1.0, 1000.0):
        cameras = rig().moved(torch.eye(4), unit)
        _, positions = ViewerFrame.for_cameras(cameras).poses(cameras)
        np.testing.assert_allclose(np.linalg.norm(positions, axis=-1), FRAME_DISTANCE, rtol=1e-3)


def test_covariances_are_the_scaled_ones():
    generator = torch.Generator().manual_seed(1)
    quats = torch.nn.functional.normalize(torch.randn(50, 4, generator=generator), dim=-1)
    scales = torch.rand(50, 3, generator=generator) * 0.2 + 0.01
    gaussians = Gaussians.from_colors(
        torch.randn(50, 3, generator=generator), quats, scales, torch.rand(50), torch.rand(50, 3)
    )
    viewer_frame = ViewerFrame.for_cameras(rig())
    splats = to_viewer_frame(gaussians, viewer_frame)
    for index in range(50):
        rotation = quat_to_matrix(quats[index]).double()
        expected = rotation @ torch.diag(scales[index].double() ** 2) @ rotation.T * viewer_frame.scale**2
        np.testing.assert_allclose(splats.covariances[index], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(splats.rgbs / 255, gaussians.base_colors, atol=0.5001 / 255)
    np.testing.assert_allclose(splats.opacities[:, 0] / 255, gaussians.opacities, atol=0.5001 / 255)


def test_view_dependent_colours_are_those_of_the_first_look():
    sh = torch.randn(6, 9, 3) * 0.2
    quats = torch.tensor([[1.0, 0, 0, 0]] * 6)
    gaussians = Gaussians(torch.randn(6, 3) * 0.3, quats, torch.full((6, 3), 0.1), torch.ones(6), sh)
    viewer_frame = ViewerFrame.for_cameras(rig())
    eye = viewer_frame.origin + viewer_frame.eye / viewer_frame.scale
    for index in range(6):
        direction = torch.nn.functional.normalize(gaussians.means[index] - eye, dim=0)
        expected = (0.5 + sh_basis(direction, 2) @ sh[index]).clamp(0, 1)
        np.testing.assert_allclose(
            to_viewer_frame(gaussians, viewer_frame).rgbs[index] / 255, expected, atol=0.501 / 255
        )


def test_pictures_do_not_change_on_the_stage():
    """Where a viewer_frame camera sees a viewer_frame point is where the camera saw the point."""
    cameras, points = rig(), torch.randn(20, 3) * 0.5
    viewer_frame = ViewerFrame.for_cameras(cameras)
    quats, positions = viewer_frame.poses(cameras)
    rotation = quat_to_matrix(torch.from_numpy(quats)).mT
    translation = -(rotation @ torch.from_numpy(positions)[..., None]).squeeze(-1)
    staged = Cameras(rigid(rotation, translation), cameras.intrinsics, cameras.image_size)
    seen, _ = staged.project(torch.from_numpy(viewer_frame.points(points)).expand(5, 20, 3))
    expected, _ = cameras.project(points.expand(5, 20, 3))
    torch.testing.assert_close(seen, expected, atol=1e-2, rtol=0)


def test_extreme_scales_stay_within_half_precision():
    means, quats = torch.zeros(2, 3), torch.tensor([[1.0, 0, 0, 0]] * 2)
    scales = torch.tensor([[0.0, 1e-9, 1e-9], [1e6, 1e6, 1e6]])
    gaussians = Gaussians.from_colors(means, quats, scales, torch.ones(2), torch.ones(2, 3))
    half = to_viewer_frame(gaussians, ViewerFrame.for_cameras(rig())).covariances.astype(np.float16)
    assert np.isfinite(half).all()
    assert half[0].diagonal().min() > 0
    assert half[0].diagonal().max() == pytest.approx(SMALLEST_STD**2, rel=0.05)
    assert half[1].diagonal().max() == pytest.approx(LARGEST_STD**2, rel=0.01)


def test_up_of_a_z_up_rig_that_looks_down():
    assert world_up(rig()).tolist() == [0, 0, 1]


def test_up_of_a_reconstruction_in_its_first_cameras_frame():
    cameras = rig(span_deg=30.0)
    first = cameras.moved(cameras.world_to_cam[0])
    assert world_up(first).tolist() == [0, -1, 0]


def test_up_of_an_arbitrary_world_follows_the_cameras():
    poses = arc(torch.zeros(3), 4.0, 36, span_deg=350.0)
    cameras = Cameras(poses, intrinsics_from_fov(40.0, (8, 8)).expand(36, 3, 3).clone(), (8, 8))
    tilt = rigid(axis_angle_to_matrix(torch.tensor([math.radians(45), math.radians(45), 0.0])), torch.zeros(3))
    expected = tilt[:3, :3] @ torch.tensor([0.0, 0, 1])
    torch.testing.assert_close(world_up(cameras.moved(tilt)), expected, atol=1e-3, rtol=0)


def test_the_first_look_is_near_the_middle_camera():
    cameras = rig()
    viewer_frame = ViewerFrame.for_cameras(cameras)
    _, positions = viewer_frame.poses(cameras)
    toward = viewer_frame.eye.numpy() / np.linalg.norm(viewer_frame.eye.numpy())
    assert toward @ (positions[2] / np.linalg.norm(positions[2])) == pytest.approx(1, abs=1e-4)
    assert np.linalg.norm(viewer_frame.eye.numpy()) < FRAME_DISTANCE
    assert viewer_frame.fov_y_deg == pytest.approx(fov_y_deg(cameras[0]), abs=1e-3)


def test_a_moved_world_has_the_same_stage_up_to_the_move():
    move = a_rigid_move()
    viewer_frame, moved = ViewerFrame.for_cameras(rig()), ViewerFrame.for_cameras(rig().moved(move, 3.0))
    assert moved.scale * 3 == pytest.approx(viewer_frame.scale, rel=1e-3)
    torch.testing.assert_close(moved.eye.norm(), viewer_frame.eye.norm(), rtol=1e-3, atol=0)


def test_a_scene_without_cameras_is_within_view():
    step = moving_ball().steps[0]
    viewer_frame = ViewerFrame.for_gaussians(step)
    distances = np.linalg.norm(viewer_frame.points(step.means), axis=-1)
    assert 0.3 * FRAME_DISTANCE < np.quantile(distances, 0.9) < 0.7 * FRAME_DISTANCE


def test_the_up_axis_asked_for_overrules_the_cameras():
    scene = moving_ball()
    for axis in UP_AXES[1:]:
        with_cameras, without = ViewerFrame.of(scene, rig(), axis), ViewerFrame.of(scene, None, axis)
        assert torch.equal(with_cameras.up, axis_direction(axis))
        assert torch.equal(with_cameras.eye, ViewerFrame.for_cameras(rig()).eye)  # still where a camera stood
        # Without cameras the first look is from as far above the scene as it was.
        natural = ViewerFrame.of(scene, None)
        torch.testing.assert_close(without.eye @ without.up, natural.eye @ natural.up)
        torch.testing.assert_close(without.eye.norm(), natural.eye.norm())
    assert torch.equal(ViewerFrame.of(scene, None, "z").eye, ViewerFrame.of(scene, None).eye)
    assert axis_direction("-y").tolist() == [0, -1, 0]
