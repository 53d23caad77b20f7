"""Colours as paint, cloth and stone have them: named, muted, in linear RGB."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from fourreal.data.worlds.seeding import pick

Colour = Float[np.ndarray, "3"]

# sRGB values of everyday, not fluorescent, things.
NAMED: dict[str, tuple[float, float, float]] = {
    "red": (0.64, 0.21, 0.18),
    "orange": (0.78, 0.46, 0.22),
    "yellow": (0.82, 0.69, 0.31),
    "green": (0.32, 0.49, 0.28),
    "olive": (0.47, 0.47, 0.25),
    "teal": (0.21, 0.47, 0.47),
    "blue": (0.23, 0.37, 0.61),
    "light blue": (0.53, 0.66, 0.77),
    "purple": (0.43, 0.31, 0.51),
    "pink": (0.80, 0.56, 0.58),
    "brown": (0.43, 0.30, 0.21),
    "beige": (0.78, 0.70, 0.57),
    "white": (0.86, 0.85, 0.82),
    "grey": (0.52, 0.52, 0.51),
    "dark grey": (0.24, 0.24, 0.25),
}

# First, second and third colour (sRGB) of materials that have their own.
NATURAL: dict[str, tuple[tuple[tuple[float, float, float], ...], ...]] = {
    "wood": (
        ((0.66, 0.49, 0.33), (0.55, 0.39, 0.25), (0.25, 0.17, 0.11)),
        ((0.45, 0.31, 0.21), (0.35, 0.23, 0.15), (0.15, 0.10, 0.07)),
        ((0.77, 0.65, 0.49), (0.69, 0.56, 0.40), (0.35, 0.27, 0.20)),
        ((0.55, 0.51, 0.46), (0.47, 0.43, 0.38), (0.22, 0.20, 0.18)),
    ),
    "brick": (
        ((0.60, 0.33, 0.25), (0.48, 0.25, 0.20), (0.70, 0.66, 0.60)),
        ((0.66, 0.55, 0.43), (0.56, 0.46, 0.36), (0.72, 0.70, 0.66)),
        ((0.72, 0.70, 0.67), (0.64, 0.62, 0.60), (0.52, 0.50, 0.48)),
    ),
    "stone": (
        ((0.55, 0.54, 0.52), (0.46, 0.45, 0.43), (0.28, 0.27, 0.26)),
        ((0.63, 0.59, 0.53), (0.53, 0.49, 0.43), (0.35, 0.32, 0.28)),
        ((0.45, 0.46, 0.48), (0.37, 0.38, 0.40), (0.22, 0.22, 0.23)),
    ),
    "pale": (
        ((0.80, 0.78, 0.74), (0.72, 0.70, 0.66), (0.52, 0.50, 0.47)),
        ((0.66, 0.71, 0.71), (0.58, 0.63, 0.64), (0.80, 0.80, 0.78)),
        ((0.72, 0.62, 0.53), (0.64, 0.54, 0.45), (0.46, 0.40, 0.35)),
    ),
    "pair": (
        ((0.78, 0.76, 0.72), (0.27, 0.27, 0.28), (0.40, 0.39, 0.38)),
        ((0.76, 0.70, 0.60), (0.50, 0.36, 0.27), (0.40, 0.33, 0.28)),
        ((0.70, 0.73, 0.74), (0.33, 0.44, 0.50), (0.45, 0.48, 0.50)),
    ),
    "marble": (
        ((0.80, 0.79, 0.77), (0.52, 0.52, 0.53), (0.66, 0.62, 0.57)),
        ((0.37, 0.42, 0.40), (0.68, 0.70, 0.67), (0.28, 0.32, 0.31)),
    ),
    "grass": (
        ((0.33, 0.42, 0.19), (0.41, 0.47, 0.22), (0.58, 0.56, 0.32)),
        ((0.27, 0.37, 0.18), (0.36, 0.43, 0.20), (0.44, 0.47, 0.26)),
        ((0.47, 0.46, 0.26), (0.40, 0.43, 0.23), (0.62, 0.57, 0.38)),
    ),
    "sand": (
        ((0.74, 0.65, 0.50), (0.66, 0.57, 0.43), (0.55, 0.47, 0.36)),
        ((0.63, 0.53, 0.42), (0.55, 0.45, 0.35), (0.45, 0.37, 0.29)),
    ),
    "leaves": (
        ((0.28, 0.40, 0.18), (0.38, 0.47, 0.22), (0.50, 0.53, 0.28)),
        ((0.52, 0.36, 0.17), (0.60, 0.45, 0.20), (0.42, 0.27, 0.14)),
    ),
    "skin": (
        ((0.80, 0.62, 0.50), (0.76, 0.57, 0.45), (0.70, 0.50, 0.40)),
        ((0.52, 0.36, 0.27), (0.47, 0.32, 0.24), (0.40, 0.27, 0.20)),
        ((0.75, 0.72, 0.66), (0.70, 0.67, 0.61), (0.6, 0.57, 0.52)),
    ),
}
# Photographs keep their own light and dark; only the first colour matters.
for _photo, _palette in (("brick_photo", "brick"), ("grass_photo", "grass"), ("stone_photo", "stone")):
    NATURAL[_photo] = NATURAL[_palette]

WALL_PAINTS = ("white", "beige", "light blue", "grey", "green", "yellow", "pink", "teal", "brown")


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] to linear light (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0.04045) + 0.055) / 1.055) ** 2.4)


def named_colour(name: str, rng: np.random.Generator, spread: float = 0.035) -> Colour:
    """A shade of a named colour, linear RGB; close enough that the name stays true."""
    srgb = np.array(NAMED[name]) * rng.uniform(0.92, 1.08) + rng.uniform(-spread, spread, 3)
    return to_linear(np.clip(srgb, 0.05, 0.92))


def natural_colours(palette: str, rng: np.random.Generator) -> tuple[Colour, Colour, Colour]:
    """First, second and third colour of a natural material, all shifted alike."""
    srgb = np.array(pick(rng, NATURAL[palette])) * rng.uniform(0.88, 1.1) + rng.uniform(-0.025, 0.025, 3)
    first, second, third = to_linear(np.clip(srgb, 0.05, 0.92))
    return first, second, third


def lighter(colour: Colour, factor: float) -> Colour:
    return np.clip(colour * factor, 0.0, 0.85)


def other_name(name: str, rng: np.random.Generator) -> str:
    """A colour name that stands out against `name`."""
    here = np.array(NAMED[name])
    far = [other for other, srgb in NAMED.items() if np.abs(np.array(srgb) - here).sum() > 0.5]
    return pick(rng, far)
