"""Fewer Gaussians that look nearly the same: keep those that cover most of the picture."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians


def importance(gaussians: Gaussians) -> Float[Tensor, "N"]:
    """Opacity times the largest face area: how much of a picture each can colour, seen from its best side."""
    largest = gaussians.scales.detach().topk(2, dim=-1).values
    return gaussians.opacities.detach() * largest.prod(-1)


def thin(gaussians: Gaussians, keep: float) -> Gaussians:
    """The most important fraction `keep` of the Gaussians, in their old order, at least one.

    Of equally important ones the earlier stay, so the result never varies.

    Raises:
        InputError: `keep` is not in (0, 1].
    """
    if not 0 < keep <= 1:
        raise InputError(f"the fraction of Gaussians to keep must lie above 0 and up to 1; got {keep:g}")
    count = len(gaussians)
    wanted = min(count, max(1, round(keep * count)))
    if wanted == count:
        return gaussians
    order = importance(gaussians).argsort(descending=True, stable=True)
    return gaussians.select(order[:wanted].sort().values)
