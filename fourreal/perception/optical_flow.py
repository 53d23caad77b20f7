"""Dense optical flow without weights: TV-L1 on luminance, coarse to fine, all pairs of a batch at once.

Minimises the total variation of the flow plus the absolute brightness difference. A median filter
after every warp removes the outliers the linearisation makes. For small and medium motion of
textured objects; it cannot follow an object that moves farther than its own size between two frames.

Source: Zach, Pock, Bischof, "A Duality Based Approach for Realtime TV-L1 Optical Flow" (2007),
equations 8-15; the median step is Wedel et al., "An Improved Algorithm for TV-L1 Optical Flow" (2009).
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

LUMINANCE = (0.299, 0.587, 0.114)


# The numbers of TV-L1. They do not change, because baselines are built on them.
ATTACHMENT = 25.0
"""Weight of the brightness term against the smoothness, for images in [0, 1]."""
TIGHTNESS = 0.3
"""How closely the two auxiliary flows are coupled."""
WARPS = 6
"""Linearisations per pyramid level."""
ITERATIONS = 20
"""Dual steps per linearisation."""
COARSEST = 8
"""The pyramid ends when the shorter side is below twice this many pixels."""


def dense_flow(source: Float[Tensor, "N 3 H W"], target: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N H W 2"]:
    """Where each source pixel is in the target: displacement (x, y) in pixels, `target[p + flow] = source[p]`."""
    with torch.no_grad():
        levels = [(_luminance(source), _luminance(target))]
        while min(levels[-1][0].shape[-2:]) >= 2 * COARSEST:
            levels.append((_half(levels[-1][0]), _half(levels[-1][1])))
        flow = source.new_zeros(len(source), 2, *levels[-1][0].shape[-2:])
        for fixed, moving in reversed(levels):
            flow = _scaled(flow, (fixed.shape[-2], fixed.shape[-1]))
            for _ in range(WARPS):
                flow = _median(_refine(fixed, moving, flow))
        return rearrange(flow, "n c h w -> n h w c")


def warp(images: Float[Tensor, "N C H W"], flow: Float[Tensor, "N H W 2"]) -> Float[Tensor, "N C H W"]:
    """`images` sampled at `pixel + flow`, bilinear, the border continued outwards."""
    height, width = images.shape[-2:]
    like = {"dtype": flow.dtype, "device": flow.device}
    y, x = torch.meshgrid(torch.arange(height, **like), torch.arange(width, **like), indexing="ij")
    place = torch.stack([x, y], -1) + 0.5 + flow
    place = 2 * place / torch.tensor([width, height], **like) - 1
    return torch.nn.functional.grid_sample(images, place, padding_mode="border", align_corners=False)


def compose(first: Float[Tensor, "N H W 2"], second: Float[Tensor, "N H W 2"]) -> Float[Tensor, "N H W 2"]:
    """The flow of going along `first` and from there along `second`."""
    carried = warp(rearrange(second, "n h w c -> n c h w"), first)
    return first + rearrange(carried, "n c h w -> n h w c")


def _refine(fixed: Tensor, moving: Tensor, flow: Tensor) -> Tensor:
    """One linearisation at `flow` and its dual iterations; all tensors are [N, C, h, w]."""
    warped = warp(moving, rearrange(flow, "n c h w -> n h w c"))
    gradient = _central_gradient(warped)
    power = gradient.square().sum(1, keepdim=True)
    constant = warped - fixed - (gradient * flow).sum(1, keepdim=True)
    step = ATTACHMENT * TIGHTNESS
    u = flow
    dual = flow.new_zeros(len(flow), 2, 2, *flow.shape[-2:])
    for _ in range(ITERATIONS):
        residual = constant + (gradient * u).sum(1, keepdim=True)
        # The L1 term's exact minimiser: one full step where it overshoots, else straight to zero residual.
        inside = residual.abs() <= step * power
        toward = torch.where(inside, -residual / power.clamp(min=1e-9), -step * residual.sign())
        v = u + toward * gradient
        u = v + TIGHTNESS * _divergence(dual)
        slope = _forward_gradient(u)
        dual = dual + 0.25 / TIGHTNESS * slope
        dual = dual / torch.hypot(dual[:, :, :1], dual[:, :, 1:]).clamp(min=1)
    return u


def _forward_gradient(u: Tensor) -> Tensor:
    """[N, C, h, w] to [N, C, 2, h, w]; zero across the border."""
    dx = torch.nn.functional.pad(u.diff(dim=-1), (0, 1))
    dy = torch.nn.functional.pad(u.diff(dim=-2), (0, 0, 0, 1))
    return torch.stack([dx, dy], 2)


def _divergence(dual: Tensor) -> Tensor:
    """Minus the adjoint of `_forward_gradient`."""
    x, y = dual.unbind(2)
    x = torch.nn.functional.pad(x[..., :-1], (1, 1)).diff(dim=-1)
    y = torch.nn.functional.pad(y[..., :-1, :], (0, 0, 1, 1)).diff(dim=-2)
    return x + y


def _central_gradient(image: Tensor) -> Tensor:
    padded = torch.nn.functional.pad(image, (1, 1, 1, 1), mode="replicate")
    dx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    dy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return torch.cat([dx, dy], 1)


def _median(flow: Tensor) -> Tensor:
    padded = torch.nn.functional.pad(flow, (1, 1, 1, 1), mode="replicate")
    height, width = flow.shape[-2:]
    shifted = [padded[..., y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return torch.stack(shifted).median(0).values


def _luminance(images: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N 1 H W"]:
    return (images * images.new_tensor(LUMINANCE)[:, None, None]).sum(1, keepdim=True)


def _half(image: Tensor) -> Tensor:
    size = (-(-image.shape[-2] // 2), -(-image.shape[-1] // 2))
    return torch.nn.functional.interpolate(image, size=size, mode="bilinear", antialias=True)


def _scaled(flow: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(flow.shape[-2:]) == size:
        return flow
    factors = flow.new_tensor([size[1] / flow.shape[-1], size[0] / flow.shape[-2]])[:, None, None]
    return torch.nn.functional.interpolate(flow, size=size, mode="bilinear", align_corners=False) * factors
