"""`ReconstructSettings`: how a grid is reconstructed. Imports no torch, so that the command line can show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fourreal.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ReconstructSettings:
    """How a grid is reconstructed.

    Raises:
        InputError: a number out of its range.
    """

    window_frames: int = 8
    """Times that see each other through temporal attention; 0 takes all at once."""
    window_overlap: int = 2
    """Times that neighbouring windows share, besides the first time, which all see."""
    chunk_windows: int = 1
    """Windows that go through the network together, 0 for all; changes memory and speed, never the result."""
    longest_side: int = 0
    """Scale larger frames down to this many pixels; 0 takes the size the network was made for, or twice that where a
    small network shows the first moment better so."""
    min_opacity: float = 0.02
    """Drop Gaussians less opaque than this."""
    drop_least_confident: float = 0.0
    """Share of each time's pixels to drop, least confident first."""
    drop_white_background: bool = False
    """Drop white pixels that are connected to the image border."""
    merge_voxel: float = 0.0
    """Merge Gaussians in cubes of this side, as a share of the first time's median depth; 0 merges none."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Number format of the transformer blocks; the heads always use float32."""
    align: Literal["auto", "always", "never"] = "auto"
    """Make the views of the first time agree in colour and depth, and refit the depth of the others: takes seconds,
    and is worth it with networks for frames below 256 pixels (auto). never: cameras and depth as predicted, as in the
    paper."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_opacity < 1 or not 0 <= self.drop_least_confident < 1:
            raise InputError("min_opacity and drop_least_confident are shares from 0 to below 1")
        if min(self.merge_voxel, self.longest_side, self.chunk_windows) < 0:
            raise InputError("merge_voxel, longest_side and chunk_windows cannot be negative")


DEFAULTS = ReconstructSettings()
