"""Guards against the large and broken gradients a dense head is known to throw.

Heads compute in float32 and behind bounded activations; what is left is met here: gradients are
limited where they enter a head, and steps that are not finite all the same are counted, never
silently skipped.
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


class NonFiniteGuard:
    """Counts training steps whose numbers are not finite and refuses to let them become many.

    Args:
        share: of steps that may be lost, at most.
        grace: steps that may be lost however short the run is.
    """

    def __init__(self, share: float = 0.01, grace: int = 2) -> None:
        self.share, self.grace = share, grace
        self.steps = self.lost = 0

    def admit(self, *values: Tensor | None) -> bool:
        """Count one step; True when all its values are finite, so that it may change the weights.

        Raises:
            FloatingPointError: more than `share` of the steps so far were lost.
        """
        self.steps += 1
        if all(bool(torch.isfinite(value.detach()).all()) for value in values if value is not None):
            return True
        self.lost += 1
        if self.lost > self.grace and self.lost > self.share * self.steps:
            raise FloatingPointError(
                f"{self.lost} of {self.steps} training steps were not finite, more than {self.share:.0%}; "
                "lower the learning rate or look for a broken sample"
            )
        return False
