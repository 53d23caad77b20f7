"""The Gaussian head: 14 values per pixel, and the bounded activations that make Gaussians of them.

Raw values are clipped to +-30 and every activation is bounded, so no number, however large, gives an
impossible Gaussian:

| channels | value | activation | range | at raw 0 |
|---|---|---|---|---|
| 0-2 | position refinement, camera axes | `depth * 0.1 * tanh` | a tenth of the depth | 0 |
| 3 | opacity | `sigmoid(raw + logit 0.8)` | 0 to 1 | 0.8 |
| 4-6 | scales | `footprint * 0.05 * 200 ** sigmoid` | 0.05 to 10 pixels | 0.71 pixels |
| 7-10 | quaternion wxyz, camera axes | `normalise(0.1 + softplus, raw, raw, raw)` | all but half turns | identity |
| 11-13 | colour offset, sRGB | `0.5 * tanh` | +-0.5 | 0 |

A footprint is the width of a pixel at its depth. The first component of the quaternion never falls
below 0.1, so normalising never divides by a small number; half turns are the symmetries of an
ellipsoid, so nothing is lost. The last layer starts at zero: before training the Gaussians are the
depth map's pixels.

Source: 4Real-Video-V2, section 3.2 "Gaussian Head"; appendix C (DPT with the depth head's sizes, 14
channels; offsets added as in Splatt3R). The bounds are this project's choice.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus

from fourreal.core.cameras import Cameras
from fourreal.core.gaussians import Gaussians
from fourreal.core.rotations import matrix_to_quat, quat_multiply
from fourreal.recon.config import ReconConfig
from fourreal.recon.dense_head import DenseHead

CHANNELS = 14
REFINEMENT_LIMIT = 0.1
START_OPACITY = 0.8
SMALLEST_SCALE, LARGEST_SCALE = 0.05, 10.0
COLOR_LIMIT = 0.5
# Far into the flat part of every activation; keeps squares of huge raw values finite.
RAW_LIMIT = 30.0
_SMALLEST_W = 0.1
# softplus(_W_SHIFT) = 1 - _SMALLEST_W, so that raw 0 is the identity rotation.
_W_SHIFT = math.log(math.expm1(1 - _SMALLEST_W))


class GaussianHead(DenseHead):
    """A dense head with 14 channels whose first output is zero."""

    def __init__(self, config: ReconConfig) -> None:
        super().__init__(config, CHANNELS)
        for name, parameter in self.scratch["output_conv2"].named_parameters():
            if name.startswith("2."):
                nn.init.zeros_(parameter)


def gaussians_of_pixels(
    raw: Float[Tensor, "V 14 H W"],
    frames: Float[Tensor, "V 3 H W"],
    depth: Float[Tensor, "V H W"],
    cameras: Cameras,
) -> Gaussians:
    """One Gaussian per pixel of V views at one time, view by view and row by row, in the cameras' world.

    Args:
        raw: the head's output.
        frames: the colours to start from.
        depth: z-depth of every pixel, positive.
        cameras: one per view, for images of this size.
    """
    raw = raw.to(depth.dtype).clamp(-RAW_LIMIT, RAW_LIMIT)
    values = rearrange(raw, "v c h w -> v (h w) c")
    colors = rearrange(frames, "v c h w -> v (h w) c") + COLOR_LIMIT * torch.tanh(values[..., 11:14])
    distance = rearrange(depth, "v h w -> v (h w)")
    pixels = cameras.pixel_centers().reshape(-1, 2).expand(len(frames), -1, 2)
    rotation = cameras.cam_to_world[:, :3, :3]
    refinement = REFINEMENT_LIMIT * torch.tanh(values[..., :3]) @ rotation.mT
    means = cameras.unproject(pixels, distance) + distance[..., None] * refinement
    opacities = torch.sigmoid(values[..., 3] + math.log(START_OPACITY / (1 - START_OPACITY)))
    spread = SMALLEST_SCALE * (LARGEST_SCALE / SMALLEST_SCALE) ** torch.sigmoid(values[..., 4:7])
    scales = pixel_footprints(distance, cameras)[..., None] * spread
    local = torch.cat([_SMALLEST_W + softplus(values[..., 7:8] + _W_SHIFT), values[..., 8:11]], -1)
    quats = quat_multiply(matrix_to_quat(rotation)[:, None], normalize(local, dim=-1))
    return Gaussians.from_colors(*(part.flatten(0, 1) for part in (means, quats, scales, opacities, colors)))


def pixel_footprints(depth: Float[Tensor, "V N"], cameras: Cameras) -> Float[Tensor, "V N"]:
    """Width of a pixel at its depth, world units (geometric mean of both sides)."""
    focal = (cameras.intrinsics[:, 0, 0] * cameras.intrinsics[:, 1, 1]).sqrt()
    return depth / focal[:, None]
