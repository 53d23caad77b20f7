"""Losses: nothing to gain from a change of unit, least at the truth, and what is masked is not seen."""

from __future__ import annotations

import pytest
import torch

from fourreal.core.camera_paths import orbit
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.errors import InputError
from fourreal.recon.camera_head import encode_pose
from fourreal.recon.losses import (
    CONFIDENCE_REWARD,
    camera_loss,
    depth_loss,
    normalised_truth,
    point_loss,
    render_loss,
    surface_points,
)

SIZE = (6, 8)


def _scene() -> tuple[Cameras, torch.Tensor]:
    poses = orbit(torch.tensor([1.0, 2.0, 3.0]), 4.0, torch.linspace(0, 50, 3), 10.0)
    rig = Cameras(poses, intrinsics_from_fov(torch.full((3,), 50.0), SIZE), SIZE)
    return rig, 3 + torch.rand(3, 2, *SIZE)


def test_the_unit_is_the_mean_distance_from_the_first_camera():
    truth = normalised_truth(*_scene())
    torch.testing.assert_close(truth.cameras.world_to_cam[0, 0], torch.eye(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(truth.points.norm(dim=-1).mean(), torch.tensor(1.0), atol=1e-4, rtol=0)


def test_another_world_and_another_unit_give_the_same_truth():
    rig, depth = _scene()
    change = orbit(torch.tensor([5.0, 1.0, 0.0]), 2.0, torch.tensor([33.0]), 40.0)[0]
    here, there = normalised_truth(rig, depth), normalised_truth(rig.moved(change, 7.0), 7.0 * depth)
    torch.testing.assert_close(here.depth, there.depth, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(here.cameras.world_to_cam, there.cameras.world_to_cam, atol=1e-4, rtol=1e-4)
    assert here.scale == pytest.approx(7 * there.scale, rel=1e-4)


def test_pixels_without_a_surface_do_not_set_the_scale():
    rig, depth = _scene()
    holes = depth.clone()
    holes[:, :, 0] = torch.inf
    holes[:, :, 1] = 0.0
    scale = normalised_truth(rig, holes).scale
    assert scale == pytest.approx(normalised_truth(rig, depth, torch.isfinite(holes) & (holes > 0)).scale, rel=1e-5)
    with pytest.raises(InputError, match="without any surface"):
        normalised_truth(rig, torch.full_like(depth, torch.inf))


def test_surface_points_project_back_to_their_pixels():
    rig, depth = _scene()
    points = surface_points(depth[:, 0], rig)
    pixels, distance = rig.project(points.flatten(1, 2))
    torch.testing.assert_close(distance.reshape(depth[:, 0].shape), depth[:, 0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(pixels, rig.pixel_centers().reshape(-1, 2).expand(3, -1, 2), atol=1e-3, rtol=1e-3)


def test_the_camera_loss_is_zero_at_the_truth_and_later_refinements_count_more():
    truth = normalised_truth(*_scene()).cameras
    exact = encode_pose(truth).expand(4, -1, -1, -1)
    assert camera_loss(exact, truth) == 0
    early, late = exact.clone(), exact.clone()
    early[0] += 0.3
    late[-1] += 0.3
    assert 0 < camera_loss(early, truth) < camera_loss(late, truth)


def test_depth_loss_equals_a_plain_loop():
    values, truth = torch.rand(2, 4, 5), torch.rand(2, 4, 5)
    confidence, valid = 1 + torch.rand(2, 4, 5), torch.rand(2, 4, 5) > 0.3
    total = 0.0
    for n in range(2):
        for y in range(4):
            for x in range(5):
                if not valid[n, y, x]:
                    continue
                error = values[n, y, x] - truth[n, y, x]
                total += confidence[n, y, x] * error.abs() - CONFIDENCE_REWARD * confidence[n, y, x].log()
                for dy, dx in ((0, 1), (1, 0)):
                    if y + dy < 4 and x + dx < 5 and valid[n, y + dy, x + dx]:
                        other = values[n, y + dy, x + dx] - truth[n, y + dy, x + dx]
                        total += confidence[n, y, x] * (other - error).abs()
    torch.testing.assert_close(depth_loss(values, confidence, truth, valid), total / valid.sum())


def test_what_is_not_valid_has_no_gradient_even_where_the_truth_is_infinite():
    values = torch.rand(1, 4, 4, requires_grad=True)
    truth, valid = torch.rand(1, 4, 4), torch.ones(1, 4, 4, dtype=torch.bool)
    valid[0, 1, 1] = False
    truth[0, 1, 1] = torch.inf
    depth_loss(values, torch.full((1, 4, 4), 2.0), truth, valid).backward()
    assert values.grad is not None
    assert torch.isfinite(values.grad).all()
    assert values.grad[0, 1, 1] == 0
    assert values.grad[0, 2, 2] != 0


def test_confidence_settles_at_the_reward_over_the_error():
    """Least loss at c = alpha / error, so confidence can be read as an expected error."""
    error = 0.04
    confidences = torch.linspace(1.01, 12, 2000)
    losses = torch.stack(
        [
            depth_loss(
                torch.full((1, 1, 1), error), c.reshape(1, 1, 1), torch.zeros(1, 1, 1), torch.ones(1, 1, 1).bool()
            )
            for c in confidences
        ]
    )
    assert float(confidences[losses.argmin()]) == pytest.approx(CONFIDENCE_REWARD / error, rel=0.01)


def test_point_loss_sees_all_three_coordinates():
    points, valid = torch.rand(1, 3, 3, 3), torch.ones(1, 3, 3, dtype=torch.bool)
    one = torch.ones(1, 3, 3)
    assert point_loss(points, one, points, valid) == 0
    for axis in range(3):
        moved = points.clone()
        moved[..., axis] += 0.1
        torch.testing.assert_close(point_loss(moved, one, points, valid), torch.tensor(0.1 / 3))


def test_without_valid_pixels_the_loss_is_zero():
    nothing = torch.zeros(1, 3, 3, dtype=torch.bool)
    assert depth_loss(torch.rand(1, 3, 3), torch.ones(1, 3, 3), torch.rand(1, 3, 3), nothing) == 0


def test_the_rendering_loss_adds_its_named_parts():
    rendered, truth = torch.rand(2, 3, 3, 8, 8), torch.rand(2, 3, 3, 8, 8)

    def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        assert a.shape == (6, 3, 8, 8)
        return (a - b).abs().flatten(1).mean(1)

    loss = render_loss(rendered, truth, distance, weight=0.25)
    torch.testing.assert_close(loss.mse, (rendered - truth).square().mean())
    torch.testing.assert_close(loss.perceptual, (rendered - truth).abs().mean())
    torch.testing.assert_close(loss.total, loss.mse + 0.25 * loss.perceptual)
    assert render_loss(rendered, truth).perceptual == 0
