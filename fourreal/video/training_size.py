"""TrainingSize: the grids a generator was trained on, kept with its weights."""

from __future__ import annotations

from dataclasses import dataclass

from fourreal.core.errors import InputError


@dataclass(frozen=True)
class TrainingSize:
    """What a generator's training grids were like; what it is given should be alike.

    Attributes:
        views, frames: largest grid it has seen in one piece; larger ones are made in windows of this.
        height, width: of its frames.
        fps: columns per second.
        arc_deg: range of the angle between the first and the last view, where it is known.
    """

    views: int
    frames: int
    height: int
    width: int
    fps: float = 8.0
    arc_deg: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if min(self.views, self.frames, self.height, self.width) < 1 or not self.fps > 0:
            raise InputError(f"a training size needs positive numbers; got {self}")

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width
