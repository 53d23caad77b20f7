"""`GridWish`: which grid is wanted. Imports no torch, so that the command line can show it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fourreal.core.errors import InputError
from fourreal.core.grid_shape import GridShape


@dataclass(frozen=True)
class GridWish:
    """Which grid is wanted. What is left out follows the model and the footage.

    Raises:
        InputError: a number that is not positive.
    """

    views: int | None = None
    """Rows of the grid; as many as the model was trained on when left out."""
    frames: int | None = None
    """Columns of the grid; as many as the model was trained on when left out. Best 4k + 1."""
    size: tuple[int, int] | None = None
    """Height and width that frames are scaled and centre-cropped to; the model's own when left out."""
    fps: float | None = None
    """Columns per second; the model's own when left out."""

    def __post_init__(self) -> None:
        for name, count in (("views", self.views), ("frames", self.frames)):
            if count is not None and count < 1:
                raise InputError(f"a grid needs at least 1 of its {name}; got {count}")
        if self.fps is not None and not self.fps > 0:
            raise InputError(f"fps must be positive; got {self.fps}")

    def shape(self, usual: GridShape) -> GridShape:
        """The wanted grid, with what is left out taken from a usual one."""
        height, width = self.size or usual.image_size
        return replace(
            usual,
            views=self.views or usual.views,
            frames=self.frames or usual.frames,
            height=height,
            width=width,
            fps=self.fps or usual.fps,
        )


NO_WISH = GridWish()
