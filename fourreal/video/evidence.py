"""What the references show at a pixel, for the gates to go by.

A token's gates are linear in the token, and a token is narrower than the mask of a moving thing's outline. Here it
only says how much each gate is to heed what every pixel shows by itself.

Not in the papers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from fourreal.video.conditioning import Hints
from fourreal.video.tubelet_pixels import to_latents, to_pixels

SIGNS = (
    "nothing changes near by",
    "nothing changes here",
    "both references agree",
    "both views agreed before the change",
)
GATES = ("kept", "borrowed", "carried")

CLEAR = 0.16
"""Difference of colours, of a range from -1 to 1, from which on something differs for certain."""

NEAR = 2
"""Pixels around which a change counts as near."""

KEPT_WHERE_STILL = 3.5
"""Of a new model: where nothing changes near by, what is known is kept whole; elsewhere all sources share."""


class Heed(nn.Module):
    """How much each gate heeds each sign."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weights = nn.Linear(width, len(GATES) * len(SIGNS))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        with torch.no_grad():
            self.weights.bias[0] = KEPT_WHERE_STILL

    def forward(
        self, tokens: Float[Tensor, "B L D"], views: int, times: int, rows: int
    ) -> Float[Tensor, "3 S B V 1 t h w"]:
        """One weight a gate, a sign and a token."""
        shape = "b (v t h w) (gate sign) -> gate sign b v 1 t h w"
        return rearrange(self.weights(tokens), shape, v=views, t=times, h=rows, gate=len(GATES))


def signs_of(hints: Hints, tubelet: Sequence[int]) -> Float[Tensor, "S B V C t h w"]:
    """`SIGNS` at every pixel: 1 yes, -1 no, 0 where there is nothing to tell it from. Without gradient."""
    with torch.no_grad():
        change = to_pixels(hints.change, tubelet).float().abs().mean(2, keepdim=True)
        differs = to_pixels(hints.own - hints.across, tubelet).float().abs().mean(2, keepdim=True)
        differed = to_pixels(hints.own - hints.across + hints.change, tubelet).float().abs().mean(2, keepdim=True)
        near = functional.max_pool2d(change.flatten(0, 1), 2 * NEAR + 1, stride=1, padding=NEAR)
        measured = (near.unflatten(0, change.shape[:2]), change, differs, differed)
        told = (hints.change_known, hints.change_known, hints.own_known & hints.across_known, hints.change_known)
        return torch.stack(
            [
                to_latents(1 - 2 * (value / CLEAR).clamp(max=1), hints.own, tubelet) * _per_latent(known)
                for value, known in zip(measured, told, strict=True)
            ]
        )


def heeding(
    gates: Sequence[Tensor], weights: Float[Tensor, "3 S B V 1 t h w"], signs: Float[Tensor, "S B V C t h w"]
) -> list[Tensor]:
    """The gates' logits, moved by what every pixel shows."""
    return [gate + (weight.type_as(gate) * signs).sum(0) for gate, weight in zip(gates, weights, strict=True)]


def _per_latent(known: Bool[Tensor, "B V t"]) -> Bool[Tensor, "B V 1 t 1 1"]:
    return known[:, :, None, :, None, None]
