"""The Frechet distance between two sets of feature vectors, each taken as a Gaussian.

    d = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2)

Everything is float64; the root is of a symmetric matrix, so no complex numbers appear and nothing
is added to the diagonals. Not a percentage of anything: 0 is equal, there is no upper end.

Source: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule" (2017), equation 6; for videos
Unterthiner et al., "FVD: A new metric for video generation" (2019), equation 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.eval.scores import Interval, Measured, bootstrap_interval

BOOTSTRAP_DRAWS = 100
"""Each draw needs an eigen-decomposition, so fewer than for a mean."""


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Mean and covariance of feature vectors.

    Attributes:
        mean: float64.
        covariance: with the n - 1 divisor; zero for a single vector.
        samples: how many vectors.
    """

    mean: Float64[Tensor, "D"]
    covariance: Float64[Tensor, "D D"]
    samples: int

    @classmethod
    def of(cls, features: Float[Tensor, "N D"]) -> FeatureStatistics:
        """Raises InputError for no vectors, or NaN among them."""
        if not len(features):
            raise InputError("a Frechet distance needs at least one feature vector; got none")
        if not torch.isfinite(features).all():
            raise InputError("feature vectors hold NaN or infinity; the network or a frame is broken")
        features = features.double()
        mean = features.mean(0)
        centred = features - mean
        return cls(mean, centred.mT @ centred / max(len(features) - 1, 1), len(features))

    @property
    def warning(self) -> str:
        """One sentence when there are too few samples for the covariance to have full rank."""
        dims = len(self.mean)
        if self.samples > dims:
            return ""
        return (
            f"{self.samples} samples for {dims} features: the covariance is singular and the distance biased upwards; "
            f"compare only with distances from as many samples, or use more than {dims}"
        )


def frechet_distance(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """The distance; 0 for equal statistics, symmetric, lower is nearer.

    Raises:
        InputError: the two are of different networks (feature lengths differ).
    """
    if a.mean.shape != b.mean.shape:
        raise InputError(f"features of one network expected on both sides; lengths are {len(a.mean)} and {len(b.mean)}")
    root = symmetric_root(a.covariance)
    # The trace of a root is the sum of the roots of the eigenvalues: no second root is needed.
    cross = torch.linalg.eigvalsh(root @ b.covariance @ root).clamp(min=0).sqrt().sum()
    distance = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * cross
    return max(float(distance), 0.0)


def frechet_score(
    generated: Float[Tensor, "N D"], reference: Float[Tensor, "M D"] | FeatureStatistics, *, seed: int = 0
) -> Measured:
    """The distance with a bootstrap interval over the generated vectors, and a note on small samples.

    The interval is shifted so that it surrounds the value: resampling repeats vectors, which by
    itself moves every Frechet distance up.
    """
    statistics = reference if isinstance(reference, FeatureStatistics) else FeatureStatistics.of(reference)
    mine = FeatureStatistics.of(generated)
    value = frechet_distance(mine, statistics)
    resampled = _resampled_distance(generated.double(), statistics)
    draws: list[float] = []

    def remembered(drawn: Tensor) -> float:
        draws.append(resampled(drawn))
        return draws[-1]

    interval = bootstrap_interval(len(generated), remembered, seed=seed, draws=BOOTSTRAP_DRAWS)
    if interval is not None:
        shift = value - sorted(draws)[len(draws) // 2]
        interval = Interval(max(interval.low + shift, 0.0), max(interval.high + shift, 0.0), interval.level)
    notes = [f"{side}: {s.warning}" for side, s in (("generated", mine), ("reference", statistics)) if s.warning]
    return Measured(value, len(generated), interval, "; ".join(notes))


def _resampled_distance(features: Float64[Tensor, "N D"], reference: FeatureStatistics) -> Callable[[Tensor], float]:
    """The distance of a resample of `features`, by whichever of two equal spectra is smaller.

    With centred features X, the eigenvalues of S2^1/2 S1 S2^1/2 are those of X S2 X^T / (n - 1) and
    zeros. That matrix is [n, n], is resampled by indexing, and needs no root.
    """
    samples, dims = features.shape
    root = None if samples <= dims else symmetric_root(reference.covariance)
    gram = features @ reference.covariance @ features.mT if samples <= dims else None

    def distance(drawn: Tensor) -> float:
        chosen = features[drawn]
        mean = chosen.mean(0)
        centred = chosen - mean
        if gram is not None:
            part = gram[drawn][:, drawn]
            part = part - part.mean(0) - part.mean(1)[:, None] + part.mean()
            spectrum = torch.linalg.eigvalsh(part / (samples - 1))
        else:
            assert root is not None
            spectrum = torch.linalg.eigvalsh(root @ (centred.mT @ centred / (samples - 1)) @ root)
        spread = centred.square().sum() / (samples - 1) + reference.covariance.trace()
        apart = (mean - reference.mean).square().sum()
        return max(float(apart + spread - 2 * spectrum.clamp(min=0).sqrt().sum()), 0.0)

    return distance


def symmetric_root(matrix: Float64[Tensor, "D D"]) -> Float64[Tensor, "D D"]:
    """The positive root of a symmetric positive semi-definite matrix; rounding below zero becomes zero."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.mT
