"""What an output takes over from the references, value by value: gates, and the pixel cues that move them.

A token of a small pixel model is narrower than the patch it stands for, so whatever could be copied would come out
blurred; the gates let it pass by the network. The gates' logits are linear in the token, and a token is also narrower
than the outline of a moving thing. So they are moved by cues, which are computed at every pixel of the references; the
token only gives each cue its weight.

Not in the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from fourreal.video.tubelet_pixels import to_latents, to_pixels

CUES = (
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


class ReferenceGate(nn.Module):
    """What each value of an output takes over from the references: three logits."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.kept, self.borrowed, self.carried = (nn.Linear(width, channels) for _ in FIRST_LOGITS)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for layer, logit in zip((self.kept, self.borrowed, self.carried), FIRST_LOGITS, strict=True):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, logit)

    def forward(self, tokens: Float[Tensor, "B L D"]) -> tuple[Float[Tensor, "B L P"], ...]:
        return self.kept(tokens), self.borrowed(tokens), self.carried(tokens)


FIRST_LOGITS = (3.0, 0.0, -3.0)
"""Of a new gate: nearly everything is kept, little is borrowed, and next to no change is carried over."""


@dataclass(frozen=True)
class ReferenceValues:
    """The references of every cell; zero where there are none.

    Attributes:
        own: the known latent of the own view that is nearest in time, and which cells have one.
        across: the known latent of the own time that is nearest in view, and which cells have one.
        change: how the view of `across` changed between the time of `own` and now, and which cells have that.
    """

    own: Float[Tensor, "B V C t h w"]
    own_known: Bool[Tensor, "B V t"]
    across: Float[Tensor, "B V C t h w"]
    across_known: Bool[Tensor, "B V t"]
    change: Float[Tensor, "B V C t h w"]
    change_known: Bool[Tensor, "B V t"]


def mix_references(predicted: Float[Tensor, "B V C t h w"], gates: Sequence[Tensor], values: ReferenceValues) -> Tensor:
    """Mix, value by value, the prediction, the own view's reference and the own time's, and add the gated change.

    Where a gate keeps a reference whole the prediction has no weight, so its small errors do not show in what stands
    still. Without any reference the prediction is kept unchanged.

    Args:
        gates: logits of `ReferenceGate`, each of the shape of `predicted`.
    """
    kept, borrowed, carried = gates
    own, across = (known[:, :, None, :, None, None] for known in (values.own_known, values.across_known))
    logits = torch.stack(
        [torch.zeros_like(kept), kept.masked_fill(~own, -torch.inf), borrowed.masked_fill(~across, -torch.inf)]
    )
    shares = logits.softmax(0)
    mixed = shares[0] * predicted + shares[1] * values.own + shares[2] * values.across
    return mixed + torch.sigmoid(carried) * values.change


def reference_values(references: Float[Tensor, "B V C t h w"], known: Bool[Tensor, "B V t"]) -> ReferenceValues:
    """Read the known cells, and only those. With a cross known, own + change is the first frame of the own view plus
    what has changed in the first view since."""
    _, views, _, times, _, _ = references.shape
    own, own_time = _nearest_known(known)
    across, across_view = (found.mT for found in _nearest_known(known.mT))
    now, here = torch.arange(times, device=known.device), torch.arange(views, device=known.device)[:, None]
    sample = torch.arange(len(known), device=known.device)[:, None, None]
    cells = rearrange(references, "b v c t h w -> b v t c h w")

    def read(view: Tensor, time: Tensor, available: Bool[Tensor, "B V t"]) -> Float[Tensor, "B V C t h w"]:
        found = torch.where(available[..., None, None, None], cells[sample, view, time], 0)
        return rearrange(found, "b v t c h w -> b v c t h w")

    both = own & across & known[sample, across_view, own_time]
    return ReferenceValues(
        own=read(here, own_time, own),
        own_known=own,
        across=read(across_view, now, across),
        across_known=across,
        change=read(across_view, now, both) - read(across_view, own_time, both),
        change_known=both,
    )


def with_drafts(
    values: ReferenceValues, drafts: Float[Tensor, "B V C t h w"], drafted: Bool[Tensor, "B V t"]
) -> ReferenceValues:
    """Where a cell has a draft, it takes the place of both references, and nothing is left to change."""

    def either(draft: Tensor | float, value: Tensor) -> Tensor:
        return torch.where(drafted[:, :, None, :, None, None], draft, value)

    return ReferenceValues(
        own=either(drafts, values.own),
        own_known=values.own_known | drafted,
        across=either(drafts, values.across),
        across_known=values.across_known | drafted,
        change=either(0.0, values.change),
        change_known=values.change_known & ~drafted,
    )


def _nearest_known(known: Bool[Tensor, "B N M"]) -> tuple[Bool[Tensor, "B N M"], Int[Tensor, "B N M"]]:
    """Along the last axis: whether anything is known, and the place of the nearest known one (the earlier of two)."""
    places = torch.arange(known.shape[-1], device=known.device)
    distance = (places[:, None] - places).abs().expand(*known.shape, -1)
    distance = distance.masked_fill(~known[..., None, :], len(places))
    return known.any(-1, keepdim=True).expand(known.shape), distance.argmin(-1)


class CueWeights(nn.Module):
    """How much each cue moves each gate."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weights = nn.Linear(width, len(GATES) * len(CUES))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        with torch.no_grad():
            self.weights.bias[0] = KEPT_WHERE_STILL

    def forward(
        self, tokens: Float[Tensor, "B L D"], views: int, times: int, rows: int
    ) -> Float[Tensor, "3 S B V 1 t h w"]:
        """One weight per gate, cue and token."""
        shape = "b (v t h w) (gate cue) -> gate cue b v 1 t h w"
        return rearrange(self.weights(tokens), shape, v=views, t=times, h=rows, gate=len(GATES))


def pixel_cues(values: ReferenceValues, tubelet: Sequence[int]) -> Float[Tensor, "S B V C t h w"]:
    """`CUES` at every pixel: 1 yes, -1 no, 0 where nothing is known to compute it from. Without gradient."""
    with torch.no_grad():
        change = to_pixels(values.change, tubelet).float().abs().mean(2, keepdim=True)
        differs = to_pixels(values.own - values.across, tubelet).float().abs().mean(2, keepdim=True)
        differed = to_pixels(values.own - values.across + values.change, tubelet).float().abs().mean(2, keepdim=True)
        near = functional.max_pool2d(change.flatten(0, 1), 2 * NEAR + 1, stride=1, padding=NEAR)
        measured = (near.unflatten(0, change.shape[:2]), change, differs, differed)
        available = (
            values.change_known,
            values.change_known,
            values.own_known & values.across_known,
            values.change_known,
        )
        return torch.stack(
            [
                to_latents(1 - 2 * (value / CLEAR).clamp(max=1), values.own, tubelet) * _per_latent(known)
                for value, known in zip(measured, available, strict=True)
            ]
        )


def add_cues(
    gates: Sequence[Tensor], weights: Float[Tensor, "3 S B V 1 t h w"], cues: Float[Tensor, "S B V C t h w"]
) -> list[Tensor]:
    """The gates' logits plus the weighted cues of every pixel."""
    return [gate + (weight.type_as(gate) * cues).sum(0) for gate, weight in zip(gates, weights, strict=True)]


def _per_latent(known: Bool[Tensor, "B V t"]) -> Bool[Tensor, "B V 1 t 1 1"]:
    return known[:, :, None, :, None, None]
