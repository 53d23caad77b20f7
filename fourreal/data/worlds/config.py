"""What kind of worlds to make: `WorldConfig` and its presets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from fourreal.core.errors import InputError

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


@dataclass(frozen=True)
class WorldConfig:
    """A distribution of worlds; a seed picks one of them.

    Attributes:
        views, times: size of the grid.
        image_size: (height, width).
        fps: columns are 1 / fps seconds apart.
        background: see `Background`.
        rig: see `RigKind`.
        actors: see `Actors`.
        arc_deg: range of the angle between the first and the last view, seen from the scene.
        fov_deg: range of the vertical field of view (of the smaller side when the image is upright).
        texture_loudness: 1 full pattern contrast, 0 plain colours.
        max_groups: at most this many things or playing groups of things.
        antialias: 2x2 samples per pixel.
        photo_textures: some surfaces carry scikit-image's free photographs (extra `train`).

    Raises:
        InputError: a value is out of its range.
    """

    views: int = 8
    times: int = 13
    image_size: tuple[int, int] = (128, 128)
    fps: float = 8.0
    background: Background = "mixed"
    rig: RigKind = "mixed"
    arc_deg: tuple[float, float] = (10.0, 80.0)
    fov_deg: tuple[float, float] = (28.0, 52.0)
    texture_loudness: float = 1.0
    max_groups: int = 4
    antialias: bool = True
    photo_textures: bool = False
    actors: Actors = "any"

    def __post_init__(self) -> None:
        if min(self.views, self.times, self.max_groups) < 1 or min(self.image_size) < 8:
            raise InputError(
                "a world needs at least 1 view, 1 time, 1 group and 8x8 pixels; got "
                f"{self.views} views, {self.times} times, {self.max_groups} groups, image_size {self.image_size}"
            )
        if not 0 < self.fps <= 240:
            raise InputError(f"fps must lie in (0, 240]; got {self.fps}")
        for name, (low, high), top in (("arc_deg", self.arc_deg, 120.0), ("fov_deg", self.fov_deg, 100.0)):
            if not 0 < low <= high <= top:
                raise InputError(f"{name} must be a range within (0, {top:g}] degrees; got {(low, high)}")
        if not 0 <= self.texture_loudness <= 1:
            raise InputError(f"texture_loudness must lie in [0, 1]; got {self.texture_loudness}")

    @property
    def duration_s(self) -> float:
        return (self.times - 1) / self.fps


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
    return WorldConfig(image_size=(192, 192), background="ground", rig="arc", arc_deg=(40.0, 70.0))


def tiny_worlds() -> WorldConfig:
    """Small enough for tests."""
    return WorldConfig(views=3, times=4, image_size=(32, 32))
