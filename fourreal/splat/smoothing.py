"""Closing the gaps that open when a scene is rendered in more pixels than its input frames have.

Rendering widens every Gaussian by `eps2d` square pixels. A scene made at 200 pixels depends on that: at
1000 pixels the same widening is five times smaller in the scene, and pixel-sized discs come apart into
dots. Here the widening of the *input* pixels is put into the Gaussians themselves, each by the
footprint of a pixel of the camera that saw it best.

Source: the 3D smoothing filter of Mip-Splatting (Yu et al. 2024), section 4.1, without its opacity factor,
which rasterisation by 3DGS conventions does not have either.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.gaussians import Gaussians
from fourreal.splat.projection import RasterOptions

# Gaussians a little outside a frame still colour its border.
FRAME_MARGIN = 0.15


def smooth(gaussians: Gaussians, seen_by: Cameras, enlargement: float = math.inf) -> Gaussians:
    """Widen Gaussians for pictures `enlargement` times as fine as the input frames.

    With the renderer's own widening on top, the sum is that of the input frames; for 1 and less
    there is nothing to add. Gaussians no camera saw stay as they are.
    """
    if enlargement <= 1 or not len(gaussians):
        return gaussians
    missing = RasterOptions().eps2d * (1 - 1 / enlargement**2)
    added = missing * pixel_footprints(gaussians.means, seen_by) ** 2
    return replace(gaussians, scales=(gaussians.scales**2 + added[:, None]).sqrt())


def pixel_footprints(means: Float[Tensor, "N 3"], seen_by: Cameras) -> Float[Tensor, "N"]:
    """World width of the finest input pixel that shows each point, 0 where none does."""
    cameras = seen_by.to(means.device).reshape(-1)
    height, width = cameras.image_size
    finest = torch.full_like(means[:, 0], math.inf)
    # Camera by camera: all at once would hold V x N projections of scenes with millions of Gaussians.
    for view in range(len(cameras)):
        pixels, depths = cameras[view].project(means.to(cameras.world_to_cam.dtype))
        x, y = pixels[:, 0] / width, pixels[:, 1] / height
        inside = (torch.stack([x, y, 1 - x, 1 - y]).amin(0) > -FRAME_MARGIN) & (depths > 0)
        focal = cameras.intrinsics[view].diagonal()[:2].mean()
        finest = torch.where(inside, torch.minimum(finest, (depths / focal).to(finest.dtype)), finest)
    return torch.where(finest.isinf(), torch.zeros_like(finest), finest)
