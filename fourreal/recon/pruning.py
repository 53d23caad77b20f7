"""Which Gaussians stay: unsure, see-through and background ones go, near ones may be merged."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.gaussians import Gaussians

# A pixel is white when no channel is further from 1 than this: five of 255 steps, the noise of a video codec.
WHITE_TOLERANCE = 5 / 255


def white_background(frames: Float[Tensor, "*batch 3 H W"]) -> Bool[Tensor, "*batch H W"]:
    """White pixels that hang together with the image's border; white parts of an object are not among them."""
    white = (frames.amin(-3) >= 1 - WHITE_TOLERANCE).float()
    flat = white.reshape(-1, 1, *white.shape[-2:])
    reached = flat.clone()
    reached[..., 1:-1, 1:-1] = 0
    while True:
        grown = torch.nn.functional.max_pool2d(reached, 3, stride=1, padding=1) * flat
        if torch.equal(grown, reached):
            return grown.reshape(white.shape) > 0
        reached = grown


def confident(confidence: Float[Tensor, "V H W"], drop: float) -> Bool[Tensor, "V H W"]:
    """All but the least confident share `drop` of one time's pixels, counted over all views together."""
    if drop <= 0:
        return torch.ones_like(confidence, dtype=torch.bool)
    order = confidence.flatten().argsort(stable=True)
    keep = torch.ones_like(order, dtype=torch.bool)
    keep[order[: int(drop * len(order))]] = False
    return keep.reshape(confidence.shape)


def merge_voxels(gaussians: Gaussians, side: float) -> Gaussians:
    """One Gaussian per occupied cube of a grid of `side` world units.

    Centre and colour are means weighted by opacity. The shape is the most opaque member's, grown by
    the spread of the centres where that is wider; the opacity is the most opaque member's.
    """
    cells = torch.floor(gaussians.means / side).long()
    _, cell = torch.unique(cells, dim=0, return_inverse=True)
    count = int(cell.max()) + 1 if len(cell) else 0
    weights = gaussians.opacities.clamp(min=1e-6)
    total = weights.new_zeros(count).index_add(0, cell, weights)

    def mean(values: Float[Tensor, "N *rest"]) -> Float[Tensor, "M *rest"]:
        flat = values.flatten(1)
        summed = flat.new_zeros(count, flat.shape[1]).index_add(0, cell, flat * weights[:, None])
        return (summed / total[:, None]).reshape(count, *values.shape[1:])

    # Sorted by cell, then by falling opacity: the first of each cell is its most opaque member.
    order = torch.argsort(weights, descending=True, stable=True)
    order = order[torch.argsort(cell[order], stable=True)]
    first = torch.cat([cell.new_ones(1, dtype=torch.bool), cell[order].diff() > 0]) if count else order.bool()
    best = order[first]
    centers = mean(gaussians.means)
    spread = mean((gaussians.means - centers[cell]) ** 2).sum(-1).div(3).sqrt()
    return Gaussians(
        centers,
        gaussians.quats_wxyz[best],
        torch.maximum(gaussians.scales[best], spread[:, None]),
        gaussians.opacities[best],
        mean(gaussians.sh),
    )


def pixels(values: Bool[Tensor, "V H W"]) -> Bool[Tensor, "N"]:
    """A mask over pixels in the order Gaussians of pixels come: view by view, row by row."""
    return rearrange(values, "v h w -> (v h w)")
