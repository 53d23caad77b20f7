"""GridShape: the size of a view-time grid, wherever one is asked for, planned, trained on or measured."""

from __future__ import annotations

from dataclasses import dataclass

from fourreal.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class GridShape:
    """How many frames a grid has, how large they are, and how far they are apart in time.

    Attributes:
        views: rows.
        frames: columns.
        height, width: of every frame, pixels.
        fps: columns per second.

    Raises:
        InputError: a number that is not positive.
    """

    views: int
    frames: int
    height: int
    width: int
    fps: float = 8.0

    def __post_init__(self) -> None:
        if min(self.views, self.frames, self.height, self.width) < 1 or not self.fps > 0:
            raise InputError(f"views, frames, height, width and fps of a grid must be positive; got {self}")

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def seconds(self) -> float:
        """From the first column to the last."""
        return (self.frames - 1) / self.fps

    def __str__(self) -> str:
        return f"{self.views} views x {self.frames} frames of {self.height}x{self.width}"
