"""What a draft is taught: where every pixel is in another frame, from the worlds' exact flow, and the true frames.

Source: Teed and Deng, "RAFT" (2020), section 3.4 (later guesses weigh more); Sun et al., "LoFTR" (2021), section 3.5
(the likelihood of the right match in the whole frame).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from fourreal.train.flow_truth import FlowTruth
from fourreal.train.task import Losses
from fourreal.video.draft.composing import Composed
from fourreal.video.draft.matching import FLOW_UNIT, Matches
from fourreal.video.draft.warping import resized_flow

MOVING_WEIGHT = 4.0
HIDDEN_WEIGHT = 0.1
EMPTY_WEIGHT = 0.02
"""Of sky and white backgrounds, which look the same wherever a flow points."""
EARLIER = 0.8
"""Weight of a guess against that of the one after it."""
FLOW_SHARE = 0.05
"""Weight of where a composed pixel points against what it shows."""
DECIBELS = 0.02
"""Weight of the logarithm of the mean squared error, of all pixels and of moving ones, against the distance."""
SMALLEST_ERROR = 1e-4
FARTHEST = 1.5
"""Flows longer than so many frame sides say nothing that a frame could show; they do not count."""


def matching_losses(matches: Matches, truth: FlowTruth) -> Losses:
    """Distance of all guesses, likelihood of the right match in the whole frame, and of what is said to be visible."""
    far = guesses_distance([*matches.guesses, matches.flow], truth)
    seen = functional.binary_cross_entropy_with_logits(matches.visible, truth.visible.float())
    error = _mean(distance_of(matches.flow, truth), truth.visible & truth.solid)
    losses = {"loss": far + seen, "visible": seen, "error": error}
    if matches.similarity is not None:
        losses["likelihood"] = match_likelihood(matches.similarity, truth)
        losses["loss"] = losses["loss"] + 0.2 * losses["likelihood"]
    return losses


def composing_losses(
    made: Composed, true: Float[Tensor, "N 3 H W"], changed: Bool[Tensor, "N 1 H W"], own: FlowTruth, row: FlowTruth
) -> Losses:
    """Distance and decibels of the frames; and, with a small weight, of where their pixels are in the known ones.

    Args:
        changed: pixels whose colour differs from the own frame's; they count as moving ones do.
        own, row: where the unknown frames' pixels are in the own frames and in the row's.
    """
    difference = made.frames - true
    weights = torch.where(changed, MOVING_WEIGHT, 1.0)
    distance = _mean(difference.abs().mean(1, keepdim=True), weights)
    squared = difference.square().mean(1)
    of_all = (squared.mean((-2, -1)) + SMALLEST_ERROR).log()
    counts = changed[:, 0].sum((-2, -1))
    of_moving = ((squared * changed[:, 0]).sum((-2, -1)) / counts.clamp(min=1) + SMALLEST_ERROR).log()
    decibels = of_all.mean() + (of_moving * (counts > 0)).mean()
    seen = torch.cat([own.visible, row.visible], 1).float()
    far = guesses_distance(made.own, own) + guesses_distance(made.row, row)
    far = far + functional.binary_cross_entropy_with_logits(made.seen, seen)
    return {
        "loss": distance + DECIBELS * decibels + FLOW_SHARE * far,
        "distance": distance,
        "decibels": -10 / torch.tensor(10.0).log() * of_all.mean(),
        "flow": far,
        "error_row": _mean(distance_of(made.row[-1], row), row.visible & row.moving),
    }


def guesses_distance(guesses: Sequence[Float[Tensor, "M 2 _h _w"]], truth: FlowTruth) -> Float[Tensor, ""]:
    """Weighted distance of all guesses from the truth, in units of `FLOW_UNIT`; later ones count more."""
    size = (truth.flow.shape[-2], truth.flow.shape[-1])
    weights = pixel_weights(truth)
    far = torch.zeros((), device=truth.flow.device)
    for age, guess in enumerate(reversed(guesses)):
        distance = (resized_flow(guess, size) - truth.flow).abs().sum(1, keepdim=True)
        far = far + EARLIER**age * _mean(distance, weights) / FLOW_UNIT
    return far


def pixel_weights(truth: FlowTruth) -> Float[Tensor, "M 1 H W"]:
    """How much a pixel's flow counts: more where things move, little where it is hidden, nothing far away."""
    weights = torch.where(truth.moving, MOVING_WEIGHT, 1.0) * torch.where(truth.visible, 1.0, HIDDEN_WEIGHT)
    weights = weights * torch.where(truth.solid, 1.0, EMPTY_WEIGHT)
    return weights * (truth.flow.abs().amax(1, keepdim=True) < FARTHEST * max(truth.flow.shape[-2:]))


def distance_of(flow: Float[Tensor, "M 2 H W"], truth: FlowTruth) -> Float[Tensor, "M 1 H W"]:
    """Pixels between where a flow and the truth point."""
    return (flow - truth.flow).square().sum(1, keepdim=True).sqrt()


def match_likelihood(similarity: Float[Tensor, "M P P"], truth: FlowTruth) -> Float[Tensor, ""]:
    """Minus the mean log probability of the right places, of those around the true one by their bilinear weights."""
    height, width = truth.flow.shape[-2] // 4, truth.flow.shape[-1] // 4
    flow, visible = (values[..., 2::4, 2::4] for values in (truth.flow, truth.visible))
    moving, solid = (values[..., 2::4, 2::4] for values in (truth.moving, truth.solid))
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    # The pixel right below a quarter pixel's middle stands for it.
    place = torch.stack([x, y]).to(flow) + flow / 4
    low = place.floor()
    share = place - low
    chances = rearrange(similarity.log_softmax(-1), "m (h w) p -> m p h w", h=height)
    total = torch.zeros_like(place[:, 0])
    for dy in (0, 1):
        for dx in (0, 1):
            column, row = low[:, 0] + dx, low[:, 1] + dy
            weight = (share[:, 0] if dx else 1 - share[:, 0]) * (share[:, 1] if dy else 1 - share[:, 1])
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            where = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long()
            chance = chances.gather(1, where[:, None])[:, 0]
            total = total + torch.where(inside, weight * chance, 0)
    counts = visible[:, 0] * torch.where(moving[:, 0], MOVING_WEIGHT, 1.0) * torch.where(solid[:, 0], 1.0, EMPTY_WEIGHT)
    return _mean(-total, counts)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    weights = weights.to(values.dtype)
    return (values * weights).sum() / weights.sum().clamp(min=1)
