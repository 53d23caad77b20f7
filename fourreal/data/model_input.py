"""Footage as a model wants it: sampled, cropped and resized to the grids it was trained on, unless told otherwise.

Source: 4Real-Video-V2, Figure 2 (the kinds of input).
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.grid_shape import GridShape
from fourreal.core.media import Clip
from fourreal.data.footage import ImportedGrid, Sampling, expected_times, grid_from_videos, info_of
from fourreal.data.grid_wish import NO_WISH, GridWish

Footage = str | Path | Clip | VideoGrid | Float[Tensor, "_ 3 _ _"]
"""A video, GIF or image folder on disk; frames in memory; or a grid, whose first row or column is taken."""


def model_input(
    fixed: Footage | None,
    freeze: Footage | None,
    usual: GridShape,
    wish: GridWish = NO_WISH,
    *,
    start_s: float = 0.0,
    end_s: float = math.inf,
) -> ImportedGrid:
    """A partly known grid from a fixed-view video, a freeze-time video, or both.

    A fixed-view video too short for the usual number of frames at the usual rate is sampled evenly over its
    whole length; an explicit wish is never changed.

    Args:
        start_s, end_s: part of the fixed-view video to take.

    Raises:
        InputError: as `grid_from_videos`; or a grid whose first row or column is not known.
    """
    row = None if fixed is None else _fixed_clip(fixed, wish.fps or usual.fps)
    column = None if freeze is None else _freeze_clip(freeze)
    views = wish.views
    if views is None:
        views = usual.views if column is None else min(usual.views, info_of(column).count)
    return grid_from_videos(row, column, _sampling(row, usual, wish, start_s, end_s), views)


def _sampling(row: Path | Clip | None, usual: GridShape, wish: GridWish, start_s: float, end_s: float) -> Sampling:
    wished = wish.shape(usual)
    size, rate, frames = wished.image_size, wished.fps, wished.frames
    if row is None:
        return Sampling(frames, rate, size)
    cut = Sampling(None, rate, size, start_s, end_s)
    at_rate = expected_times(info_of(row), cut)
    if at_rate >= frames:
        times, fps = frames, rate
    elif wish.fps is not None:
        times, fps = wish.frames, rate
    else:
        available = expected_times(info_of(row), Sampling(None, None, size, start_s, end_s))
        times, fps = wish.frames or min(frames, available), None
    return Sampling(times, fps, size, start_s, end_s)


def _fixed_clip(source: Footage, fps: float) -> Path | Clip:
    if isinstance(source, VideoGrid):
        if not bool(source.known[0].all()):
            raise InputError("as a fixed-view video a grid gives its first row, and that is not wholly known")
        return Clip(source.frames[0], source.seconds - source.seconds[0])
    return _clip(source, fps)


def _freeze_clip(source: Footage) -> Path | Clip:
    if isinstance(source, VideoGrid):
        if not bool(source.known[:, 0].all()):
            raise InputError("as a freeze-time video a grid gives its first column, and that is not wholly known")
        return _clip(source.frames[:, 0], 1.0)
    return _clip(source, 1.0)


def _clip(source: str | Path | Clip | Tensor, fps: float) -> Path | Clip:
    if isinstance(source, Clip):
        return source
    if isinstance(source, Tensor):
        if source.ndim != 4 or source.shape[1] != 3 or not source.is_floating_point() or not len(source):
            raise InputError(
                f"frames in memory must be floating point of shape [T, 3, H, W]; got {source.dtype} "
                f"{list(source.shape)}"
            )
        return Clip(source, torch.arange(len(source)) / fps)
    return Path(source)
