"""How alike two feature maps are around where a flow points: the cost volume of a match, computed in place.

No volume of all pairs is kept, so memory grows with the image and not with its square. Numba loops that take the
inner products at whole pixels and interpolate those: an inner product with an interpolated vector is the interpolated
inner product.

Source: Teed and Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow" (2020), section 3.2 ("Correlation
Lookup", "Efficient Computation for High Resolution Images").
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.compiled import compiled_with_free_sums, inlined, kernels


def local_correlation(
    first: Float[Tensor, "N C H W"],
    second: Float[Tensor, "N C H W"],
    flow: Float[Tensor, "N 2 H W"],
    radius: int,
) -> Float[Tensor, "N K H W"]:
    """Mean over channels of `first[p] * second[p + flow[p] + d]` for every whole offset d up to `radius`.

    `second` is interpolated bilinearly and is zero outside. Gradients go to both feature maps and not to the flow.

    Args:
        flow: displacement (x, y) in pixels of these maps.
        radius: offsets -radius..radius in y and x, K = (2 radius + 1)^2, x fastest.
    """
    return _LocalCorrelation.apply(first, second, flow.detach(), radius)  # pyright: ignore[reportReturnType]


class _LocalCorrelation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor, flow: Tensor, radius: int) -> Tensor:
        a, b, where = _pixels_last(first), _pixels_last(second), _pixels_last(flow)
        count, height, width, _ = a.shape
        out = torch.empty(count, height, width, (2 * radius + 1) ** 2)
        with kernels():
            _correlate(a.numpy(), b.numpy(), where.numpy(), radius, out.numpy())
        ctx.save_for_backward(a, b, where)
        ctx.radius = radius
        return out.permute(0, 3, 1, 2).to(first.device)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        a, b, where = ctx.saved_tensors
        to_a, to_b = torch.zeros_like(a), torch.zeros_like(b)
        gradient = _pixels_last(gradients[0])
        with kernels():
            _correlate_back(
                a.numpy(), b.numpy(), where.numpy(), ctx.radius, gradient.numpy(), to_a.numpy(), to_b.numpy()
            )
        device = gradients[0].device
        return to_a.permute(0, 3, 1, 2).to(device), to_b.permute(0, 3, 1, 2).to(device), None, None


def _pixels_last(maps: Float[Tensor, "N C H W"]) -> Float[Tensor, "N H W C"]:
    return maps.detach().permute(0, 2, 3, 1).to("cpu", torch.float32).contiguous()


@inlined
def _corner(position: float, size: int, radius: int) -> tuple[int, Any]:
    """Whole part and fraction of a position; one that is far outside stays outside and within integers."""
    position = min(max(position, -radius - 2.0), size + radius + 1.0)
    whole = int(np.floor(position))
    return whole, np.float32(position - whole)


@compiled_with_free_sums
def _correlate(a: Any, b: Any, flow: Any, radius: int, out: Any) -> None:
    count, height, width, channels = a.shape
    side = 2 * radius + 1
    scale = np.float32(1.0 / channels)
    for n in numba.prange(count):
        dots = np.zeros((side + 1, side + 1), np.float32)
        for y in range(height):
            for x in range(width):
                x0, fx = _corner(x + flow[n, y, x, 0], width, radius)
                y0, fy = _corner(y + flow[n, y, x, 1], height, radius)
                for j in range(side + 1):
                    yy = y0 - radius + j
                    for i in range(side + 1):
                        xx = x0 - radius + i
                        total = np.float32(0.0)
                        if 0 <= yy < height and 0 <= xx < width:
                            for c in range(channels):
                                total += a[n, y, x, c] * b[n, yy, xx, c]
                        dots[j, i] = total * scale
                for j in range(side):
                    for i in range(side):
                        above = dots[j, i] + fx * (dots[j, i + 1] - dots[j, i])
                        below = dots[j + 1, i] + fx * (dots[j + 1, i + 1] - dots[j + 1, i])
                        out[n, y, x, j * side + i] = above + fy * (below - above)


@compiled_with_free_sums
def _correlate_back(a: Any, b: Any, flow: Any, radius: int, gradient: Any, to_a: Any, to_b: Any) -> None:
    count, height, width, channels = a.shape
    side = 2 * radius + 1
    scale = np.float32(1.0 / channels)
    for n in numba.prange(count):
        dots = np.zeros((side + 1, side + 1), np.float32)
        for y in range(height):
            for x in range(width):
                x0, fx = _corner(x + flow[n, y, x, 0], width, radius)
                y0, fy = _corner(y + flow[n, y, x, 1], height, radius)
                dots[:] = 0
                for j in range(side):
                    for i in range(side):
                        g = gradient[n, y, x, j * side + i] * scale
                        dots[j, i] += g * (1 - fx) * (1 - fy)
                        dots[j, i + 1] += g * fx * (1 - fy)
                        dots[j + 1, i] += g * (1 - fx) * fy
                        dots[j + 1, i + 1] += g * fx * fy
                for j in range(side + 1):
                    yy = y0 - radius + j
                    for i in range(side + 1):
                        xx = x0 - radius + i
                        if 0 <= yy < height and 0 <= xx < width:
                            g = dots[j, i]
                            for c in range(channels):
                                to_a[n, y, x, c] += g * b[n, yy, xx, c]
                                to_b[n, yy, xx, c] += g * a[n, y, x, c]
