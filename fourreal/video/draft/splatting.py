"""Carrying vectors of a frame's pixels to where those pixels go.

Several pixels may arrive at one place, and none at another: what arrives is averaged by its weights, and how much has
arrived is told.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.compiled import compiled, kernels


def splatted(
    values: Float[Tensor, "N C H W"], flow: Float[Tensor, "N 2 H W"], weights: Float[Tensor, "N 1 H W"]
) -> tuple[Float[Tensor, "N C H W"], Float[Tensor, "N 1 H W"]]:
    """Every pixel's values at `pixel + flow`, bilinear; without gradient.

    Args:
        weights: of pixels that arrive at one place.

    Returns:
        The weighted mean of what arrives (zero where nothing does), and how many pixels arrive.
    """
    count, channels, height, width = values.shape
    total = torch.zeros(count, channels + 2, height, width)
    inputs = [each.detach().to("cpu", torch.float32).contiguous() for each in (values, flow, weights)]
    with kernels():
        _splat(*(each.numpy() for each in inputs), total.numpy())
    total = total.to(values.device)
    weight, arrived = total[:, channels : channels + 1], total[:, channels + 1 :]
    return total[:, :channels] / weight.clamp(min=1e-6), arrived


@compiled
def _splat(values: Any, flow: Any, weights: Any, total: Any) -> None:
    count, channels, height, width = values.shape
    for n in numba.prange(count):
        for y in range(height):
            for x in range(width):
                # Far outside is outside, however far; whole numbers have an end.
                px = min(max(x + flow[n, 0, y, x], -2.0), width + 1.0)
                py = min(max(y + flow[n, 1, y, x], -2.0), height + 1.0)
                x0, y0 = int(np.floor(px)), int(np.floor(py))
                for dy in range(2):
                    for dx in range(2):
                        xx, yy = x0 + dx, y0 + dy
                        if 0 <= yy < height and 0 <= xx < width:
                            share = (1 - abs(px - xx)) * (1 - abs(py - yy))
                            weighted = share * weights[n, 0, y, x]
                            for c in range(channels):
                                total[n, c, yy, xx] += weighted * values[n, c, y, x]
                            total[n, channels, yy, xx] += weighted
                            total[n, channels + 1, yy, xx] += share
