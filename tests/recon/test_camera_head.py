"""Cameras: the pose encoding is faithful, token replacement holds cameras still, refinements build up."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from fourreal.core.camera_paths import orbit
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.recon.camera_head import CameraHead, decode_pose, encode_pose
from fourreal.recon.config import tiny
from fourreal.recon.model import ReconModel


def _moving_model(share_cameras: bool) -> ReconModel:
    """A network whose camera tokens differ from time to time."""
    torch.manual_seed(3)
    model = ReconModel(replace(tiny(), share_cameras=share_cameras)).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("gamma"):
            nn.init.constant_(parameter, 0.5)
    return model


def test_encoding_and_decoding_are_inverse_for_a_centred_camera():
    poses = orbit(torch.zeros(3), 3.0, torch.linspace(0, 300, 6), 20.0)
    cameras = Cameras(poses, intrinsics_from_fov(torch.linspace(20, 100, 6), (48, 80)), (48, 80))
    again = decode_pose(encode_pose(cameras), (48, 80))
    torch.testing.assert_close(again.world_to_cam, cameras.world_to_cam, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(again.intrinsics, cameras.intrinsics, atol=1e-3, rtol=1e-5)


def test_a_field_of_view_of_zero_still_gives_a_camera():
    encoding = torch.tensor([0.0, 0, 0, 0, 0, 0, 1, 0, 0])
    assert torch.isfinite(decode_pose(encoding, (10, 10)).intrinsics).all()


def test_with_replacement_cameras_stand_still_and_without_they_jitter():
    frames = torch.rand(1, 3, 4, 3, 16, 16)
    with torch.no_grad():
        held, free = _moving_model(True)(frames).poses[-1], _moving_model(False)(frames).poses[-1]
    assert torch.equal(held, held[:, :, :1].expand_as(held))
    assert (free[:, :, 1:] - free[:, :, :1]).abs().max() > 1e-3
    torch.testing.assert_close(held[:, :, 0], free[:, :, 0])


def test_running_the_head_once_equals_replacing_the_tokens_of_every_time():
    model = _moving_model(True)
    frames = torch.rand(2, 2, 3, 3, 16, 16)
    with torch.no_grad():
        tokens = model.aggregator(frames).cameras
        replaced = tokens.clone()
        for time in range(3):
            replaced[:, :, time] = tokens[:, :, 0]
        torch.testing.assert_close(model(frames).poses, model.camera_head(replaced), atol=1e-5, rtol=1e-5)


def test_tokens_of_a_longer_sequence_set_the_cameras():
    model = _moving_model(True)
    frames = torch.rand(1, 2, 4, 3, 16, 16)
    with torch.no_grad():
        first, second = model(frames[:, :, :2]), model(frames[:, :, 2:])
        handed = model(frames[:, :, 2:], first.camera_tokens)
    torch.testing.assert_close(handed.poses[:, :, :, 0], first.poses[:, :, :, 0])
    assert (second.poses[-1] - handed.poses[-1]).abs().max() > 1e-3


def test_every_refinement_starts_from_the_last_without_its_gradient():
    head = CameraHead(tiny())
    tokens = torch.randn(1, 2, 1, 2 * tiny().width, requires_grad=True)
    poses = head(tokens)
    assert poses.shape == (tiny().camera_iterations, 1, 2, 1, 9)
    (first,) = torch.autograd.grad(poses[0].sum(), head.empty_pose_tokens, retain_graph=True)
    (last,) = torch.autograd.grad(poses[-1].sum(), head.empty_pose_tokens)
    assert first.abs().max() > 0
    assert last.abs().max() == 0


def test_fields_of_view_are_never_negative():
    head = CameraHead(tiny())
    nn.init.constant_(head.pose_branch.fc2.bias, -1.0)
    assert (head(torch.randn(1, 3, 2, 2 * tiny().width))[..., 7:] >= 0).all()
