"""Gaussian head: bounded whatever goes in, harmless at first, float32, and honest about lost steps."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from fourreal.core.camera_paths import orbit
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.rotations import quat_to_matrix
from fourreal.recon import gaussian_head as head
from fourreal.recon.config import tiny
from fourreal.recon.gaussian_head import gaussians_of_pixels, pixel_footprints
from fourreal.recon.guards import limit_gradient
from fourreal.recon.model import ReconModel
from fourreal.splat.rasterize import rasterize

SIZE = (6, 8)


def _rig(views: int = 2) -> Cameras:
    poses = orbit(torch.zeros(3), 3.0, torch.linspace(0, 40, views))
    return Cameras(poses, intrinsics_from_fov(torch.full((views,), 60.0), SIZE), SIZE)


@pytest.mark.parametrize("size", [0.0, 1.0, 30.0, 1e4, 3e38])
def test_no_raw_value_gives_an_impossible_gaussian(size: float):
    raw = size * (torch.rand(2, 14, *SIZE) * 2 - 1)
    depth, frames = torch.rand(2, *SIZE) + 1, torch.rand(2, 3, *SIZE)
    gaussians = gaussians_of_pixels(raw, frames, depth, _rig())
    footprint = pixel_footprints(depth.flatten(1), _rig()).flatten()
    ratio = gaussians.scales / footprint[:, None]
    assert ratio.min() >= head.SMALLEST_SCALE * (1 - 1e-5)
    assert ratio.max() <= head.LARGEST_SCALE * (1 + 1e-5)
    surface = _rig().unproject(_rig().pixel_centers().reshape(-1, 2).expand(2, -1, 2), depth.flatten(1)).flatten(0, 1)
    assert ((gaussians.means - surface).norm(dim=-1) <= math.sqrt(3) * 0.1 * depth.flatten() + 1e-5).all()
    offsets = (gaussians.sh[:, 0] * 0.28209479 + 0.5) - frames.permute(0, 2, 3, 1).reshape(-1, 3)
    assert offsets.abs().max() <= head.COLOR_LIMIT + 1e-5


def test_before_training_a_gaussian_is_its_pixel():
    depth, frames = torch.rand(2, *SIZE) + 1, torch.rand(2, 3, *SIZE)
    gaussians = gaussians_of_pixels(torch.zeros(2, 14, *SIZE), frames, depth, _rig())
    pixels, distance = _rig().project(gaussians.means.reshape(2, -1, 3))
    torch.testing.assert_close(pixels, _rig().pixel_centers().reshape(-1, 2).expand(2, -1, 2), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(distance, depth.flatten(1), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(gaussians.base_colors, frames.permute(0, 2, 3, 1).reshape(-1, 3), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gaussians.opacities, torch.full_like(gaussians.opacities, 0.8))
    rotation = quat_to_matrix(gaussians.quats_wxyz.reshape(2, -1, 4)[:, 0])
    torch.testing.assert_close(rotation, _rig().cam_to_world[:, :3, :3], atol=1e-5, rtol=1e-5)


def test_refinement_and_rotation_turn_with_the_camera():
    raw, depth, frames = torch.randn(2, 14, *SIZE), torch.rand(2, *SIZE) + 1, torch.rand(2, 3, *SIZE)
    change = orbit(torch.tensor([0.3, -1.0, 2.0]), 2.0, torch.tensor([70.0]), 30.0)[0]
    here, there = (gaussians_of_pixels(raw, frames, depth, rig) for rig in (_rig(), _rig().moved(change)))
    torch.testing.assert_close(there.means, here.means @ change[:3, :3].T + change[:3, 3], atol=1e-5, rtol=1e-5)
    turned = change[:3, :3] @ quat_to_matrix(here.quats_wxyz)
    torch.testing.assert_close(quat_to_matrix(there.quats_wxyz), turned, atol=1e-5, rtol=1e-5)


def test_activations_agree_with_finite_differences():
    torch.manual_seed(1)
    rig = Cameras(_rig().world_to_cam.double(), _rig().intrinsics.double(), SIZE)
    depth, frames = torch.rand(2, *SIZE).double() + 1, torch.rand(2, 3, *SIZE).double()
    raw = torch.randn(2, 14, *SIZE, dtype=torch.float64)
    probe = torch.randn_like(raw)
    weights: dict[str, torch.Tensor] = {}

    def value(shifted: torch.Tensor) -> torch.Tensor:
        gaussians = gaussians_of_pixels(shifted, frames, depth, rig)
        total = torch.zeros((), dtype=torch.float64)
        for name in ("means", "quats_wxyz", "scales", "opacities", "sh"):
            part = getattr(gaussians, name).double()
            total = total + (weights.setdefault(name, torch.randn_like(part)) * part).sum()
        return total

    raw.requires_grad_()
    (gradient,) = torch.autograd.grad(value(raw), raw)
    step = 1e-2
    with torch.no_grad():
        numeric = (value(raw + step * probe) - value(raw - step * probe)) / (2 * step)
    torch.testing.assert_close((gradient * probe).sum(), numeric, atol=1e-2, rtol=2e-2)


def test_the_first_answer_is_zero_and_learning_starts_at_once():
    model = ReconModel(tiny())
    frames = torch.rand(1, 2, 1, 3, 16, 16)
    prediction = model(frames)
    assert prediction.gaussians is not None
    assert prediction.gaussians.abs().max() == 0
    rig = Cameras(torch.eye(4)[None].repeat(2, 1, 1), intrinsics_from_fov(torch.full((2,), 60.0), (16, 16)), (16, 16))
    rendered = rasterize(prediction.gaussians_at(frames, 0, 0, rig), rig).color
    (rendered - frames[0, :, 0]).square().mean().backward()
    assert model.gaussian_head is not None
    last = model.gaussian_head.scratch["output_conv2"].get_parameter("2.weight")
    assert last.grad is not None
    assert last.grad.abs().max() > 0


def test_gradients_are_limited_per_frame_and_small_ones_untouched():
    maps = torch.randn(3, 14, 4, 4, requires_grad=True)
    cotangent = torch.randn_like(maps) * torch.tensor([1e6, 1e-4, 10.0]).reshape(3, 1, 1, 1)
    assert torch.equal(limit_gradient(maps, 1.0), maps)
    limit_gradient(maps, 1.0).backward(cotangent)
    assert maps.grad is not None
    norms = maps.grad.flatten(1).norm(dim=1)
    assert norms.max() <= 1 + 1e-5
    torch.testing.assert_close(maps.grad[1], cotangent[1])
    direction = torch.nn.functional.cosine_similarity(maps.grad.flatten(1), cotangent.flatten(1))
    torch.testing.assert_close(direction, torch.ones(3))


def test_not_a_number_is_not_hidden_by_the_limit():
    maps = torch.zeros(1, 14, 2, 2, requires_grad=True)
    limit_gradient(maps, 1.0).backward(torch.full_like(maps, torch.nan))
    assert maps.grad is not None
    assert maps.grad.isnan().all()


def test_heads_answer_in_float32_under_autocast():
    model = ReconModel(tiny()).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        prediction = model(torch.rand(1, 2, 1, 3, 16, 16))
    for name in ("depth", "points", "gaussians", "poses"):
        assert getattr(prediction, name).dtype == torch.float32


def test_without_a_gaussian_head_there_is_none():
    model = ReconModel(replace(tiny(), gaussian_head=False)).eval()
    with torch.no_grad():
        assert model(torch.rand(1, 2, 1, 3, 16, 16)).gaussians is None
