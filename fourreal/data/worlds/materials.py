"""Which texture and colours every surface gets, and their names in captions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float

from fourreal.data.worlds.colours import (
    NAMED,
    WALL_PAINTS,
    Colour,
    lighter,
    named_colour,
    natural_colours,
    other_name,
)
from fourreal.data.worlds.scene import Materials, Thing
from fourreal.data.worlds.seeding import pick
from fourreal.data.worlds.textures import LIBRARY, PHOTOGRAPHS, PROCEDURAL, Texture, Use, texture_image

PHOTO_SHARE = 0.15
WITHOUT_PATTERN = 0.25  # share of things whose body is plain
THING_TILE = 0.36  # of a floor's tile
PALENESS = 0.4  # of wall paints

Colours = tuple[Colour, Colour, Colour]


@dataclass(frozen=True, kw_only=True)
class Finish:
    """One material: a row of `Materials` before stacking."""

    texture: int
    tile_m: float
    offset: tuple[float, float]
    swap: bool
    colour_matrix: Float[np.ndarray, "3 3"]
    colour_base: Float[np.ndarray, "3"]
    specular: float
    gloss: float


@dataclass(frozen=True)
class FinishChooser:
    """Chooses finishes. Photographs have a generator of their own: allowing them changes nothing else.

    Attributes:
        loudness: 1 full contrast, 0 plain.
        photos: whether photographs may be chosen.
    """

    rng: np.random.Generator
    photo_rng: np.random.Generator
    loudness: float
    photos: bool

    def thing(self, thing: Thing) -> tuple[dict[str, Finish], str, str]:
        """Finishes by role, the body's colour name and the body's pattern."""
        rng = self.rng
        colour = pick(rng, tuple(NAMED))
        entry = PROCEDURAL[0] if rng.random() < WITHOUT_PATTERN else self._pattern("thing")
        if thing.noun == "tree":
            colour = "green"
        second, contrast = other_name(colour, rng), rng.random() < 0.5
        body = named_colour(colour, rng)
        against = named_colour(second, rng) if contrast else lighter(body, float(rng.choice([0.3, 0.45, 2.2])))
        third = named_colour(second, rng)
        finishes = {"body": self._finish(entry, (body, against, third))}
        plain = PROCEDURAL[0]
        finishes["accent"] = self._finish(plain, flat(third if contrast else lighter(body, 0.6)))
        finishes["dark"] = self._finish(plain, flat(named_colour("dark grey", rng)))
        stand = (
            self._natural("wood")
            if rng.random() < 0.5
            else flat(named_colour(pick(rng, ("grey", "white", "dark grey")), rng))
        )
        finishes["stand"] = self._finish(plain, stand)
        finishes["skin"] = self._finish(plain, self._natural("skin"))
        finishes["wood"] = self._finish(next(t for t in PROCEDURAL if t.palette == "wood"), self._natural("wood"))
        finishes["leaves"] = self._finish(next(t for t in PROCEDURAL if t.name == "patchy"), self._natural("leaves"))
        photo = self._photograph("thing")
        if thing.noun == "tree":
            return finishes, "green", "plain"
        if photo is not None:
            return finishes | {"body": photo[0]}, "", photo[1]
        if entry.palette == "wood":
            finishes["body"], colour = finishes["wood"], ""
        return finishes, colour, entry.name if self.loudness > 0.2 else "plain"

    def surface(self, use: Use) -> tuple[Finish, str]:
        """A floor's or wall's finish and its word."""
        entry = self._pattern(use)
        if entry.palette in ("paint", "paper", "cloth"):
            first = PALENESS * 0.5 + (1 - PALENESS) * named_colour(pick(self.rng, WALL_PAINTS), self.rng)
            factor = {"paint": 0.9, "paper": 0.7, "cloth": 0.45}[entry.palette]
            colours = first, lighter(first, factor), lighter(first, 1.25)
        else:
            colours = natural_colours(entry.palette, self.rng)
        drawn = self._finish(entry, colours), entry.name
        return self._photograph(use) or drawn

    def _pattern(self, use: Use) -> Texture:
        """A random entry by name first, so that a name with many variants is not commoner."""
        entries = [entry for entry in PROCEDURAL if use in entry.uses]
        name = pick(self.rng, sorted({entry.name for entry in entries}))
        return pick(self.rng, [entry for entry in entries if entry.name == name])

    def _photograph(self, use: Use) -> tuple[Finish, str] | None:
        """Sometimes a photograph, drawn wholly with the photographs' dice."""
        if not self.photos or self.photo_rng.random() > PHOTO_SHARE:
            return None
        entry = pick(self.photo_rng, [entry for entry in PHOTOGRAPHS if use in entry.uses])
        natural = entry.palette != "photo"
        colours = natural_colours(entry.palette, self.photo_rng) if natural else flat(np.zeros(3))
        return replace(self, rng=self.photo_rng)._finish(entry, colours), entry.name

    def _natural(self, palette: str) -> Colours:
        return natural_colours(palette, self.rng)

    def _finish(self, entry: Texture, colours: Colours) -> Finish:
        rng = self.rng
        scale = rng.uniform(*entry.tile_m) * (THING_TILE if "thing" in entry.uses else 1.0)
        offset = (float(rng.random()), float(rng.random()))
        swap, shine, gloss = bool(rng.random() < 0.5), rng.random(), float(rng.uniform(12, 60))
        matrix, base = self._colouring(entry, colours)
        outside = "thing" not in entry.uses
        specular = float(0.25 * shine**3) * (0.15 if outside else 1.0)
        return Finish(
            texture=LIBRARY.index(entry),
            tile_m=float(scale),
            offset=offset,
            swap=swap,
            colour_matrix=matrix,
            colour_base=base,
            specular=specular,
            gloss=gloss,
        )

    def _colouring(self, entry: Texture, colours: Colours) -> tuple[np.ndarray, np.ndarray]:
        """The map from texture weights to linear RGB, softened towards the texture's own mean colour."""
        if entry.palette == "photo":
            matrix, base = 0.8 * np.eye(3), np.full(3, 0.02)
        else:
            first, second, third = colours
            matrix, base = np.stack([second - first, 0.9 * first, third - first], -1), first * 0.55
        mean = texture_mean(LIBRARY.index(entry))
        return self.loudness * matrix, base + (1 - self.loudness) * (matrix @ mean)


def flat(colour: Colour) -> Colours:
    """One colour throughout."""
    return colour, colour, colour


def texture_mean(index: int) -> Float[np.ndarray, "3"]:
    return texture_image(index).mean((1, 2)).astype(np.float64)


def stack_finishes(finishes: list[Finish]) -> Materials:
    def column(name: str, dtype: torch.dtype) -> torch.Tensor:
        return torch.from_numpy(np.array([getattr(finish, name) for finish in finishes])).to(dtype)

    return Materials(
        texture=column("texture", torch.int64),
        tile_m=column("tile_m", torch.float32),
        offset=column("offset", torch.float32),
        swap=column("swap", torch.bool),
        colour_matrix=column("colour_matrix", torch.float32),
        colour_base=column("colour_base", torch.float32),
        specular=column("specular", torch.float32),
        gloss=column("gloss", torch.float32),
    )
