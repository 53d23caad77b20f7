"""The similarity between a reconstruction's world and another one, found on cameras both know.

A pose-free reconstruction is right up to a rotation, a translation and a scale. The paper scores it
as it comes out; an alignment on the **input** cameras takes that freedom away without looking at
any target, so scores are reported with and without.

Source: 4Real-Video-V2, section 4.2 (targets are predicted in the first input's frame, no alignment);
Umeyama 1991 for the closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.rotations import rigid


@dataclass(frozen=True)
class Similarity:
    """`x_new = scale * rotation @ x + translation`."""

    rotation: Float[Tensor, "3 3"]
    translation: Float[Tensor, "3"]
    scale: float

    def cameras(self, cameras: Cameras) -> Cameras:
        """The same cameras seen from the new world."""
        change = rigid(self.rotation, self.translation / self.scale)
        return cameras.moved(change, self.scale)


def similarity_between(source: Cameras, target: Cameras) -> Similarity:
    """The similarity that best takes `source` cameras onto `target` cameras of the same views.

    Centres and viewing directions both count: the rotation fits the centres (measured in the rig's
    own size) and the cameras' axes together, so two views, whose centres leave a twist open, are
    enough. Scale and translation then fit the centres.

    Raises:
        InputError: fewer than one view, or different numbers of views.
    """
    source, target = source.reshape(-1), target.reshape(-1)
    if len(source) != len(target) or len(source) == 0:
        raise InputError(f"an alignment needs the same views on both sides; got {len(source)} and {len(target)}")
    source_offsets, target_offsets = (rig.centers - rig.centers.mean(0) for rig in (source, target))
    source_size, target_size = source_offsets.norm(), target_offsets.norm()
    moving = bool(source_size > 1e-9) and bool(target_size > 1e-9)
    covariance = torch.einsum("vij,vkj->ik", target.cam_to_world[:, :3, :3], source.cam_to_world[:, :3, :3])
    if moving:
        covariance = covariance + len(source) * (target_offsets / target_size).T @ (source_offsets / source_size)
    u, _, vh = torch.linalg.svd(covariance)
    signs = torch.ones_like(covariance[0])
    signs[2] = torch.linalg.det(u @ vh)
    rotation = u @ torch.diag(signs) @ vh
    scale = 1.0
    if moving:
        along = ((source_offsets @ rotation.T) * target_offsets).sum() / source_size**2
        scale = float(along) if along > 1e-9 else float(target_size / source_size)
    translation = target.centers.mean(0) - scale * rotation @ source.centers.mean(0)
    return Similarity(rotation, translation, scale)
