"""The Frechet distance against its closed form, scipy's matrix root, and its laws."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from fourreal.core.errors import InputError
from fourreal.eval.frechet import _resampled_distance, frechet_distance, frechet_score, mean_and_covariance


def gaussian(count: int, dims: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(dims, dims, generator=generator, dtype=torch.float64)
    return torch.randn(count, dims, generator=generator, dtype=torch.float64) @ mix + shift


def by_scipy(a: torch.Tensor, b: torch.Tensor) -> float:
    x, y = a.numpy(), b.numpy()
    root = scipy.linalg.sqrtm(np.cov(x, rowvar=False) @ np.cov(y, rowvar=False))
    means = x.mean(0) - y.mean(0)
    return float(means @ means + np.trace(np.cov(x, rowvar=False) + np.cov(y, rowvar=False) - 2 * np.real(root)))


def test_closed_form_of_commuting_gaussians() -> None:
    scales_a, scales_b = torch.tensor([1.0, 4.0, 0.25]).double(), torch.tensor([9.0, 1.0, 0.0]).double()
    rotation = torch.linalg.qr(gaussian(3, 3, 5)).Q
    a = torch.tensor([1.0, 2.0, 3.0]).double(), rotation @ scales_a.diag() @ rotation.mT
    b = torch.tensor([1.0, 0.0, 3.5]).double(), rotation @ scales_b.diag() @ rotation.mT
    expected = 4.25 + float((scales_a.sqrt() - scales_b.sqrt()).square().sum())
    assert frechet_distance(*a, *b) == pytest.approx(expected, abs=1e-6)


def test_equals_scipys_matrix_root() -> None:
    a, b = gaussian(80, 12, 0), gaussian(60, 12, 1, shift=0.5)
    ours = frechet_distance(*mean_and_covariance(a), *mean_and_covariance(b))
    assert ours == pytest.approx(by_scipy(a, b), rel=1e-6, abs=1e-6)


def test_laws() -> None:
    a, b = gaussian(30, 6, 0), gaussian(40, 6, 1)
    stats_a, stats_b = mean_and_covariance(a), mean_and_covariance(b)
    distance = frechet_distance(*stats_a, *stats_b)
    assert frechet_distance(*stats_a, *stats_a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(*stats_b, *stats_a) == pytest.approx(distance, rel=1e-9)
    shuffled = mean_and_covariance(a[torch.randperm(30)])
    assert frechet_distance(*shuffled, *stats_b) == pytest.approx(distance, rel=1e-9)
    moved = mean_and_covariance(b + 3)
    apart = float((b.mean(0) + 3 - a.mean(0)).square().sum() - (b.mean(0) - a.mean(0)).square().sum())
    assert frechet_distance(*stats_a, *moved) - distance == pytest.approx(apart, rel=1e-9)
    rotation = torch.linalg.qr(gaussian(6, 6, 9)).Q
    turned = frechet_distance(*mean_and_covariance(a @ rotation), *mean_and_covariance(b @ rotation))
    assert turned == pytest.approx(distance, rel=1e-9)


@pytest.mark.parametrize("samples", [5, 40], ids=["fewer samples than features", "more"])
def test_quick_resampling_equals_the_plain_distance(samples: int) -> None:
    features, reference = gaussian(samples, 8, 2), mean_and_covariance(gaussian(50, 8, 3))
    resampled = _resampled_distance(features, *reference)
    for seed in range(3):
        drawn = torch.randint(samples, (samples,), generator=torch.Generator().manual_seed(seed))
        plain = frechet_distance(*mean_and_covariance(features[drawn]), *reference)
        assert resampled(drawn) == pytest.approx(plain, rel=1e-8)


def test_a_score_carries_its_interval_and_warns_of_small_samples() -> None:
    a, b = gaussian(30, 6, 0).float(), gaussian(40, 6, 1).float()
    score = frechet_score(a, b)
    assert score.interval is not None
    assert score.interval[0] <= score.value <= score.interval[1]
    assert (score.samples, score.note) == (30, "")
    assert frechet_score(a, b).interval == score.interval
    assert frechet_score(a, b, seed=1).interval != score.interval
    few = frechet_score(a, b[:5])
    assert "reference: 5 samples for 6 features" in few.note
    assert "generated" not in few.note
    assert frechet_score(a[:1], b).interval is None


def test_bad_features_are_refused() -> None:
    features = gaussian(5, 3, 0)
    with pytest.raises(InputError, match="at least one feature vector"):
        mean_and_covariance(features[:0])
    with pytest.raises(InputError, match="one network"):
        frechet_distance(*mean_and_covariance(features), *mean_and_covariance(features[:, :2]))
    features[2, 1] = torch.nan
    with pytest.raises(InputError, match="NaN"):
        mean_and_covariance(features)
