"""Whether the views of a reconstruction show the same place at all, judged by its own geometry."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from fourreal.core.cameras import Cameras

_SAMPLES = 1024


def shared_shares(depth: Float[Tensor, "V H W"], cameras: Cameras) -> Float[Tensor, "V"]:
    """For every view the share of its pixels whose surface point at least one other view has in its image.

    Occlusion is not looked at: a point behind something still lies in a shared part of the scene.
    """
    views, height, width = depth.shape
    flat = rearrange(depth, "v h w -> v (h w)")
    chosen = torch.linspace(0, height * width - 1, min(_SAMPLES, height * width), device=depth.device).long()
    pixels = cameras.pixel_centers().reshape(-1, 2)[chosen]
    points = cameras.unproject(pixels.expand(views, -1, 2), flat[:, chosen])
    shares = []
    for view in range(views):
        others = [other for other in range(views) if other != view]
        if not others:
            shares.append(depth.new_zeros(()))
            continue
        places, distance = cameras[others].project(points[view].expand(len(others), -1, 3))
        inside = (distance > 0) & (places >= 0).all(-1) & (places[..., 0] < width) & (places[..., 1] < height)
        shares.append(inside.any(0).float().mean())
    return torch.stack(shares)
