"""A limit on the gradients that enter a dense head, which can be very large.

Heads also compute in float32 and behind bounded activations; the training loop counts steps that are not finite.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


class _LimitGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, limit: float) -> Tensor:
        ctx.limit = limit
        return maps.view_as(maps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        norm = gradient.flatten(1).norm(dim=1).reshape(-1, *[1] * (gradient.ndim - 1))
        return gradient * (ctx.limit / norm.clamp(min=ctx.limit)), None


def limit_gradient(maps: Float[Tensor, "N *rest"], limit: float) -> Float[Tensor, "N *rest"]:
    """The maps unchanged; on the way back, each map's gradient is scaled down to norm `limit` at most.

    Not-a-number passes through, so that it is seen and counted rather than hidden.
    """
    return _LimitGradient.apply(maps, limit)
