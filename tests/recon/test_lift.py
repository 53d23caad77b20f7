"""Depth and cameras become discs that lie in the surface, show it once, and render back to the frames."""

from __future__ import annotations

import pytest
import torch

from fourreal.core import camera_paths
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.rotations import quat_to_matrix
from fourreal.recon.lift import LiftSettings, lift_grid
from fourreal.splat.rasterize import rasterize

SIZE = (48, 64)
DROP = LiftSettings(shell=None)


def sphere_on_plane(views: int = 3, times: int = 2, span_deg: float = 20.0) -> tuple[VideoGrid, torch.Tensor]:
    """A unit sphere sinking into the plane z = 0, shaded by position; depth by solving for the ray."""
    poses = camera_paths.arc(torch.tensor([0.0, 0.0, 0.5]), 4.0, views, span_deg=span_deg, elevation_deg=35)
    cameras = Cameras(poses, intrinsics_from_fov(40.0, SIZE).expand(views, 3, 3), SIZE)
    origin, rays = cameras.centers[:, None], cameras.ray_directions()
    to_plane = -origin[..., 2] / rays[..., 2]
    to_plane = torch.where(to_plane > 0, to_plane, torch.inf)
    frames, depths = [], []
    for time in range(times):
        to_center = origin - torch.tensor([0.0, 0.0, 1.0 - 0.3 * time])
        a, b, c = (rays * rays).sum(-1), (rays * to_center).sum(-1), (to_center * to_center).sum(-1) - 1
        root = (b * b - a * c).clamp(min=0).sqrt()
        to_sphere = torch.where(b * b > a * c, (-b - root) / a, torch.inf)
        depth = torch.minimum(to_plane, to_sphere)
        points = origin + torch.where(torch.isfinite(depth), depth, torch.zeros_like(depth))[..., None] * rays
        colors = (0.5 + 0.3 * torch.sin(2 * points)) * torch.isfinite(depth)[..., None]
        frames.append(colors.reshape(views, *SIZE, 3).permute(0, 3, 1, 2))
        depths.append(depth.reshape(views, *SIZE))
    return VideoGrid.complete(torch.stack(frames, 1), torch.arange(float(times)), cameras), torch.stack(depths, 1)


def test_renders_of_the_scene_are_the_frames() -> None:
    grid, depth = sphere_on_plane()
    scene = lift_grid(grid, depth, DROP)
    assert grid.cameras is not None
    for time in range(grid.num_times):
        render = rasterize(scene.steps[time], grid.cameras)
        shown = torch.isfinite(depth[:, time])
        error = (render.color - grid.frames[:, time]).square().mean(1)[shown].mean()
        assert float(-10 * error.log10()) > 26
        off = ((render.depth - depth[:, time]) / depth[:, time]).abs()[shown]
        assert float(off.median()) < 0.015  # one pixel of this slope changes the depth by 0.02


def test_a_view_in_between_is_filled() -> None:
    grid, depth = sphere_on_plane(views=3)
    scene = lift_grid(grid.select(views=[0, 2]), depth[[0, 2]], DROP)
    assert grid.cameras is not None
    render = rasterize(scene.steps[0], grid.cameras[1])
    shown = torch.isfinite(depth[1, 0])
    assert float(render.alpha[shown].mean()) > 0.97
    error = (render.color - grid.frames[1, 0]).square().mean(0)[shown].mean()
    assert float(-10 * error.log10()) > 24


def test_discs_lie_in_the_surface() -> None:
    grid, depth = sphere_on_plane(times=1)
    step = lift_grid(grid, depth, DROP).steps[0]
    on_sphere = (step.means - torch.tensor([0.0, 0.0, 1.0])).norm(dim=-1) < 1.001
    on_plane = step.means[:, 2].abs() < 1e-4
    assert bool((on_sphere | on_plane).all())
    normals = quat_to_matrix(step.quats_wxyz)[:, :, 2]
    # Silhouettes have no neighbours to take a slope from, so a median is the fair figure.
    assert float(normals[on_plane & ~on_sphere, 2].median()) > 0.999
    outward = step.means - torch.tensor([0.0, 0.0, 1.0])
    assert float((normals * outward).sum(-1)[on_sphere].median()) > 0.95


def test_a_surface_is_shown_once() -> None:
    grid, depth = sphere_on_plane(views=1, times=1)
    assert grid.cameras is not None
    twice = VideoGrid.complete(grid.frames.expand(2, -1, -1, -1, -1), grid.seconds, grid.cameras.expand(2))
    once, both = lift_grid(grid, depth, DROP), lift_grid(twice, depth.expand(2, -1, -1, -1), DROP)
    assert len(once.steps[0]) == int(torch.isfinite(depth).sum())
    # Where the sampling density changes both views stay, so that no gap opens between them.
    assert len(once.steps[0]) <= len(both.steps[0]) < 1.35 * len(once.steps[0])


def test_no_view_opens_holes_in_another() -> None:
    grid, depth = sphere_on_plane(views=6, times=1, span_deg=70)
    scene = lift_grid(grid, depth, DROP)
    assert grid.cameras is not None
    shown = torch.isfinite(depth[:, 0])
    # One pixel in from the edges of what was seen: there the surroundings of a pixel exist too.
    inner = -torch.nn.functional.max_pool2d(-shown.float(), 3, stride=1, padding=1) > 0
    inner[:, [0, -1]], inner[:, :, [0, -1]] = False, False
    alpha = rasterize(scene.steps[0], grid.cameras).alpha
    assert float((alpha[inner] < 0.5).float().mean()) < 1e-3


def test_sky_goes_to_a_shell_or_away() -> None:
    grid, depth = sphere_on_plane(views=1, times=1)
    depth[:, :, :5] = torch.inf
    dropped, shell = lift_grid(grid, depth, DROP).steps[0], lift_grid(grid, depth, LiftSettings(shell=3.0)).steps[0]
    assert len(shell) == SIZE[0] * SIZE[1]
    assert len(shell) - len(dropped) == int(torch.isinf(depth).sum())
    assert grid.cameras is not None
    _, far = grid.cameras[0].project(shell.means)
    assert float(far.max()) == pytest.approx(3 * float(depth[torch.isfinite(depth)].max()), rel=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 2)])
def test_the_smallest_images_work(size: tuple[int, int]) -> None:
    pose = camera_paths.look_at(torch.tensor([[0.0, -3.0, 0.5]]), torch.zeros(3))
    cameras = Cameras(pose, intrinsics_from_fov(40.0, size)[None], size)
    grid = VideoGrid.complete(torch.rand(1, 1, 3, *size), torch.zeros(1), cameras)
    assert len(lift_grid(grid, torch.full((1, 1, *size), 3.0)).steps[0]) == size[0] * size[1]


def test_what_cannot_be_lifted_is_refused() -> None:
    grid, depth = sphere_on_plane()
    assert grid.cameras is not None
    cases = [
        (grid.with_known("row"), depth, "complete grid"),
        (VideoGrid.complete(grid.frames, grid.seconds), depth, "cameras and it has none"),
        (grid, depth[:, :1], "does not match"),
        (grid, depth.neg(), "positive"),
        (VideoGrid.complete(grid.frames, grid.seconds, grid.cameras.reshape(3, 1).expand(3, 2)), depth, "move"),
    ]
    for wrong, its_depth, says in cases:
        with pytest.raises(InputError, match=says):
            lift_grid(wrong, its_depth)
