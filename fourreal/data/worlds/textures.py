"""The texture library: every pattern there is, the free photographs, and where each may be used."""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from fourreal.core.errors import InputError
from fourreal.core.media import fit, read_image
from fourreal.data.worlds import patterns as p
from fourreal.data.worlds.colours import to_linear
from fourreal.data.worlds.seeding import stream

Use = Literal["thing", "floor", "wall"]


@dataclass(frozen=True, kw_only=True)
class Texture:
    """An entry of the library.

    Attributes:
        name: its word in captions ("striped", "grass").
        uses: what may wear it.
        palette: key of the colours it takes: "free" for any, else a natural palette of `colours.py`, or
            "photo" for a photograph, whose channels are its own linear RGB.
        tile_m: range of metres that one period covers on a floor or wall; things take a third.
        pattern: makes it; None for a photograph.
        file: a photograph's file name.
    """

    name: str
    uses: frozenset[Use]
    palette: str
    tile_m: tuple[float, float]
    pattern: p.Pattern | None = None
    file: str = ""


def _things(
    name: str, *made: p.Pattern, palette: str = "free", tile_m: tuple[float, float] = (1.2, 2.4)
) -> list[Texture]:
    return [
        Texture(name=name, uses=frozenset({"thing"}), palette=palette, tile_m=tile_m, pattern=pattern)
        for pattern in made
    ]


def _grounds(
    name: str, *made: p.Pattern, palette: str, tile_m: tuple[float, float], wall: bool = False, floor: bool = True
) -> list[Texture]:
    allowed: tuple[tuple[Use, bool], ...] = (("floor", floor), ("wall", wall))
    uses: frozenset[Use] = frozenset(use for use, is_allowed in allowed if is_allowed)
    return [Texture(name=name, uses=uses, palette=palette, tile_m=tile_m, pattern=pattern) for pattern in made]


def _photo(
    name: str, file: str, *uses: Use, palette: str = "photo", tile_m: tuple[float, float] = (1.0, 2.0)
) -> Texture:
    return Texture(name=name, uses=frozenset(uses), palette=palette, tile_m=tile_m, file=file)


PROCEDURAL: tuple[Texture, ...] = (
    *_things("plain", p.plain(0.12, 1.2), p.plain(0.3, 1.5)),
    *_things("striped", p.stripes(4, 0.5), p.stripes(3, 0.3), p.stripes(5, 0.5, ragged=True)),
    *_things("checkered", p.checks(4), p.checks(6)),
    *_things("spotted", p.dots(4, 0.28), p.dots(6, 0.33)),
    *_things("zigzag", p.zigzag(4)),
    *_things("diamond-patterned", p.diamonds(4)),
    *_things("plaid", p.plaid(3)),
    *_things("wavy", p.waves(4, 0.35)),
    *_things("patchy", p.patches(1.8, 0.3), p.patches(1.5, 0.6)),
    *_things("speckled", p.speckles(10, 0.3), p.speckles(16, 0.3)),
    *_things("marbled", p.marble(2)),
    *_things("wooden", p.wood(0.8), p.wood(1.3), palette="wood"),
    *_things("woven", p.woven(14)),
    *_grounds("wooden", p.planks(6), p.planks(9), palette="wood", tile_m=(1.2, 2.0), wall=True),
    *_grounds("brick", p.bricks(4, 12, 0.04), palette="brick", tile_m=(1.0, 1.6), wall=True),
    *_grounds("paved", p.bricks(4, 8, 0.03), palette="stone", tile_m=(1.2, 2.2)),
    *_grounds("tiled", p.tiles(4, 0.03), p.tiles(6, 0.04), palette="pale", tile_m=(1.2, 2.4), wall=True),
    *_grounds("checkered", p.tiles(4, 0.012, checkered=True), palette="pair", tile_m=(1.6, 2.8)),
    *_grounds("cobbled", p.cobbles(8), palette="stone", tile_m=(1.4, 2.4)),
    *_grounds("terrazzo", p.speckles(16, 0.32), palette="pale", tile_m=(0.9, 1.5)),
    *_grounds("marble", p.marble(2), palette="marble", tile_m=(1.8, 3.2), wall=True),
    *_grounds("concrete", p.concrete(1.0), p.concrete(1.4), palette="stone", tile_m=(2.0, 3.5), wall=True),
    *_grounds("grassy", p.grass(0.5), p.grass(0.9), palette="grass", tile_m=(1.2, 2.0)),
    *_grounds("sandy", p.sand(0), p.sand(7), palette="sand", tile_m=(1.6, 2.6)),
    *_grounds("carpeted", p.carpet(4), p.plaid(3), palette="cloth", tile_m=(1.6, 2.6)),
    *_grounds("painted", p.plain(0.25, 1.8), palette="paint", tile_m=(2.0, 3.0), wall=True, floor=False),
    *_grounds("striped", p.stripes(6, 0.5), palette="paper", tile_m=(1.6, 2.4), wall=True, floor=False),
    *_grounds("papered", p.dots(6, 0.2), p.zigzag(6), palette="paper", tile_m=(1.4, 2.0), wall=True, floor=False),
)

# Only photographs that scikit-image's own documentation states to be CC0 (brick, grass and gravel from
# CC0Textures and DeviantArt, chelsea by Stefan van der Walt, coffee by Rachel Michetti) or released to
# the public domain (rocket by SpaceX), and that its wheel contains.
PHOTOGRAPHS: tuple[Texture, ...] = (
    _photo("brick", "brick.png", "floor", "wall", palette="brick_photo", tile_m=(1.0, 1.6)),
    _photo("grassy", "grass.png", "floor", palette="grass_photo", tile_m=(1.6, 2.4)),
    _photo("gravel", "gravel.png", "floor", palette="stone_photo", tile_m=(1.2, 2.0)),
    _photo("stone", "gravel.png", "thing", "wall", palette="stone_photo"),
    _photo("picture-covered", "chelsea.png", "thing", tile_m=(1.6, 2.4)),
    _photo("picture-covered", "coffee.png", "thing", tile_m=(1.6, 2.4)),
    _photo("picture-covered", "rocket.jpg", "thing", "wall", tile_m=(1.8, 2.6)),
)

LIBRARY = PROCEDURAL + PHOTOGRAPHS
PHOTO_LICENCE = "CC0-1.0 AND public-domain photographs (scikit-image data)"


@functools.lru_cache(maxsize=len(LIBRARY))
def texture_image(index: int) -> Float[np.ndarray, "3 S S"]:
    """The texels of a library entry. A procedural one is the same on every machine and in every world."""
    entry = LIBRARY[index]
    if entry.pattern is not None:
        return entry.pattern(stream(index, "texture library")).astype(np.float32)
    half = fit(read_image(photo_folder() / entry.file), (p.SIZE // 2, p.SIZE // 2)).numpy()
    half = to_linear(half)
    if entry.palette != "photo":
        # A grey photograph drives the shade around neutral; its colours come from the palette.
        grey = half.mean(0)
        half = np.stack(
            [np.full_like(grey, 0.5), np.clip(0.5 + 0.2 * (grey - grey.mean()) / grey.std(), 0, 1), 0 * grey]
        )
    mirrored = np.concatenate([half, half[:, :, ::-1]], 2)
    return np.concatenate([mirrored, mirrored[:, ::-1]], 1).astype(np.float32)


def photo_folder() -> Path:
    """Where scikit-image keeps its photographs.

    Raises:
        InputError: scikit-image is not installed.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "photo_textures needs scikit-image's photographs; install `fourreal[train]` or set photo_textures to false"
        )
    return Path(spec.submodule_search_locations[0]) / "data"
