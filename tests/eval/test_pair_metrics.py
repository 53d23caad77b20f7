"""Pairs are scored by every metric that can be computed; the others name what is missing."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid, known_pattern
from fourreal.eval.baselines import copy_view
from fourreal.eval.grid_pair import GridPair
from fourreal.eval.image_metrics import psnr
from fourreal.eval.pair_metrics import (
    clip_s_metric,
    image_metrics_without_weights,
    lpips_metric,
    stand_in_distance_metric,
)
from fourreal.eval.scores import (
    Interval,
    Measured,
    Metric,
    NotComputed,
    bootstrap_interval,
    mean_score,
    paired_difference,
)
from fourreal.perception.needed_weights import MissingWeights


def moving_square(seed: int) -> VideoGrid:
    """A bright square that walks over a random background, in three views and four times."""
    generator = torch.Generator().manual_seed(seed)
    frames = torch.rand(3, 1, 3, 40, 40, generator=generator).repeat(1, 4, 1, 1, 1) * 0.5
    for time in range(4):
        frames[:, time, :, 10:20, 5 + 6 * time : 15 + 6 * time] = 1.0
    return VideoGrid.complete(frames, torch.arange(4.0))


@pytest.fixture
def pairs() -> list[GridPair]:
    truth = {f"scene{seed}": moving_square(seed) for seed in range(4)}
    return [pair(name, copy_view(grid.with_known("cross")), grid) for name, grid in truth.items()]


def pair(scene: str, generated: VideoGrid, truth: VideoGrid) -> GridPair:
    given = known_pattern("cross", *truth.known.shape)
    return GridPair(scene=scene, generated=generated, truth=truth, given=given)


def values(metric: Metric, pair: GridPair) -> torch.Tensor:
    assert metric.load is not None
    return metric.load()(pair)


def test_every_metric_scores_only_the_cells_that_were_not_given(pairs, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("FOURREAL_WEIGHTS", str(tmp_path))
    whole, moving, *_ = image_metrics_without_weights()
    expected = psnr(pairs[0].generated.frames[1:, 1:].flatten(0, 1), pairs[0].truth.frames[1:, 1:].flatten(0, 1))
    assert values(whole, pairs[0]).shape == (2 * 3,), "the cross leaves two views at three times"
    torch.testing.assert_close(values(whole, pairs[0]), expected)
    assert (values(moving, pairs[0]).nanmean() < expected.mean() - 3).item(), "all of the error is where things moved"
    for metric, file in ((lpips_metric(), "alexnet-owt-7be5be79.pth"), (clip_s_metric(), "clip")):
        with pytest.raises(MissingWeights) as missing:
            values(metric, pairs[0])
        assert all(part in str(missing.value) for part in (file, str(tmp_path), "get it from"))


def test_perfect_grids_are_ideal(pairs) -> None:
    perfect = pair("perfect", pairs[0].truth, pairs[0].truth)
    metrics = [*image_metrics_without_weights(), stand_in_distance_metric("laplacian")]
    ideal = [float(values(metric, perfect).nanmean()) for metric in metrics]
    assert ideal == pytest.approx([math.inf, math.inf, 1.0, 0.0, 0.0], abs=1e-6)


def test_scenes_without_motion_have_no_moving_psnr(pairs) -> None:
    still = VideoGrid.complete(pairs[0].truth.frames[:, :1].expand(-1, 4, -1, -1, -1), torch.arange(4.0))
    assert values(image_metrics_without_weights()[1], pair("still", still, still)).isnan().all()
    assert mean_score([math.nan]) == NotComputed("there was nothing to measure in any scene")
    both = mean_score([math.nan, 20.0])
    assert isinstance(both, Measured)
    assert "1 of 2 scenes had nothing to measure" in both.note


def test_foreground_limits_what_counts(pairs) -> None:
    mask = torch.zeros(3, 4, 40, 40, dtype=torch.bool)
    mask[..., 30:, :] = True
    outside = replace(pairs[0], foreground=mask)
    assert values(image_metrics_without_weights()[0], outside).isinf().all(), "the square never comes down there"


def test_grids_that_do_not_match_are_refused(pairs) -> None:
    true = pairs[0].truth
    cross = known_pattern("cross", 3, 4)
    for made, given, says in (
        (true.select(times=[0, 1, 2]), cross, r"generated views x times \(3, 3\), truth \(3, 4\)"),
        (VideoGrid.complete(true.frames[..., :30], true.seconds), cross, r"generated \(height, width\) \(40, 30\)"),
        (true.with_known("cross"), cross, "needs a complete grid; missing cells"),
        (true, known_pattern("all", 3, 4), "every cell was given"),
        (true, cross[:2], "given cells of shape"),
    ):
        with pytest.raises(InputError, match=says):
            GridPair(scene="x", generated=made, truth=true, given=given)


def test_bootstrap_intervals() -> None:
    generator = torch.Generator().manual_seed(3)
    values = torch.randn(200, generator=generator, dtype=torch.float64) * 2 + 5
    score = mean_score(values.tolist())
    assert isinstance(score, Measured)
    assert score.interval is not None
    # The normal approximation of the mean's interval.
    half = 1.96 * float(values.std()) / 200**0.5
    assert score.interval.low == pytest.approx(score.value - half, abs=0.1 * half)
    assert score.interval.high == pytest.approx(score.value + half, abs=0.1 * half)
    assert mean_score(values.tolist()) == score
    assert mean_score([4.0]).interval is None
    assert mean_score([math.inf, math.inf]).interval == Interval(math.inf, math.inf)
    assert isinstance(mean_score([math.nan]), NotComputed)
    narrow = bootstrap_interval(200, lambda drawn: float(values[drawn].mean()), level=0.5)
    assert narrow is not None
    assert score.interval.low < narrow.low < narrow.high < score.interval.high
    with pytest.raises(InputError, match="between 0 and 1"):
        bootstrap_interval(5, lambda drawn: 0.0, level=95)


def test_a_paired_difference_is_sharper_than_two_intervals() -> None:
    scenes = torch.randn(30, generator=torch.Generator().manual_seed(0)) * 5
    difference = paired_difference(scenes + 0.5, scenes)
    assert difference.value == pytest.approx(0.5, abs=1e-6)
    assert difference.interval is not None
    assert difference.interval.high - difference.interval.low < 0.01
