"""Temporal measures and cross-view agreement on videos whose answer is known."""

from __future__ import annotations

import pytest
import torch

from fourreal.core.camera_paths import look_at
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.eval.cross_view import (
    confidence_shares,
    cross_view_warping_error,
    matching_confidences,
)
from fourreal.eval.scores import NotComputed
from fourreal.eval.temporal import feature_consistency, motion_smoothness, temporal_flickering


def texture(side: int = 80) -> torch.Tensor:
    coarse = torch.rand(1, 3, side // 8, side // 8, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)[0]


def sliding(step: int, frames: int = 5) -> torch.Tensor:
    return torch.stack([texture()[:, 10:58, 4 + step * t : 52 + step * t] for t in range(frames)])


def test_flickering_by_hand() -> None:
    video = torch.full((4, 3, 8, 8), 0.5)
    assert temporal_flickering(video) == 1
    video[1::2] += 0.1
    assert temporal_flickering(video) == pytest.approx(0.9)
    with pytest.raises(InputError, match="at least 2 frames"):
        temporal_flickering(video[:1])


def test_smooth_motion_is_smooth_and_jerky_motion_is_not() -> None:
    smooth = sliding(2)
    assert motion_smoothness(smooth) > 0.99
    jerky = smooth.clone()
    jerky[1], jerky[3] = smooth[0], smooth[4]
    assert motion_smoothness(jerky) < motion_smoothness(smooth) - 0.02
    # Flickering cannot tell them apart as it should: it punishes the motion itself.
    assert temporal_flickering(smooth) < 0.97
    with pytest.raises(InputError, match="at least 3 frames"):
        motion_smoothness(smooth[:2])


class Planted:
    """Features handed in, one vector a frame."""

    name = fingerprint = "planted"

    def __init__(self, features: list[list[float]]) -> None:
        self.features = torch.tensor(features)

    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        return self.features


def test_consistency_by_hand() -> None:
    video = torch.rand(3, 3, 8, 8)
    assert feature_consistency(video, Planted([[2.0, 0.0]] * 3)) == pytest.approx(1)
    # Frame 1: 0 to both. Frame 2: 1 to the first, 0 to the one before. Negative cosines count as 0.
    assert feature_consistency(video, Planted([[1.0, 0.0], [0.0, 3.0], [2.0, 0.0]])) == pytest.approx(0.25)
    assert feature_consistency(video, Planted([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]])) == pytest.approx(0.25)


@pytest.fixture
def wall() -> tuple[VideoGrid, torch.Tensor]:
    """Two cameras look at a coloured wall z = 0 with a raised step x > 0 at z = 0.4; exact depth by ray casting."""
    eyes = torch.tensor([[0.3, 0.2, 3.0], [-0.4, 0.1, 3.2]])
    intrinsics = intrinsics_from_fov(40.0, (48, 64)).expand(2, 3, 3)
    cameras = Cameras(look_at(eyes, torch.zeros(2, 3), up=(0.0, 1.0, 0.0)), intrinsics, (48, 64))
    rays, centres = cameras.ray_directions(), cameras.centers[:, None]
    on_step = (0.4 - centres[..., 2]) / rays[..., 2]
    on_wall = -centres[..., 2] / rays[..., 2]
    hit_step = (centres + on_step[..., None] * rays)[..., 0] > 0
    depth = torch.where(hit_step, on_step, on_wall)
    points = centres + depth[..., None] * rays
    colours = 0.5 + 0.4 * torch.sin(points * torch.tensor([3.0, 4.0, 5.0]) + torch.tensor([0.0, 1.0, 2.0]))
    frames = colours.reshape(2, 1, 48, 64, 3).permute(0, 1, 4, 2, 3)
    return VideoGrid.complete(frames, torch.zeros(1), cameras), depth.reshape(2, 1, 48, 64)


def test_true_depth_and_cameras_leave_no_warping_error(wall) -> None:
    grid, depth = wall
    perfect = cross_view_warping_error(grid, depth)
    assert isinstance(perfect, tuple)
    assert perfect[0] < 0.005
    assert 0.5 < perfect[1] < 0.98, "the border and what the step hides are not seen"
    shifted = VideoGrid.complete(torch.stack([grid.frames[0], grid.frames[1].roll(5, -1)]), grid.seconds, grid.cameras)
    wrong = cross_view_warping_error(shifted, depth)
    assert isinstance(wrong, tuple)
    assert wrong[0] > 10 * perfect[0]
    swapped = VideoGrid.complete(grid.frames.flip(0), grid.seconds, grid.cameras[[1, 0]])
    other = cross_view_warping_error(swapped, depth.flip(0))
    assert isinstance(other, tuple)
    assert other[0] == pytest.approx(perfect[0], abs=1e-6)


def test_what_hides_behind_the_step_is_not_compared(wall) -> None:
    grid, depth = wall
    strict = cross_view_warping_error(grid, depth)
    lax = cross_view_warping_error(grid, depth, tolerance=1.0)
    assert isinstance(strict, tuple)
    assert isinstance(lax, tuple)
    assert lax[1] > strict[1]
    assert lax[0] > 2 * strict[0]


def test_without_cameras_or_neighbours_or_depth_there_is_no_warping_error(wall) -> None:
    grid, depth = wall
    bare = VideoGrid.complete(grid.frames, grid.seconds)
    assert cross_view_warping_error(bare, depth) == NotComputed("the grid has no cameras")
    assert isinstance(cross_view_warping_error(grid.select(views=[0]), depth[:1]), NotComputed)
    assert isinstance(cross_view_warping_error(grid, torch.full_like(depth, torch.inf)), NotComputed)
    with pytest.raises(InputError, match="one a pixel"):
        cross_view_warping_error(grid, depth[:1])


def test_confidence_shares_count_pixels_above_thresholds(wall) -> None:
    maps = [torch.tensor([[0.0, 0.5], [1.0, 2.0]]), torch.tensor([[3.0, 3.0], [3.0, 0.2]])]
    assert confidence_shares(maps, (0.1, 0.5, 2.5)) == {0.1: 7 / 8, 0.5: 5 / 8, 2.5: 3 / 8}
    with pytest.raises(InputError, match="at least one confidence map"):
        confidence_shares([], (0.5,))
    grid, _ = wall
    matched = matching_confidences(grid, lambda a, b: (a - b).abs().mean(0))
    assert [tuple(one.shape) for one in matched] == [(48, 64)]
