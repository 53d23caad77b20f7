"""Conventions and laws of cameras: every convention in docs/conventions.md is a test here."""

from __future__ import annotations

import pytest
import torch

from fourreal.core import camera_paths, cameras
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.errors import InputError
from fourreal.core.media import fit, fit_window
from fourreal.core.rotations import axis_angle_to_matrix, rigid

SIZE = (48, 64)


def rig(views: int = 4) -> Cameras:
    poses = camera_paths.arc(torch.tensor([0.1, -0.2, 0.3]), 3.0, views, span_deg=50, elevation_deg=20)
    return Cameras(poses, intrinsics_from_fov(50.0, SIZE).expand(views, 3, 3), SIZE)


def single(world_to_cam: torch.Tensor | None = None) -> Cameras:
    return Cameras(torch.eye(4) if world_to_cam is None else world_to_cam, intrinsics_from_fov(90.0, SIZE), SIZE)


def test_axes_are_opencv() -> None:
    pixels, depth = single().project(torch.tensor([[0.0, 0.0, 2.0], [1.0, 0.0, 2.0], [0.0, 1.0, 2.0]]))
    center, right, down = pixels
    torch.testing.assert_close(center, torch.tensor([32.0, 24.0]))
    assert right[0] > center[0]
    assert right[1] == center[1]
    assert down[1] > center[1]
    assert (depth == 2).all()


def test_the_top_left_pixel_is_centred_at_a_half() -> None:
    assert single().pixel_centers()[0, 0].tolist() == [0.5, 0.5]
    assert single().pixel_centers()[-1, -1].tolist() == [63.5, 47.5]


def test_project_inverts_unproject() -> None:
    views = rig()
    pixels = torch.rand(4, 100, 2) * torch.tensor([64.0, 48.0])
    depth = torch.rand(4, 100) * 5 + 0.5
    back, depth_back = views.project(views.unproject(pixels, depth))
    torch.testing.assert_close(back, pixels, atol=1e-3, rtol=0)
    torch.testing.assert_close(depth_back, depth)


def test_rays_reach_depth_one_and_pass_through_pixels() -> None:
    views = rig()
    points = views.centers[:, None] + views.ray_directions()
    pixels, depth = views.project(points)
    torch.testing.assert_close(depth, torch.ones_like(depth))
    torch.testing.assert_close(pixels, views.pixel_centers().reshape(1, -1, 2).expand(4, -1, 2), atol=1e-3, rtol=0)


def test_looking_at_a_point_puts_it_in_the_middle_with_up_up() -> None:
    views = rig()
    target = torch.tensor([0.1, -0.2, 0.3]).expand(4, 1, 3)
    above = target + torch.tensor([0.0, 0.0, 0.2])
    middle, _ = views.project(target)
    raised, _ = views.project(above)
    torch.testing.assert_close(middle, torch.tensor([32.0, 24.0]).expand(4, 1, 2), atol=1e-3, rtol=0)
    assert (raised[..., 1] < middle[..., 1]).all()


def test_looking_straight_down_is_allowed_and_standing_on_the_target_is_not() -> None:
    pose = camera_paths.look_at(torch.tensor([0.0, 0.0, 3.0]), torch.zeros(3))
    assert Cameras(pose, intrinsics_from_fov(50.0, SIZE), SIZE).centers.tolist() == pytest.approx([0, 0, 3])
    with pytest.raises(InputError, match="stands"):
        camera_paths.look_at(torch.ones(3), torch.ones(3))


@pytest.mark.parametrize("target", [(24, 32), (48, 48), (96, 200), (31, 17)])
def test_resizing_and_cropping_keep_the_intrinsics_true(target: tuple[int, int]) -> None:
    """A ray through a picture detail stays the same ray after the picture is fitted to a new size."""
    views = rig()
    top, left, window = fit_window(SIZE, target)
    fitted = views.cropped(top, left, window).resized(target)
    assert fitted.image_size == target
    point = views.unproject(torch.tensor([[[32.0, 24.0]]]).expand(4, 1, 2), torch.full((4, 1), 2.0))
    before, _ = views.project(point)
    after, _ = fitted.project(point)
    scale = torch.tensor([target[1] / window[1], target[0] / window[0]])
    torch.testing.assert_close(after, (before - torch.tensor([left, top])) * scale, atol=1e-3, rtol=0)


def test_fitting_moves_a_dot_where_the_cameras_say() -> None:
    frame = torch.zeros(3, 48, 64)
    frame[:, 20:24, 40:44] = 1  # a 4x4 dot centred at pixel position (42, 22)
    fitted = fit(frame, (24, 24))
    top, left, window = fit_window((48, 64), (24, 24))
    weights = fitted[0] / fitted[0].sum()
    ys, xs = torch.meshgrid(torch.arange(24) + 0.5, torch.arange(24) + 0.5, indexing="ij")
    assert float((weights * xs).sum()) == pytest.approx((42 - left) * 24 / window[1], abs=0.05)
    assert float((weights * ys).sum()) == pytest.approx((22 - top) * 24 / window[0], abs=0.05)


def test_moving_the_world_moves_cameras_and_points_together() -> None:
    views = rig()
    change = rigid(axis_angle_to_matrix(torch.tensor([0.3, -0.2, 0.9])), torch.tensor([1.0, 2.0, 3.0]))
    points = torch.randn(4, 10, 3) * 0.3
    moved_points = 2.5 * (points @ change[:3, :3].T + change[:3, 3])
    before, depth = views.project(points)
    after, moved_depth = views.moved(change, 2.5).project(moved_points)
    torch.testing.assert_close(after, before, atol=2e-3, rtol=0)
    torch.testing.assert_close(moved_depth, 2.5 * depth)


def test_parallel_cameras_get_a_focus_ahead() -> None:
    poses = torch.eye(4).repeat(3, 1, 1)
    poses[:, 0, 3] = torch.tensor([0.0, -0.5, -1.0])
    views = Cameras(poses, intrinsics_from_fov(50.0, SIZE).expand(3, 3, 3), SIZE)
    focus = camera_paths.focus_point(views)
    assert focus[2] > 0.5
    assert torch.isfinite(focus).all()


def test_interpolation_hits_the_given_cameras_and_stays_on_the_arc() -> None:
    views = rig(5)
    same = camera_paths.interpolate(views, torch.arange(5.0))
    torch.testing.assert_close(same.world_to_cam, views.world_to_cam, atol=1e-5, rtol=0)
    between = camera_paths.interpolate(views, torch.linspace(-1, 9, 21))
    radii = (between.centers - torch.tensor([0.1, -0.2, 0.3])).norm(dim=-1)
    assert float((radii - 3).abs().max()) < 0.05
    assert len(camera_paths.interpolate(views[:1], torch.tensor([0.0, 0.7]))) == 2


def test_dolly_moves_evenly_and_keeps_looking() -> None:
    start, end, target = torch.tensor([3.0, 0, 1]), torch.tensor([2.0, 1, 1]), torch.zeros(3)
    poses = camera_paths.dolly(start, end, target, 5)
    views = Cameras(poses, intrinsics_from_fov(50.0, SIZE).expand(5, 3, 3), SIZE)
    torch.testing.assert_close(views.centers.diff(dim=0), ((end - start) / 4).expand(4, 3))
    middle, _ = views.project(target.expand(5, 1, 3))
    torch.testing.assert_close(middle, torch.tensor([32.0, 24.0]).expand(5, 1, 2), atol=1e-3, rtol=0)


def test_indexing_follows_tensors() -> None:
    views = rig().reshape(2, 2)
    assert views[0].batch_shape == (2,)
    assert views[:, 1].batch_shape == (2,)
    assert views[1, 0].batch_shape == ()
    with pytest.raises(IndexError):
        views[0, 0, 0]
    assert cameras.stack([views[0, 0], views[1, 1]]).batch_shape == (2,)


def mirrored() -> torch.Tensor:
    pose = torch.eye(4)
    pose[0, 0] = -1
    return pose


def overflowing() -> torch.Tensor:
    """Finite, but its rotation times its transpose holds infinity minus infinity."""
    pose = torch.eye(4)
    pose[:2, :2] = torch.tensor([[1e30, 1e30], [1e30, -1e30]])
    return pose


@pytest.mark.parametrize(
    ("world_to_cam", "intrinsics", "size", "says"),
    [
        (torch.eye(4) * 2, torch.eye(3), SIZE, "rotation"),
        (mirrored(), torch.eye(3), SIZE, "mirrored"),
        (overflowing(), torch.eye(3), SIZE, "rotation"),
        (torch.eye(4) * float("nan"), torch.eye(3), SIZE, "NaN"),
        (torch.eye(4), -torch.eye(3), SIZE, "positive"),
        (torch.eye(4), torch.eye(3), (0, 4), "at least 1"),
        (torch.eye(4).expand(2, 4, 4), torch.eye(3).expand(3, 3, 3), SIZE, "as many"),
    ],
)
def test_impossible_cameras_are_refused(world_to_cam, intrinsics, size, says) -> None:
    unchecked = Cameras.__new__(Cameras)  # the shape checker of the tests would speak before the class does
    for name, value in (("world_to_cam", world_to_cam), ("intrinsics", intrinsics), ("image_size", size)):
        object.__setattr__(unchecked, name, value)
    with pytest.raises(InputError, match=says):
        unchecked.__post_init__()
        unchecked.validated()
