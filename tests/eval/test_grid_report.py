"""Scenes are paired by name, scored by every metric that can be, and the rest say what they lack."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid, known_pattern
from fourreal.eval.baselines import copy_view
from fourreal.eval.grid_pair import GridPair, pair_scenes
from fourreal.eval.grid_report import (
    clip_s_metric,
    image_metrics_without_weights,
    lpips_metric,
    measure,
    stand_in_distance_metric,
)
from fourreal.eval.image_metrics import psnr
from fourreal.eval.scores import (
    Interval,
    Measured,
    NotComputed,
    bootstrap_interval,
    mean_score,
    paired_difference,
)


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
    made = {name: copy_view(grid.with_known("cross")) for name, grid in truth.items()}
    return list(pair_scenes(made, truth, "cross"))


def test_every_metric_scores_only_the_cells_that_were_not_given(pairs, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("FOURREAL_WEIGHTS", str(tmp_path))
    metrics = [*image_metrics_without_weights(), stand_in_distance_metric("laplacian"), lpips_metric(), clip_s_metric()]
    reports = {report.metric.name: report for report in measure(pairs, metrics)}
    whole, moving = reports["PSNR"], reports["PSNR (moving)"]
    assert isinstance(whole.score, Measured)
    assert isinstance(moving.score, Measured)
    assert whole.score.samples == 4
    assert whole.per_cell["scene0"].shape == (2 * 3,), "the cross leaves two views at three times"
    expected = psnr(pairs[0].generated.frames[1:, 1:].flatten(0, 1), pairs[0].truth.frames[1:, 1:].flatten(0, 1))
    torch.testing.assert_close(whole.per_cell["scene0"], expected)
    assert whole.per_scene["scene0"] == pytest.approx(float(expected.mean()))
    assert moving.score.value < whole.score.value - 3, "all of the error is where things moved"
    assert whole.score.interval is not None
    assert whole.score.interval.low <= whole.score.value <= whole.score.interval.high
    for name, file in (("LPIPS (AlexNet)", "alexnet-owt-7be5be79.pth"), ("CLIP-S", "clip")):
        score = reports[name].score
        assert isinstance(score, NotComputed)
        assert file in score.reason
        assert str(tmp_path) in score.reason
        assert "get it from" in score.reason


def test_perfect_grids_are_ideal_and_order_does_not_matter(pairs) -> None:
    perfect = [GridPair(p.scene, p.truth, p.truth, p.given) for p in pairs]
    metrics = [*image_metrics_without_weights(), stand_in_distance_metric("laplacian")]
    values = [report.score.value for report in measure(perfect, metrics)]
    assert values == pytest.approx([math.inf, math.inf, 1.0, 0.0, 0.0], abs=1e-6)
    forward, backward = measure(pairs, metrics), measure(pairs[::-1], metrics)
    for one, other in zip(forward, backward, strict=True):
        assert one.score.value == pytest.approx(other.score.value, rel=1e-9)
        assert one.per_scene == pytest.approx(other.per_scene)


def test_scenes_without_motion_have_no_moving_psnr(pairs) -> None:
    still = VideoGrid.complete(pairs[0].truth.frames[:, :1].expand(-1, 4, -1, -1, -1), torch.arange(4.0))
    frozen = GridPair("still", still, still, pairs[0].given)
    moving = {report.metric.name: report for report in measure([frozen], image_metrics_without_weights())}
    assert moving["PSNR (moving)"].score == NotComputed("there was nothing to measure in any scene")
    both = {report.metric.name: report for report in measure([frozen, pairs[1]], image_metrics_without_weights())}
    assert "1 of 2 scenes had nothing to measure" in both["PSNR (moving)"].score.note


def test_foreground_limits_what_counts(pairs) -> None:
    pair = pairs[0]
    mask = torch.zeros(3, 4, 40, 40, dtype=torch.bool)
    mask[..., 30:, :] = True
    outside = GridPair(pair.scene, pair.generated, pair.truth, pair.given, foreground=mask)
    report = measure([outside], image_metrics_without_weights()[:1])[0]
    assert math.isinf(report.score.value), "the square never comes down there"


def test_scenes_must_match(pairs) -> None:
    truth = {pair.scene: pair.truth for pair in pairs}
    with pytest.raises(InputError, match="no generated grid for 2 scenes: scene0, scene2"):
        list(pair_scenes({k: v for k, v in truth.items() if k not in ("scene0", "scene2")}, truth, "cross"))
    with pytest.raises(InputError, match="no true grid for 1 scenes: extra"):
        list(pair_scenes(truth | {"extra": truth["scene0"]}, truth, "cross"))
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
            GridPair("x", made, true, given)
    with pytest.raises(InputError, match="no scene to score"):
        measure([], image_metrics_without_weights())
    with pytest.raises(InputError, match="two scenes are called"):
        measure([pairs[0], pairs[0]], image_metrics_without_weights())


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
