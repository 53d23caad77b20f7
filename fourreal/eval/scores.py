"""Metrics and their results: a value with its interval, or the reason why there is none.

Intervals are bootstrap percentiles over scenes. Scenes are the unit that was drawn at random; cells
of one scene are alike, so resampling cells would give intervals that are too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

Better = Literal["higher", "lower"]
"""Which direction is better."""


@dataclass(frozen=True)
class Metric:
    """A column of a table.

    Attributes:
        pooled: one value of all scenes together (a Frechet distance), not a mean over scenes.
    """

    name: str
    better: Better
    unit: str = ""
    pooled: bool = False


@dataclass(frozen=True)
class Measured:
    """A value that was computed.

    Attributes:
        value: the score, in the metric's unit.
        samples: how many scenes (or videos, for a Frechet distance) it rests on.
        interval: (low, high) of the bootstrap; None for fewer than two samples.
        note: what limits it, such as a small sample.
    """

    value: float
    samples: int
    interval: tuple[float, float] | None = None
    note: str = ""


@dataclass(frozen=True)
class NotComputed:
    """Why there is no value: absent weights, nothing to measure, cameras not given."""

    reason: str


Score: TypeAlias = Measured | NotComputed


def mean_score(per_scene: Sequence[float], *, seed: int = 0, note: str = "") -> Score:
    """The mean over scenes with its bootstrap interval. NaN means "nothing to measure in this scene"."""
    counted = [value for value in per_scene if not math.isnan(value)]
    if not counted:
        return NotComputed("there was nothing to measure in any scene")
    left_out = len(per_scene) - len(counted)
    if left_out:
        skipped = f"{left_out} of {len(per_scene)} scenes had nothing to measure"
        note = f"{note}; {skipped}" if note else skipped
    values = torch.tensor(counted, dtype=torch.float64)
    interval = bootstrap_interval(len(counted), lambda drawn: float(values[drawn].mean()), seed=seed)
    return Measured(float(values.mean()), len(counted), interval, note)


def bootstrap_interval(
    samples: int,
    statistic: Callable[[Int[Tensor, "N"]], float],
    *,
    seed: int = 0,
    draws: int = 1000,
    level: float = 0.95,
) -> tuple[float, float] | None:
    """Percentile bootstrap of a statistic over `samples` items, the same for the same seed.

    Args:
        statistic: of the items at the indices drawn (with replacement).

        level: share of the bootstrap distribution inside the interval.

    Returns:
        (low, high); None for fewer than two samples.
    """
    assert 0 < level < 1
    if samples < 2:
        return None
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(samples, (draws, samples), generator=generator)
    values = sorted(statistic(row) for row in drawn)
    return _percentile(values, (1 - level) / 2), _percentile(values, (1 + level) / 2)


def _percentile(ordered: Sequence[float], fraction: float) -> float:
    """Linear between neighbours; by hand because infinities (a perfect PSNR) must not become NaN."""
    position = fraction * (len(ordered) - 1)
    below, above = ordered[math.floor(position)], ordered[math.ceil(position)]
    return below if below == above else below + (above - below) * (position - math.floor(position))


def paired_difference(ours: Float[Tensor, "N"], theirs: Float[Tensor, "N"], *, seed: int = 0) -> Measured:
    """Mean of `ours - theirs` over the same scenes with its interval, which is narrower than two separate intervals."""
    assert len(ours)
    difference = (ours - theirs).double()
    interval = bootstrap_interval(len(difference), lambda drawn: float(difference[drawn].mean()), seed=seed)
    return Measured(float(difference.mean()), len(difference), interval)
