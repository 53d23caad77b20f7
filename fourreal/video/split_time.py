"""A freeze-time column at a later time: the grid is split there and generated in both directions.

A causal latent holds one frame at the first time only; a single frame later lies in a latent with
three others and cannot condition it. So the grid is split at the column, the earlier part is
reversed, both start with the column, both are generated, and they are joined again.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.grid import VideoGrid
from fourreal.video.codec import latent_known


def freeze_time_column(known: Bool[Tensor, "V T"], stride: int = 4) -> int | None:
    """The first column that all views know but that cannot condition at its own time, if there is one.

    None when the first column is wholly known, since everything can then start from it.
    """
    full = known.all(0)
    if full[0]:
        return None
    conditions = latent_known(known, stride).all(0)
    for column in full.nonzero().flatten().tolist():
        if not conditions[-(-column // stride)]:
            return column
    return None


def split_at(grid: VideoGrid, column: int) -> tuple[VideoGrid, VideoGrid]:
    """From a column to the end, and from it back to the start; both begin with the column, without cameras."""
    seconds = grid.seconds
    forward = VideoGrid(grid.frames[:, column:], grid.known[:, column:], seconds[column:])
    backward = VideoGrid(
        grid.frames[:, : column + 1].flip(1),
        grid.known[:, : column + 1].flip(1),
        (seconds[column] - seconds[: column + 1]).flip(0),
    )
    return forward, backward


def parts_of(grid: VideoGrid, stride: int) -> tuple[VideoGrid, ...]:
    """Parts to complete: the grid itself, or both parts of it where it is split."""
    column = freeze_time_column(grid.known, stride)
    if column is None:
        return (grid,)
    return split_at(grid, column)


def each_way(
    grid: VideoGrid, stride: int, complete: Callable[[VideoGrid], Float[Tensor, "V T2 3 H W"]]
) -> Float[Tensor, "V T 3 H W"]:
    """Complete a grid, from its freeze-time column outward where that is needed."""
    done = [complete(part) for part in parts_of(grid, stride)]
    return done[0] if len(done) == 1 else join(*done)


def join(forward: Float[Tensor, "V T1 3 H W"], backward: Float[Tensor, "V T2 3 H W"]) -> Float[Tensor, "V T 3 H W"]:
    """Frames of the whole grid from those of both parts; the column itself is the forward part's."""
    return torch.cat([backward[:, 1:].flip(1), forward], dim=1)
