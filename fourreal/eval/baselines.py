"""Baselines that need no model: copying, adding a change, warping by flow.

Each is a callable from a partly known grid to a complete one that keeps every known cell as it is.
They do not change: a result "better than the best baseline" means these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.perception.optical_flow import compose, dense_flow, warp

Completion: TypeAlias = Callable[[VideoGrid], VideoGrid]
"""A partly known grid to a complete one."""


def copy_view(grid: VideoGrid) -> VideoGrid:
    """Every cell is its view's first frame: right where nothing moves. Needs the first column.

    Raises:
        InputError: a cell of the first column is not known.
    """
    column = _first_column(grid, "copy-view")
    return _completed(grid, column[:, None].expand_as(grid.frames))


def copy_time(grid: VideoGrid) -> VideoGrid:
    """Every cell is the first view's frame at that time: right where views coincide. Needs the first row.

    Raises:
        InputError: a cell of the first row is not known.
    """
    row = _first_row(grid, "copy-time")
    return _completed(grid, row[None].expand_as(grid.frames))


def change_add(grid: VideoGrid) -> VideoGrid:
    """Every cell is its view's first frame plus the first view's change since then, clipped to [0, 1].

    Right for changes of light. Needs the first row and the first column.

    Raises:
        InputError: one of their cells is not known.
    """
    column, row = _first_column(grid, "change-add"), _first_row(grid, "change-add")
    return _completed(grid, (column[:, None] + row[None] - row[0]).clamp(0, 1))


def nearest_view(grid: VideoGrid) -> VideoGrid:
    """Every cell is the known frame of the same time from the nearest view (the nearest time where that
    time has none; then the nearest view again). Views count as near by their row numbers.

    Raises:
        InputError: no cell is known.
    """
    known = torch.nonzero(grid.known)
    if not len(known):
        raise InputError("nearest-view needs at least one known cell; the grid has none")
    frames = grid.frames.clone()
    for view, time in torch.nonzero(~grid.known).tolist():
        # Time differences weigh more than any view difference.
        far = (known[:, 1] - time).abs() * grid.num_views + (known[:, 0] - view).abs()
        frames[view, time] = grid.frames[tuple(known[far.argmin()])]
    return _completed(grid, frames)


def flow_warp(grid: VideoGrid) -> VideoGrid:
    """Every cell is its view's first frame, moved as the first view moves. Needs the first row and column.

    For view v at time t: the flow from (v, 0) to (0, 0), chained through the views between, says
    which pixel of the first view a pixel belongs to; the flow from (0, t) to (0, 0), chained through
    the times between, says where that pixel was at time 0; view v's first frame is sampled there.
    Motion is taken to have the same image displacement in both views, which is exact for a small
    baseline and motion parallel to the image.

    Raises:
        InputError: a cell of the first row or column is not known.
    """
    column, row = _first_column(grid, "flow-warp"), _first_row(grid, "flow-warp")
    to_first_view = _chained(dense_flow(column[1:], column[:-1]))
    to_first_time = _chained(dense_flow(row[1:], row[:-1]))
    frames = column[:, None].expand_as(grid.frames).clone()
    for time, motion in enumerate(to_first_time, 1):
        frames[0, time] = warp(column[:1], motion[None])[0]
        for view, disparity in enumerate(to_first_view, 1):
            seen = warp(rearrange(motion, "h w c -> 1 c h w"), disparity[None])
            frames[view, time] = warp(column[view : view + 1], rearrange(seen, "1 c h w -> 1 h w c"))[0]
    return _completed(grid, frames)


def row_warp(grid: VideoGrid) -> VideoGrid:
    """Every cell is the first view's frame at that time, moved as the first frames of the two views differ. Needs the
    first row and column.

    For view v at time t: the flow from (v, 0) to (0, 0), found directly, says which pixel of the first view shows what
    a pixel of view v shows; the first view's frame at t is sampled there. So things that move are taken to be as far
    away as what the view's first frame shows in their place.

    Raises:
        InputError: a cell of the first row or column is not known.
    """
    column, row = _first_column(grid, "row-warp"), _first_row(grid, "row-warp")
    frames = row[None].expand_as(grid.frames).clone()
    if grid.num_views > 1:
        for view, disparity in enumerate(dense_flow(column[1:], column[:1].expand_as(column[1:])), 1):
            frames[view] = warp(row, disparity.expand(len(row), -1, -1, -1))
    return _completed(grid, frames)


BASELINES: dict[str, Completion] = {
    "copy-view": copy_view,
    "copy-time": copy_time,
    "change-add": change_add,
    "flow-warp": flow_warp,
    "nearest-view": nearest_view,
    "row-warp": row_warp,
}


def _chained(steps: Float[Tensor, "N H W 2"]) -> list[Float[Tensor, "H W 2"]]:
    """Flows from each frame back to the one before, chained into flows back to frame 0."""
    chained: list[Tensor] = []
    for step in steps:
        chained.append(step if not chained else compose(step[None], chained[-1][None])[0])
    return chained


def _completed(grid: VideoGrid, filled: Float[Tensor, "V T 3 H W"]) -> VideoGrid:
    frames = torch.where(grid.known[:, :, None, None, None], grid.frames, filled)
    return VideoGrid.complete(frames, grid.seconds, grid.cameras)


def _first_column(grid: VideoGrid, name: str) -> Float[Tensor, "V 3 H W"]:
    missing = torch.nonzero(~grid.known[:, 0]).flatten().tolist()
    if missing:
        raise InputError(f"{name} needs every view's first frame; missing for views {missing}")
    return grid.frames[:, 0]


def _first_row(grid: VideoGrid, name: str) -> Float[Tensor, "T 3 H W"]:
    missing = torch.nonzero(~grid.known[0]).flatten().tolist()
    if missing:
        raise InputError(f"{name} needs the first view at every time; missing at times {missing}")
    return grid.frames[0]
