"""Alignment finds the similarity that made one rig of another, from as few cameras as define it."""

from __future__ import annotations

import pytest
import torch

from fourreal.core.camera_paths import orbit
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.errors import InputError
from fourreal.recon.alignment import Similarity, similarity_between

SIZE = (24, 32)


def _rig(views: int) -> Cameras:
    poses = orbit(torch.tensor([0.2, 0.1, 0.5]), 3.0, torch.linspace(0, 70, views), torch.linspace(5, 25, views))
    return Cameras(poses, intrinsics_from_fov(torch.full((views,), 50.0), SIZE), SIZE)


def _known() -> Similarity:
    rotation = orbit(torch.zeros(3), 1.0, torch.tensor([110.0]), 35.0)[0, :3, :3]
    return Similarity(rotation, torch.tensor([1.0, -2.0, 0.5]), 2.5)


@pytest.mark.parametrize("views", [2, 3, 8])
def test_the_known_similarity_is_found(views: int):
    found, known = similarity_between(_rig(views), _known().cameras(_rig(views))), _known()
    torch.testing.assert_close(found.rotation, known.rotation, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.translation, known.translation, atol=1e-4, rtol=1e-4)
    assert found.scale == pytest.approx(known.scale, rel=1e-4)


def test_one_camera_fixes_all_but_the_scale():
    found = similarity_between(_rig(1), _known().cameras(_rig(1)))
    torch.testing.assert_close(found.rotation, _known().rotation, atol=1e-5, rtol=1e-4)
    assert found.scale == 1.0
    aligned = found.cameras(_rig(1))
    torch.testing.assert_close(aligned.centers, _known().cameras(_rig(1)).centers, atol=1e-4, rtol=1e-4)


def test_noise_on_every_camera_is_averaged():
    torch.manual_seed(0)
    target = _known().cameras(_rig(8))
    noisy = Cameras(target.world_to_cam.clone(), target.intrinsics, SIZE)
    noisy.world_to_cam[:, :3, 3] += 0.05 * torch.randn(8, 3)
    found = similarity_between(_rig(8), noisy)
    assert (found.cameras(_rig(8)).centers - target.centers).norm(dim=-1).max() < 0.15
    assert found.scale == pytest.approx(2.5, rel=0.05)


def test_different_views_on_both_sides_are_refused():
    with pytest.raises(InputError, match="same views on both sides; got 2 and 3"):
        similarity_between(_rig(2), _rig(3))
