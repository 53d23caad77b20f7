"""The nouns of a procedural world: rigid parts, the things they make up, and the finished `World`.

World frame: metres, z up, the floor at z = 0. Worlds are composed with NumPy in float64, once, and
rendered from float32 tensors.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.data.worlds.config import WorldConfig


class Shape(enum.IntEnum):
    """Convex primitives in their own frame, with what `half_size` (x, y, z) means."""

    ELLIPSOID = 0  # semi-axes
    BOX = 1  # half extents
    CYLINDER = 2  # radius, radius, half height; the axis is z
    CAPSULE = 3  # radius, radius, half distance of the two ball centres; the axis is z


class Face(enum.IntEnum):
    """Which smooth piece of a primitive a ray meets; textures and edges go by it."""

    ROUND = 0
    X_POSITIVE = 1
    X_NEGATIVE = 2
    Y_POSITIVE = 3
    Y_NEGATIVE = 4
    Z_POSITIVE = 5
    Z_NEGATIVE = 6


Role = str
"""body, accent, dark or stand: parts of one role in one thing share their material."""


@dataclass(frozen=True)
class Part:
    """One rigid primitive and its object-to-world pose at every time."""

    shape: Shape
    half_size: tuple[float, float, float]
    poses: Float[np.ndarray, "T 4 4"]
    role: Role = "body"

    @property
    def bounding_radius(self) -> float:
        x, y, z = self.half_size
        if self.shape is Shape.ELLIPSOID:
            return max(x, y, z)
        if self.shape is Shape.BOX:
            return float(np.sqrt(x * x + y * y + z * z))
        return float(np.hypot(x, z)) if self.shape is Shape.CYLINDER else x + z


@dataclass(frozen=True)
class Thing:
    """What a person would name: a ball, a walking figure.

    Attributes:
        noun: its name in the caption.
        motion: the key of its movement in `caption.py`; "stand" when it does not move.
        parts: its rigid pieces.
    """

    noun: str
    motion: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Group:
    """Things placed together because they play together (a ball and the box it hits)."""

    things: tuple[Thing, ...]

    @property
    def moves(self) -> bool:
        return any(thing.motion != "stand" for thing in self.things)


@dataclass(frozen=True, kw_only=True)
class NamedThing:
    """A thing of a finished world as its caption knows it; `instances` are its instance ids."""

    noun: str
    colour: str
    pattern: str
    motion: str
    instances: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Materials:
    """How surfaces look, one row a surface.

    The colour at a texture value t (3 weights) is `colour_base + colour_matrix @ t`, linear RGB, so that
    filtering the texture filters the colour.

    Attributes:
        texture: index into the texture library.
        tile_m: metres that one texture period covers.
        offset: shift of the texture, in periods.
        swap: exchange the two texture axes.
        specular, gloss: strength and exponent of the highlight.
    """

    texture: Int[Tensor, "L"]
    tile_m: Float[Tensor, "L"]
    offset: Float[Tensor, "L 2"]
    swap: Bool[Tensor, "L"]
    colour_matrix: Float[Tensor, "L 3 3"]
    colour_base: Float[Tensor, "L 3"]
    specular: Float[Tensor, "L"]
    gloss: Float[Tensor, "L"]


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Everything that is not an instance: up to three planes, the sky and the light.

    Attributes:
        plane_poses: plane-to-world; a plane is its frame's z = 0, seen from z > 0 only. The first is the
            floor, the others walls.
        plane_heights: world height above which a plane ends; minus infinity for a plane that is not there.
        white: the background is pure white and the horizon colour is not used.
        zenith, horizon: sky colours, linear RGB.
        haze_m: distance over which the floor fades into the horizon.
        sun_direction: unit, from the scene towards the sun.
        sun_colour, sky_light, ground_light: radiances, linear RGB; the last two come from above and below.
        sun_softness: tangent of the angle at which shadows widen.
    """

    plane_poses: Float[Tensor, "P 4 4"]
    plane_heights: Float[Tensor, "P"]
    white: bool
    zenith: Float[Tensor, "3"]
    horizon: Float[Tensor, "3"]
    haze_m: float
    sun_direction: Float[Tensor, "3"]
    sun_colour: Float[Tensor, "3"]
    sky_light: Float[Tensor, "3"]
    ground_light: Float[Tensor, "3"]
    sun_softness: float


@dataclass(frozen=True, kw_only=True)
class World:
    """A finished world, ready to render; small (no pixels), so thousands can wait in memory.

    Attributes:
        shapes, half_sizes, poses: the K solids; solid k is instance k + 1.
        materials: rows 0 to P - 1 are the planes', then one a solid.
        things: what the caption speaks of.
    """

    config: WorldConfig
    seed: int
    cameras: Cameras
    seconds: Float[Tensor, "T"]
    shapes: Int[Tensor, "K"]
    half_sizes: Float[Tensor, "K 3"]
    poses: Float[Tensor, "T K 4 4"]
    materials: Materials
    environment: Environment
    things: tuple[NamedThing, ...]
    floor: str
    camera_motion: str
    caption: str
    licence: str
