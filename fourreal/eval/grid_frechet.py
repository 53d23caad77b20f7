"""Features of the videos of a grid, for FVD over its rows, columns, diagonals and raster.

`frechet_score` compares them with those of the true grids (SV4D 2.0), of real videos, or of the
given videos (4Real-Video's FVD and FVD-Test).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.eval.feature_cache import FeatureCache
from fourreal.eval.grid_scans import Scan, scan_videos
from fourreal.perception.feature_network import VideoFeatures


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


def _videos(grids: Iterable[VideoGrid], scan: Scan) -> Iterable[Float[Tensor, "_ 3 _ _"]]:
    for grid in grids:
        grid.require_complete("a Frechet distance")
        yield from scan_videos(grid.frames, scan)
