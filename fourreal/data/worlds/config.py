"""What kind of worlds to make: `WorldConfig` and its presets."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

from fourreal.core.errors import InputError
from fourreal.core.grid_shape import GridShape

Background = Literal["mixed", "ground", "walls", "white"]
"""Where the objects are.

mixed: a third white, the rest ground and walls. ground: a floor under a sky. walls: a floor and one
or two walls. white: nothing but the objects on pure white.
"""

RigKind = Literal["mixed", "arc", "rising_arc", "dolly"]
"""How the views follow each other.

mixed: any of the others. arc: round the scene at one height. rising_arc: round and up or down.
dolly: along a straight line, looking at the scene.
"""

Actors = Literal["any", "animated", "physics"]
"""What leads the action.

any: the seed decides. animated: a thing of several joined pieces that moves by itself. physics: nothing moves but by
falling, rolling, sliding, spinning or being hit.
"""

HELD_OUT_SEEDS = 900_000
"""Seeds from here on are for evaluation and never trained on."""


@dataclass(frozen=True, kw_only=True)
class WorldConfig(GridShape):
    """A distribution of worlds in a grid's shape; a seed picks one of them.

    Attributes:
        background: see `Background`.
        rig: see `RigKind`.
        actors: see `Actors`.
        fov_deg: range of the vertical field of view (of the smaller side when the image is upright).
        texture_loudness: 1 full pattern contrast, 0 plain colours.
        max_groups: at most this many things or playing groups of things.
        antialias: 2x2 samples per pixel.
        photo_textures: some surfaces carry scikit-image's free photographs (extra `train`).

    Raises:
        InputError: a value is out of its range.
    """

    views: int = 8
    frames: int = 13
    height: int = 128
    width: int = 128
    arc_deg: tuple[float, float] = (10.0, 80.0)  # pyright: ignore[reportIncompatibleVariableOverride]
    background: Background = "mixed"
    rig: RigKind = "mixed"
    fov_deg: tuple[float, float] = (28.0, 52.0)
    texture_loudness: float = 1.0
    max_groups: int = 4
    antialias: bool = True
    photo_textures: bool = False
    actors: Actors = "any"

    @property
    def shape(self) -> GridShape:
        """The grids' shape without the worlds."""
        return GridShape(**{field.name: getattr(self, field.name) for field in fields(GridShape)})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_groups < 1 or min(self.image_size) < 8:
            raise InputError(
                f"a world needs at least 1 group and 8x8 pixels; got {self.max_groups} groups and "
                f"{self.height}x{self.width}"
            )
        if self.fps > 240:
            raise InputError(f"fps must lie in (0, 240]; got {self.fps}")
        for name, (low, high), top in (("arc_deg", self.arc_deg, 120.0), ("fov_deg", self.fov_deg, 100.0)):
            if not 0 < low <= high <= top:
                raise InputError(f"{name} must be a range within (0, {top:g}] degrees; got {(low, high)}")
        if not 0 <= self.texture_loudness <= 1:
            raise InputError(f"texture_loudness must lie in [0, 1]; got {self.texture_loudness}")


def training_worlds() -> WorldConfig:
    """The full variety that small models are trained and, on other seeds, tested on."""
    return WorldConfig(photo_textures=True)


def curriculum_worlds(progress: float) -> WorldConfig:
    """From narrow arcs and soft textures (progress 0) to the full variety (1).

    With wide arcs and loud textures from the start a small model learns to copy but not to move.
    """
    easy = 1 - min(max(progress, 0.0), 1.0)
    full = training_worlds()
    low, high = full.arc_deg
    return replace(
        full,
        arc_deg=(low - 6.0 * easy, high - 66.0 * easy),
        texture_loudness=1 - 0.65 * easy,
    )


def demo_worlds() -> WorldConfig:
    """A picture worth showing: ground or walls, a wide arc, a little larger."""
    return WorldConfig(height=192, width=192, background="ground", rig="arc", arc_deg=(40.0, 70.0))


def tiny_worlds() -> WorldConfig:
    """Small enough for tests."""
    return WorldConfig(views=3, frames=4, height=32, width=32)
