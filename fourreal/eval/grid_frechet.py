"""FVD over a grid's rows, columns, diagonals and raster, and FID over its frames.

The reference is whatever videos are given: the true grids (SV4D 2.0), a set of real videos, or the
test inputs (4Real-Video's FVD and FVD-Test). A score's note names the network, how many videos
stand on each side, and when they are too few.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.eval.feature_cache import FeatureCache
from fourreal.eval.frechet import FeatureStatistics, frechet_score
from fourreal.eval.grid_scans import Scan, scan_videos
from fourreal.eval.scores import Measured
from fourreal.perception.feature_network import ImageFeatures, VideoFeatures


def video_features(
    videos: Iterable[Float[Tensor, "_ 3 _ _"]], network: VideoFeatures, cache: FeatureCache | None = None
) -> Float[Tensor, "N D"]:
    """One feature vector a video. Raises InputError when there is no video."""
    features = [network(video) if cache is None else cache.video(network, video) for video in videos]
    if not features:
        raise InputError("a Frechet distance needs at least one video on each side; got none")
    return torch.stack(features)


def grid_features(
    grids: Iterable[VideoGrid], scan: Scan, network: VideoFeatures, cache: FeatureCache | None = None
) -> Float[Tensor, "N D"]:
    """Features of all videos that a scan reads in the grids. Raises InputError for an incomplete grid."""
    return video_features(_videos(grids, scan), network, cache)


def grid_fvd(
    generated: Sequence[VideoGrid],
    reference: Sequence[VideoGrid] | FeatureStatistics,
    scan: Scan,
    network: VideoFeatures,
    *,
    cache: FeatureCache | None = None,
    seed: int = 0,
) -> Measured:
    """FVD-F, FVD-V, FVD-Diag or FV4D (by `scan`) of generated grids against a reference.

    Args:
        reference: grids read in the same scan, or statistics from `video_features` of any videos.

    Raises:
        InputError: a grid is incomplete, or there is none.
    """
    if not isinstance(reference, FeatureStatistics):
        reference = FeatureStatistics.of(grid_features(reference, scan, network, cache))
    made = grid_features(generated, scan, network, cache)
    score = frechet_score(made, reference, seed=seed)
    notes = [f"{network.name}, {len(made)} against {reference.samples} videos"]
    shortest = min(len(video) for grid in generated for video in scan_videos(grid.frames, scan))
    if shortest < network.min_frames:
        notes.append(f"videos of {shortest} frames were played back and forth up to {network.min_frames}")
    return replace(score, note="; ".join([*notes, score.note] if score.note else notes))


def frames_fid(
    generated: Iterable[Float[Tensor, "_ 3 _ _"]],
    reference: Iterable[Float[Tensor, "_ 3 _ _"]] | FeatureStatistics,
    network: ImageFeatures,
    *,
    cache: FeatureCache | None = None,
    seed: int = 0,
) -> Measured:
    """Frechet distance over frames: FID when the network is Inception, else named after the network.

    Source: 4Real-Video, Table 1.
    """
    if not isinstance(reference, FeatureStatistics):
        reference = FeatureStatistics.of(_frame_features(reference, network, cache))
    made = _frame_features(generated, network, cache)
    score = frechet_score(made, reference, seed=seed)
    note = f"{network.name}, {len(made)} against {reference.samples} frames"
    return replace(score, note=f"{note}; {score.note}" if score.note else note)


def _frame_features(
    batches: Iterable[Float[Tensor, "_ 3 _ _"]], network: ImageFeatures, cache: FeatureCache | None
) -> Float[Tensor, "N D"]:
    features = [network(batch) if cache is None else cache.images(network, batch) for batch in batches]
    if not features:
        raise InputError("a Frechet distance needs at least one frame on each side; got none")
    return torch.cat(features)


def _videos(grids: Iterable[VideoGrid], scan: Scan) -> Iterable[Float[Tensor, "_ 3 _ _"]]:
    for grid in grids:
        grid.require_complete("a Frechet distance")
        yield from scan_videos(grid.frames, scan)
