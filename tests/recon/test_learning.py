"""The parts fit together: a few steps on one scene lower every loss through renderer, heads and backbone."""

from __future__ import annotations

import torch

from fourreal.core.camera_paths import orbit
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.recon.config import tiny
from fourreal.recon.losses import SceneTruth, camera_loss, depth_loss, normalised_truth, point_loss, render_loss
from fourreal.recon.model import ReconModel
from fourreal.splat.rasterize import rasterize

SIZE, VIEWS, TIMES = (16, 24), 2, 2


def _striped_plane() -> tuple[torch.Tensor, SceneTruth]:
    """A plane through the origin whose stripes move with time."""
    poses = orbit(torch.zeros(3), 3.0, torch.tensor([-6.0, 6.0]), 10.0)
    rig = Cameras(poses, intrinsics_from_fov(torch.full((VIEWS,), 45.0), SIZE), SIZE)
    normal = torch.nn.functional.normalize(rig.centers.mean(0), dim=0)
    rays = rig.ray_directions()
    depth = -(rig.centers @ normal)[:, None] / (rays @ normal)
    points = rig.centers[:, None] + depth[..., None] * rays
    frames = torch.stack([0.5 + 0.4 * torch.sin(4 * points + time) for time in range(TIMES)], 1)
    frames = frames.reshape(VIEWS, TIMES, *SIZE, 3).permute(0, 1, 4, 2, 3).contiguous()
    return frames, normalised_truth(rig, depth.reshape(VIEWS, 1, *SIZE).repeat(1, TIMES, 1, 1))


def test_the_geometry_losses_fall_through_heads_and_backbone():
    torch.manual_seed(0)
    model = ReconModel(tiny())
    frames, truth = _striped_plane()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    history: list[dict[str, float]] = []
    for _ in range(25):
        prediction = model(frames[None])
        assert all(bool(part.isfinite().all()) for part in (prediction.depth, prediction.poses, prediction.gaussians))
        assert prediction.points is not None
        assert prediction.points_confidence is not None
        losses = {
            "camera": camera_loss(prediction.poses[:, 0], truth.cameras),
            "depth": depth_loss(prediction.depth[0], prediction.depth_confidence[0], truth.depth, truth.valid),
            "points": point_loss(prediction.points[0], prediction.points_confidence[0], truth.points, truth.valid),
        }
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
        history.append({name: float(loss.detach()) for name, loss in losses.items()})
    for name in ("camera", "depth", "points"):
        assert history[-1][name] < 0.7 * history[0][name], name


def test_the_rendering_loss_falls_with_the_gaussian_head_alone():
    """The paper's first stage: backbone frozen, Gaussian head trained. Source: section 3.2, "Training"."""
    torch.manual_seed(0)
    model = ReconModel(tiny()).requires_grad_(False)
    assert model.gaussian_head is not None
    model.gaussian_head.requires_grad_(True)
    frames, truth = _striped_plane()
    optimiser = torch.optim.AdamW(model.gaussian_head.parameters(), lr=1e-2)
    history = []
    for _ in range(12):
        prediction = model(frames[None])
        gaussians = prediction.gaussians_at(frames[None], 0, 0, truth.cameras[:, 0])
        loss = render_loss(rasterize(gaussians, truth.cameras[:, 0]).color, frames[:, 0]).total
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(float(loss.detach()))
    assert history[-1] < 0.7 * history[0]
