"""The full-size network computes what the released VGGT-1B computes, on weights anyone can rebuild."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from rebuildable import DATA, picture, relative_error, released_shapes, weights_like
from safetensors.torch import load_file
from torch import Tensor

from fourreal.recon.camera_head import decode_pose, encode_pose
from fourreal.recon.config import vggt_1b
from fourreal.recon.model import ReconModel
from fourreal.recon.weights import NEW_PREFIXES, SKIPPED_PREFIX

CASES = {"a": (1, 3, 3, 56, 70), "b": (1, 2, 3, 98, 84)}


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    return load_file(DATA / "vggt_1b_golden.safetensors")


def _full_size_on_meta(**changes: object) -> ReconModel:
    with torch.device("meta"):
        return ReconModel(replace(vggt_1b(), **changes))


def test_every_released_name_and_shape_is_here_and_nothing_else_is_new():
    mine = {name: tuple(value.shape) for name, value in _full_size_on_meta().state_dict().items()}
    released = {name: shape for name, shape in released_shapes().items() if not name.startswith(SKIPPED_PREFIX)}
    assert {name: shape for name, shape in mine.items() if not name.startswith(NEW_PREFIXES)} == released
    assert all(name in mine for name in released)


@pytest.mark.parametrize(("temporal", "millions"), [("none", 0), ("pair", 302), ("block", 605)])
def test_temporal_layers_cost_what_the_two_readings_of_the_paper_say(temporal: str, millions: int):
    model = _full_size_on_meta(temporal=temporal)
    assert round(sum(p.numel() for p in model.aggregator.temporal_blocks.parameters()) / 1e6) == millions


def test_pose_encodings_become_the_released_cameras(golden: dict[str, Tensor]):
    cameras = decode_pose(golden["pose.enc"], (56, 70))
    assert relative_error(cameras.world_to_cam[..., :3, :], golden["pose.world_to_cam"]) < 1e-5
    assert relative_error(cameras.intrinsics, golden["pose.intrinsics_56x70"]) < 1e-5
    again = decode_pose(encode_pose(cameras), (56, 70))
    torch.testing.assert_close(again.world_to_cam, cameras.world_to_cam, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(again.intrinsics, cameras.intrinsics, atol=1e-3, rtol=1e-5)


@pytest.mark.slow
def test_the_full_size_network_agrees_with_the_released_one(golden: dict[str, Tensor]):
    # No temporal layers: they are the identity at first (another test's business) and cost 1.2 GB.
    model = _full_size_on_meta(temporal="none", gaussian_head=False)
    model.load_state_dict(weights_like(model.state_dict()), assign=True)
    for case, shape in CASES.items():
        frames = picture(f"vggt/{case}", shape)[:, :, None]
        with torch.no_grad():
            tokens = model.aggregator(frames, keep=(4, 11, 17))
            prediction = model(frames)
        for pair, layer in zip((4, 11, 17), tokens.layers, strict=True):
            assert relative_error(layer[:, :, 0, :, :8], golden[f"{case}.tokens_{pair}_first8"]) < 1e-4
        assert relative_error(tokens.last[:, :, 0, :, :8], golden[f"{case}.tokens_last_first8"]) < 1e-4
        assert relative_error(tokens.last[:, :, 0].mean(-1), golden[f"{case}.tokens_last_mean"]) < 1e-4
        assert prediction.points is not None
        assert prediction.points_confidence is not None
        answers = {
            "pose_enc": prediction.poses[-1, :, :, 0],
            "depth": prediction.depth[:, :, 0, :, :, None],
            "depth_conf": prediction.depth_confidence[:, :, 0],
            "world_points": prediction.points[:, :, 0],
            "world_points_conf": prediction.points_confidence[:, :, 0],
        }
        for name, answer in answers.items():
            assert relative_error(answer, golden[f"{case}.{name}"]) < 1e-3, f"{case}.{name}"
        world_to_cam = decode_pose(golden[f"{case}.pose_enc"], shape[-2:]).world_to_cam[..., :3, :]
        assert relative_error(world_to_cam, golden[f"{case}.world_to_cam"]) < 1e-5
