"""Grids read as rows, columns, diagonals and raster; FVD over them; features cached by content."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid, known_pattern
from fourreal.eval.feature_cache import FeatureCache, video_features
from fourreal.eval.frechet import frechet_score
from fourreal.eval.grid_scans import given_videos, scan_videos
from fourreal.eval.scores import Measured
from fourreal.perception.random_features import RandomImageFeatures, RandomVideoFeatures


def numbered(views: int, times: int) -> torch.Tensor:
    """A grid whose every pixel says 10 * view + time (in hundredths)."""
    cells = 10 * torch.arange(views)[:, None] + torch.arange(times)
    return (cells / 100)[:, :, None, None, None].expand(views, times, 3, 4, 4)


def read(videos: list[torch.Tensor]) -> list[list[int]]:
    return [(100 * video[:, 0, 0, 0]).round().int().tolist() for video in videos]


def grids(count: int, seed: int, gain: float = 1.0) -> list[VideoGrid]:
    generator = torch.Generator().manual_seed(seed)
    return [
        VideoGrid.complete(torch.rand(3, 4, 3, 16, 16, generator=generator) * gain, torch.arange(4.0))
        for _ in range(count)
    ]


@dataclass
class MeanColour:
    """A feature network one can compute by hand."""

    name: str = "mean colour"
    fingerprint: str = "mean-colour"
    min_frames: int = 6
    lengths: list[int] = field(default_factory=list)

    def __call__(self, video: torch.Tensor) -> torch.Tensor:
        self.lengths.append(len(video))
        return video.mean((0, 2, 3))


def test_the_four_scans() -> None:
    frames = numbered(2, 3)
    assert read(scan_videos(frames, "rows")) == [[0, 1, 2], [10, 11, 12]]
    assert read(scan_videos(frames, "columns")) == [[0, 10], [1, 11], [2, 12]]
    assert read(scan_videos(frames, "diagonals")) == [[0, 11], [1, 12]]
    assert read(scan_videos(numbered(3, 2), "diagonals")) == [[0, 11], [10, 21]]
    assert read(scan_videos(frames, "raster")) == [[0, 1, 2, 12, 11, 10]]


def test_neighbours_in_the_raster_are_neighbours_in_the_grid() -> None:
    order = read(scan_videos(numbered(5, 4), "raster"))[0]
    assert sorted(order) == sorted(10 * v + t for v in range(5) for t in range(4))
    for a, b in itertools.pairwise(order):
        assert abs(a // 10 - b // 10) + abs(a % 10 - b % 10) == 1


def test_only_complete_inputs_count_as_given_videos() -> None:
    grid = VideoGrid.complete(numbered(3, 4), torch.arange(4.0))
    cross = known_pattern("cross", 3, 4)
    assert read(given_videos(grid, cross, "rows")) == [[0, 1, 2, 3]]
    assert read(given_videos(grid, cross, "columns")) == [[0, 10, 20]]
    assert given_videos(grid, known_pattern("row", 3, 4), "columns") == []


def fvd(generated: list[VideoGrid], truth: list[VideoGrid], scan, network, cache=None) -> Measured:
    """FVD over the videos that a scan reads in the grids."""
    sides = ([video for grid in side for video in scan_videos(grid.frames, scan)] for side in (generated, truth))
    return frechet_score(*(video_features(videos, network, cache) for videos in sides))


@pytest.mark.parametrize("scan", ["rows", "columns", "diagonals", "raster"])
def test_fvd_is_zero_on_the_truth_and_grows_with_the_change(scan) -> None:
    truth = grids(4, 0)
    network = RandomVideoFeatures()
    darker = [VideoGrid.complete(grid.frames * 0.9, grid.seconds) for grid in truth]
    darkest = [VideoGrid.complete(grid.frames * 0.5, grid.seconds) for grid in truth]
    same, near, far = (fvd(made, truth, scan, network) for made in (truth, darker, darkest))
    assert same.value == pytest.approx(0, abs=1e-6)
    assert near.value > 1e-4
    assert far.value > 2 * near.value
    assert "covariance is singular" in same.note


def test_order_of_scenes_does_not_matter_but_order_of_frames_does() -> None:
    truth, made = grids(3, 0), grids(3, 1)
    network = RandomVideoFeatures()
    value = fvd(made, truth, "rows", network).value
    assert fvd(made[::-1], truth, "rows", network).value == pytest.approx(value, rel=1e-6)
    ramp = torch.linspace(0, 1, 4)[None, :, None, None, None] * torch.ones(3, 4, 3, 16, 16)
    smooth = [VideoGrid.complete(ramp, torch.arange(4.0))]
    jumbled = [VideoGrid.complete(ramp[:, [0, 2, 1, 3]], torch.arange(4.0))]
    assert fvd(jumbled, smooth, "rows", network).value > 1e-6


def test_fvd_equals_the_distance_of_hand_made_features() -> None:
    truth, made = grids(5, 0), grids(5, 1, gain=0.7)
    colours = [torch.stack([row.mean((0, 2, 3)) for g in side for row in g.frames]) for side in (made, truth)]
    expected = float((colours[0].mean(0) - colours[1].mean(0)).square().sum())
    score = fvd(made, truth, "rows", MeanColour())
    assert score.value == pytest.approx(expected, abs=1e-3)
    assert score.samples == 15


def test_fid_of_frames() -> None:
    network = RandomImageFeatures()
    truth, made = (torch.cat([network(g.frames.flatten(0, 1)) for g in grids(3, seed)]) for seed in (0, 1))
    assert frechet_score(truth, truth).value == pytest.approx(0, abs=1e-6)
    assert frechet_score(made, truth).value > 0
    with pytest.raises(InputError, match="at least one video"):
        video_features([], RandomVideoFeatures())


def test_features_are_computed_once_and_again_when_anything_changes(tmp_path: Path) -> None:
    truth, network = grids(2, 0), MeanColour()
    cache = FeatureCache(tmp_path / "features")
    first = fvd(truth, truth, "rows", network, cache)
    assert (len(network.lengths), cache.hits) == (6, 6)
    again = fvd(truth, truth, "rows", network, FeatureCache(tmp_path / "features"))
    assert len(network.lengths) == 6
    assert again == first
    video = truth[0].frames[0]
    cache.video(network, video * 0.99)
    cache.video(MeanColour(fingerprint="other"), video)
    assert cache.misses == 8
    # A damaged entry is not trusted.
    for entry in (tmp_path / "features").rglob("*.safetensors"):
        entry.write_bytes(b"damaged")
    torch.testing.assert_close(cache.video(network, video), video.mean((0, 2, 3)))
    assert not list((tmp_path / "features").rglob("*.partial*"))
