"""Ways to read a grid as videos: rows, columns, diagonals, one raster.

Source: SV4D 2.0, section 5, "Metrics": FVD-F over frames at a fixed view, FVD-V over views at a
fixed frame, FVD-Diag over the diagonal images of the image matrix, FV4D over all images in
bidirectional raster (zig-zag) order. 4Real-Video, Table 1 calls rows "time" and columns "view".
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.grid import VideoGrid

Scan = Literal["rows", "columns", "diagonals", "raster"]
"""rows: each view's video (FVD-F). columns: each time's freeze-time video (FVD-V). diagonals: every
full diagonal, view and time advancing together (FVD-Diag). raster: all cells as one video, rows in
alternating direction, so that neighbours in it are neighbours in the grid (FV4D)."""

METRIC_NAMES: dict[Scan, str] = {"rows": "FVD-F", "columns": "FVD-V", "diagonals": "FVD-Diag", "raster": "FV4D"}


def scan_videos(frames: Float[Tensor, "V T 3 H W"], scan: Scan) -> list[Float[Tensor, "N 3 H W"]]:
    """The videos of a grid in a scan's order.

    A grid of V views and T times has V rows, T columns, |V - T| + 1 full diagonals (of min(V, T)
    frames each) and one raster.
    """
    views, times = frames.shape[:2]
    if scan == "rows":
        return list(frames)
    if scan == "columns":
        return list(frames.transpose(0, 1))
    if scan == "raster":
        return [torch.cat([row if view % 2 == 0 else row.flip(0) for view, row in enumerate(frames)])]
    steps = torch.arange(min(views, times))
    offsets = range(abs(views - times) + 1)
    return [frames[steps, steps + o] if times >= views else frames[steps + o, steps] for o in offsets]


def given_videos(grid: VideoGrid, given: Bool[Tensor, "V T"], scan: Literal["rows", "columns"]) -> list[Tensor]:
    """The rows or columns that were given completely, the reference of FVD-Test.

    Source: 4Real-Video, section 4.2: FVD "against statistics computed from the input test set videos".
    """
    cells, frames = (given, grid.frames) if scan == "rows" else (given.T, grid.frames.transpose(0, 1))
    return [video for video, complete in zip(frames, cells.all(1).tolist(), strict=True) if complete]
