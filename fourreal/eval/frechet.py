"""The Frechet distance between two sets of feature vectors, each taken as a Gaussian.

    d = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2)

Everything is float64; the root is of a symmetric matrix, so no complex numbers appear and nothing
is added to the diagonals. 0 is equal; there is no upper bound.

Source: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule" (2017), equation 6; for videos
Unterthiner et al., "FVD: A new metric for video generation" (2019), equation 2.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.eval.scores import Measured, bootstrap_interval

BOOTSTRAP_DRAWS = 100
"""Each draw needs an eigen-decomposition, so fewer than for a mean."""


def mean_and_covariance(features: Float[Tensor, "N D"]) -> tuple[Float64[Tensor, "D"], Float64[Tensor, "D D"]]:
    """Both in float64; the covariance has the divisor n - 1 and is zero for a single vector.

    Raises:
        InputError: there is no vector, or NaN among them.
    """
    if not len(features):
        raise InputError("a Frechet distance needs at least one feature vector; got none")
    if not torch.isfinite(features).all():
        raise InputError("feature vectors hold NaN or infinity; the network or a frame is broken")
    features = features.double()
    mean = features.mean(0)
    centred = features - mean
    return mean, centred.mT @ centred / max(len(features) - 1, 1)


def frechet_distance(
    mean_a: Float64[Tensor, "D"],
    covariance_a: Float64[Tensor, "D D"],
    mean_b: Float64[Tensor, "E"],
    covariance_b: Float64[Tensor, "E E"],
) -> float:
    """The distance of two Gaussians; 0 for equal ones, symmetric, lower is nearer.

    Raises:
        InputError: the two are of different networks (feature lengths differ).
    """
    if mean_a.shape != mean_b.shape:
        raise InputError(f"features of one network expected on both sides; lengths are {len(mean_a)} and {len(mean_b)}")
    root = symmetric_root(covariance_a)
    # The trace of a root is the sum of the roots of the eigenvalues: no second root is needed.
    cross = torch.linalg.eigvalsh(root @ covariance_b @ root).clamp(min=0).sqrt().sum()
    distance = (mean_a - mean_b).square().sum() + covariance_a.trace() + covariance_b.trace() - 2 * cross
    return max(float(distance), 0.0)


def frechet_score(generated: Float[Tensor, "N D"], reference: Float[Tensor, "M E"], *, seed: int = 0) -> Measured:
    """The distance with a bootstrap interval over the generated vectors, and a note on small samples.

    The interval is shifted to contain the value: resampling repeats vectors, which alone increases every Frechet
    distance.

    Raises:
        InputError: as `mean_and_covariance` and `frechet_distance`.
    """
    statistics = mean_and_covariance(reference)
    value = frechet_distance(*mean_and_covariance(generated), *statistics)
    resampled = _resampled_distance(generated.double(), *statistics)
    draws: list[float] = []

    def remembered(drawn: Tensor) -> float:
        draws.append(resampled(drawn))
        return draws[-1]

    interval = bootstrap_interval(len(generated), remembered, seed=seed, draws=BOOTSTRAP_DRAWS)
    if interval is not None:
        shift = value - sorted(draws)[len(draws) // 2]
        interval = (max(interval[0] + shift, 0.0), max(interval[1] + shift, 0.0))
    sides = (("generated", generated), ("reference", reference))
    notes = [f"{side}: {warning}" for side, features in sides if (warning := _small_sample(*features.shape))]
    return Measured(value, len(generated), interval, "; ".join(notes))


def _small_sample(samples: int, dims: int) -> str:
    """One sentence when there are too few samples for the covariance to have full rank."""
    if samples > dims:
        return ""
    return (
        f"{samples} samples for {dims} features: the covariance is singular and the distance biased upwards; "
        f"compare only with distances from as many samples, or use more than {dims}"
    )


def _resampled_distance(
    features: Float64[Tensor, "N D"], reference_mean: Float64[Tensor, "D"], reference_covariance: Float64[Tensor, "D D"]
) -> Callable[[Tensor], float]:
    """The distance of a resample of `features`, by whichever of two equal spectra is smaller.

    With centred features X, the eigenvalues of S2^1/2 S1 S2^1/2 are those of X S2 X^T / (n - 1) and
    zeros. That matrix is [n, n], is resampled by indexing, and needs no root.
    """
    samples, dims = features.shape
    root = None if samples <= dims else symmetric_root(reference_covariance)
    gram = features @ reference_covariance @ features.mT if samples <= dims else None

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
        spread = centred.square().sum() / (samples - 1) + reference_covariance.trace()
        apart = (mean - reference_mean).square().sum()
        return max(float(apart + spread - 2 * spectrum.clamp(min=0).sqrt().sum()), 0.0)

    return distance


def symmetric_root(matrix: Float64[Tensor, "D D"]) -> Float64[Tensor, "D D"]:
    """The positive root of a symmetric positive semi-definite matrix; rounding below zero becomes zero."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.mT
