"""Pairs are scored by every metric that can be computed; intervals follow from the scenes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid, known_pattern
from fourreal.eval.baselines import copy_view
from fourreal.eval.grid_pair import GridPair
from fourreal.eval.image_metrics import psnr
from fourreal.eval.pair_metrics import pair_metrics
from fourreal.eval.protocols.pair_scores import PSNR_CEILING_DB, PairScores
from fourreal.eval.protocols.protocol import Extent
from fourreal.eval.scores import Measured, NotComputed, bootstrap_interval, mean_score, paired_difference

PIXELWISE = ("PSNR", "PSNR (moving)", "SSIM", "MSE")


def moving_square(seed: int) -> VideoGrid:
    """A bright square that walks over a random background, in three views and four times."""
    generator = torch.Generator().manual_seed(seed)
    frames = torch.rand(3, 1, 3, 40, 40, generator=generator).repeat(1, 4, 1, 1, 1) * 0.5
    for time in range(4):
        frames[:, time, :, 10:20, 5 + 6 * time : 15 + 6 * time] = 1.0
    return VideoGrid.complete(frames, torch.arange(4.0))


@pytest.fixture
def pair() -> GridPair:
    truth = moving_square(0)
    given = truth.with_known("cross")
    return GridPair("scene0", copy_view(given), truth, given.known)


def values(pair: GridPair) -> dict[str, torch.Tensor]:
    return {metric.name: load()(pair) for metric, load in pair_metrics(PIXELWISE).items()}


def test_every_metric_scores_only_the_cells_that_were_not_given(pair) -> None:
    found = values(pair)
    assert found["PSNR"].shape == (2 * 3,), "the cross leaves two views at three times"
    expected = psnr(pair.generated.frames[1:, 1:].flatten(0, 1), pair.truth.frames[1:, 1:].flatten(0, 1))
    torch.testing.assert_close(found["PSNR"], expected)
    assert bool((found["PSNR (moving)"] < found["PSNR"] - 3).all()), "all of the error is where things moved"


def test_absent_weights_are_named_and_the_rest_is_scored(pair, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("FOURREAL_WEIGHTS", str(tmp_path))
    scores = PairScores(("PSNR", "LPIPS (AlexNet)", "CLIP-S"), Extent())
    assert [metric.name for metric in scores.metrics] == ["PSNR", "LPIPS (AlexNet)", "CLIP-S"]
    for name, file in (("LPIPS (AlexNet)", "alexnet-owt-7be5be79.pth"), ("CLIP-S", "clip")):
        assert file in scores.absent[name]
        assert str(tmp_path) in scores.absent[name]
        assert "get it from" in scores.absent[name]
    assert set(scores.score(pair).cells) == {"PSNR"}


def test_perfect_grids_are_ideal(pair) -> None:
    perfect = GridPair(pair.scene, pair.truth, pair.truth, pair.given)
    assert [float(v.mean()) for v in values(perfect).values()] == pytest.approx([math.inf, math.inf, 1.0, 0.0])
    assert float(PairScores(("PSNR",), Extent()).score(perfect).cells["PSNR"].mean()) == PSNR_CEILING_DB


def test_scenes_without_motion_have_no_moving_psnr(pair) -> None:
    still = VideoGrid.complete(pair.truth.frames[:, :1].expand(-1, 4, -1, -1, -1), torch.arange(4.0))
    moving = values(GridPair("still", still, still, pair.given))["PSNR (moving)"]
    assert bool(moving.isnan().all())
    assert mean_score([math.nan]) == NotComputed("there was nothing to measure in any scene")
    both = mean_score([math.nan, 20.0])
    assert isinstance(both, Measured)
    assert "1 of 2 scenes had nothing to measure" in both.note


def test_pairs_must_match(pair) -> None:
    true, cross = pair.truth, known_pattern("cross", 3, 4)
    for made, given, says in (
        (true.select(times=[0, 1, 2]), cross, r"generated views x times \(3, 3\), truth \(3, 4\)"),
        (VideoGrid.complete(true.frames[..., :30], true.seconds), cross, r"generated \(height, width\) \(40, 30\)"),
        (true.with_known("cross"), cross, "needs a complete grid; missing cells"),
        (true, known_pattern("all", 3, 4), "every cell was given"),
        (true, cross[:2], "given cells of shape"),
    ):
        with pytest.raises(InputError, match=says):
            GridPair("x", made, true, given)


def test_bootstrap_intervals() -> None:
    generator = torch.Generator().manual_seed(3)
    values = torch.randn(200, generator=generator, dtype=torch.float64) * 2 + 5
    score = mean_score(values.tolist())
    assert isinstance(score, Measured)
    assert score.interval is not None
    # The normal approximation of the mean's interval.
    half = 1.96 * float(values.std()) / 200**0.5
    assert score.interval[0] == pytest.approx(score.value - half, abs=0.1 * half)
    assert score.interval[1] == pytest.approx(score.value + half, abs=0.1 * half)
    assert mean_score(values.tolist()) == score
    assert mean_score([4.0]).interval is None
    assert mean_score([math.inf, math.inf]).interval == (math.inf, math.inf)
    assert isinstance(mean_score([math.nan]), NotComputed)
    narrow = bootstrap_interval(200, lambda drawn: float(values[drawn].mean()), level=0.5)
    assert narrow is not None
    assert score.interval[0] < narrow[0] < narrow[1] < score.interval[1]


def test_a_paired_difference_is_sharper_than_two_intervals() -> None:
    scenes = torch.randn(30, generator=torch.Generator().manual_seed(0)) * 5
    difference = paired_difference(scenes + 0.5, scenes)
    assert difference.value == pytest.approx(0.5, abs=1e-6)
    assert difference.interval is not None
    assert difference.interval[1] - difference.interval[0] < 0.01
