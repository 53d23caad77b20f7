"""One-sided input: a fixed-view or a freeze-time video alone, repeated where a model does worse than that."""

from __future__ import annotations

import torch

from fourreal.core.grid import VideoGrid
from fourreal.core.notes import notify


def repeated(grid: VideoGrid) -> VideoGrid | None:
    """The one row that is known in every view, or the one column at every time, with a note; None for other input.

    Known cells stay bit for bit.
    """
    rows, columns = (torch.nonzero(grid.known.all(axis)).flatten().tolist() for axis in (1, 0))
    if len(rows) == 1 and grid.num_views > 1 and int(grid.known.sum()) == grid.num_times:
        given, missing, filled = "fixed-view", "freeze-time", grid.frames[rows].expand_as(grid.frames)
        notify(_sentence(given, missing, "repeated in every view, and the scene is seen from one side"))
    elif len(columns) == 1 and grid.num_times > 1 and int(grid.known.sum()) == grid.num_views:
        given, missing, filled = "freeze-time", "fixed-view", grid.frames[:, columns].expand_as(grid.frames)
        notify(_sentence(given, missing, "repeated at every time, and nothing moves"))
    else:
        return None
    return VideoGrid.complete(filled.clone(), grid.seconds, grid.cameras).validated()


def _sentence(given: str, missing: str, what: str) -> str:
    return (
        f"with a {given} video alone this model does worse than repeating it, so the {given} video is {what}; give a "
        f"{missing} video as well, or a larger model: --model wan2.1-1.3b with view-time weights (--delta)"
    )
