"""GridShape: the size of a view-time grid, wherever one is asked for, planned, trained on or measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fourreal.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class GridShape:
    """How many frames a grid has, how large they are, and how far they are apart in time.

    Attributes:
        views: rows.
        frames: columns.
        height, width: of every frame, pixels.
        fps: columns per second.
        arc_deg: range of the angle between the first and the last view, seen from the scene, where it is known.

    Raises:
        InputError: a number that is not positive.
    """

    views: int
    frames: int
    height: int
    width: int
    fps: float = 8.0
    arc_deg: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if min(self.views, self.frames, self.height, self.width) < 1 or not self.fps > 0:
            raise InputError(f"views, frames, height, width and fps of a grid must be positive; got {self}")

    @classmethod
    def of(cls, views: int, frames: int, image_size: tuple[int, int]) -> GridShape:
        """From a (height, width), at the usual rate."""
        return cls(views=views, frames=frames, height=image_size[0], width=image_size[1])

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


def with_shape_keys(values: Any) -> Any:
    """Plain values of an older version, with `frames`, `height` and `width` for `times` and `image_size`."""
    if isinstance(values, list):
        return [with_shape_keys(value) for value in values]
    if not isinstance(values, dict):
        return values
    new = {"frames" if key == "times" else key: with_shape_keys(value) for key, value in values.items()}
    if isinstance(size := new.pop("image_size", None), list) and len(size) == 2:
        new["height"], new["width"] = size
    return new
