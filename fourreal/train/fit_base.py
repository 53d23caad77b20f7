"""A recipe's grids as its base model takes them: frame size and rate, checked before anything large is loaded."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from fourreal.core.errors import InputError
from fourreal.core.notes import notify
from fourreal.train.recipe import DraftRecipe, Recipe, ReconRecipe, VideoRecipe
from fourreal.video.checkpoint_files import read_checkpoint_folder
from fourreal.video.generator import read_training_size
from fourreal.video.model_folder import find_model_folder
from fourreal.video.model_shape import named_shape
from fourreal.video.presets import PRESETS, RELEASED

WAN_FPS = {16: 16.0, 48: 24.0}
"""Frames per second of the videos that Wan's base models make, by their latent channels."""


def fit_to_base(recipe: Recipe, size: tuple[int, int] | None = None) -> Recipe:
    """The recipe with frames of `size` or of its own size, in what its model takes, and at its base's rate.

    Raises:
        InputError: `size` is no multiple of what the model takes, or the base is an image-to-video model.

    Warns:
        UserNote: the recipe's own size was rounded.
    """
    if isinstance(recipe, DraftRecipe):
        if size is not None:
            raise InputError(f"the recipe '{recipe.name}' of a draft has no choice of size; leave --size out")
        return recipe
    multiple, fps = _frames_of_model(recipe)
    stages: Any = recipe.stages
    fitted = []
    for stage in stages:
        worlds = stage.mixture.worlds
        wanted = size or worlds.image_size
        height, width = (max(1, round(side / multiple)) * multiple for side in wanted)
        if size is not None and (height, width) != size:
            raise InputError(
                f"the sides of frames must be multiples of {multiple} for '{recipe.base or recipe.name}'; "
                f"got {size[0]} x {size[1]}, try --size {height} {width}"
            )
        if (height, width) != wanted and stage is stages[0]:
            notify(
                f"frames are {height} x {width}: '{recipe.base}' takes multiples of {multiple}, and the recipe's "
                f"{wanted[0]} x {wanted[1]} is none"
            )
        worlds = replace(worlds, height=height, width=width, fps=fps or worlds.fps)
        fitted.append(replace(stage, mixture=replace(stage.mixture, worlds=worlds)))
    return replace(recipe, stages=tuple(fitted))


def _frames_of_model(recipe: VideoRecipe | ReconRecipe) -> tuple[int, float | None]:
    """What frame sides must be multiples of, and the rate of the base where it has one. Reads no weight."""
    if isinstance(recipe, ReconRecipe):
        return recipe.model.patch, None
    if not recipe.base:
        return recipe.tubelet[1] * math.lcm(*recipe.model["patch_size"][1:]), None
    if recipe.base in RELEASED or recipe.base in PRESETS:
        shape = named_shape(recipe.base)
        return shape.frame_multiple, WAN_FPS[48 if shape.codec.spatial_stride == 16 else 16]
    folder = find_model_folder(recipe.base)
    inner = folder / "transformer"
    config = read_checkpoint_folder(inner if inner.is_dir() else folder).config
    channels = config.get("out_channels", 16)
    if config.get("in_channels", 16) > channels:
        raise InputError(
            f"'{recipe.base}' is an image-to-video model, whose first frame training does not give it yet; "
            "start from a text-to-video model, for instance --base wan2.1-1.3b"
        )
    trained_on = read_training_size(Path(folder))
    return named_shape(str(folder)).frame_multiple, trained_on.fps if trained_on else WAN_FPS.get(channels)
