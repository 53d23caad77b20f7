"""All recipes by name, with the changes of a user applied."""

from __future__ import annotations

import difflib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from fourreal.core.errors import InputError
from fourreal.core.notes import notify
from fourreal.data.capture_mixture import scenes_of
from fourreal.data.clips import ClipFolder
from fourreal.train.draft_recipes import DRAFT_RECIPES
from fourreal.train.recipe import DraftRecipe, Recipe, VideoRecipe
from fourreal.train.recon_recipes import RECON_RECIPES
from fourreal.train.settings import NO_CHANGES, RecipeChanges
from fourreal.train.video_recipes import VIDEO_RECIPES
from fourreal.video.arrangements import TRAINING_FREE
from fourreal.video.transformer import check_choices


def find_recipe(kind: Literal["video", "recon", "draft"], name: str, changes: RecipeChanges = NO_CHANGES) -> Recipe:
    """A recipe with the user's changes.

    Raises:
        InputError: there is no such recipe (the nearest name is given), or a change does not fit it.
    """
    known: dict[str, Any] = {"video": VIDEO_RECIPES, "recon": RECON_RECIPES, "draft": DRAFT_RECIPES}[kind]
    if name == "micro":
        notify("the recipe 'micro' is called 'mini' now, as the model it trains; the old name goes in the next release")
        name = "mini"
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
        raise InputError(f"there is no {kind} recipe '{name}'; {hint}")
    return changed(known[name](), changes)


def changed(recipe: Recipe, changes: RecipeChanges) -> Recipe:
    """The recipe with every change that is not None. Raises InputError when one does not fit."""
    names = ("seed", "micro_batch", "precision", "checkpoint_every", "sample_every")
    loop = {name: getattr(changes, name) for name in names if getattr(changes, name) is not None}
    recipe = replace(recipe, loop=replace(recipe.loop, **loop))
    sources = {name: getattr(changes, name) for name in ("base", "shards") if getattr(changes, name) is not None}
    recipe = replace(recipe, **sources)
    if changes.captures is not None:
        if isinstance(recipe, DraftRecipe):
            raise InputError(f"the recipe '{recipe.name}' learns from exact flow, which captures lack; leave them out")
        for source in changes.captures:
            scenes_of(source)
        recipe = replace(recipe, captures=changes.captures)
    if changes.clips is not None:
        recipe = _with_clips(recipe, changes.clips)
    if changes.arrangement is not None:
        recipe = _with_arrangement(recipe, changes.arrangement)
    if changes.text is not None:
        if not isinstance(recipe, VideoRecipe) or recipe.base:
            raise InputError(f"the recipe '{recipe.name}' has no choice of text; leave --text out")
        recipe = replace(recipe, text=changes.text)
    if changes.batch is not None:
        if changes.batch < 1:
            raise InputError(f"a batch needs at least 1 sample; got {changes.batch}")
        smaller: Any = recipe.stages
        recipe = replace(recipe, stages=tuple(replace(stage, batch=changes.batch) for stage in smaller))
    if changes.stage_steps is not None:
        if len(changes.stage_steps) != len(recipe.stages) or min(changes.stage_steps) < 1:
            raise InputError(
                f"stage-steps needs {len(recipe.stages)} positive numbers for '{recipe.name}' "
                f"({', '.join(stage.name for stage in recipe.stages)}); got {list(changes.stage_steps)}"
            )
        stages: Any = zip(recipe.stages, changes.stage_steps, strict=True)
        recipe = replace(recipe, stages=tuple(replace(stage, steps=steps) for stage, steps in stages))
    if changes.scale_steps is not None:
        if not 0 < changes.scale_steps < math.inf:
            raise InputError(f"scale-steps must be a positive number; got {changes.scale_steps}")
        scaled: Any = recipe.stages
        recipe = replace(recipe, stages=tuple(_scaled(stage, changes.scale_steps) for stage in scaled))
    return recipe


def _with_arrangement(recipe: Recipe, arrangement: str) -> Recipe:
    if not isinstance(recipe, VideoRecipe):
        raise InputError(f"the recipe '{recipe.name}' has no choice of arrangement; leave --arrangement out")
    check_choices({"arrangement": arrangement})
    if arrangement in TRAINING_FREE:
        raise InputError(f"the arrangement '{arrangement}' has nothing to train; use it on the base model as it is")
    return replace(recipe, model={**recipe.model, "arrangement": arrangement})


def _with_clips(recipe: Recipe, clips: str) -> Recipe:
    """The recipe with real clips in its warped samples."""
    warps = [getattr(stage, "data", "grids") == "grids" and stage.mixture.shares[2] > 0 for stage in recipe.stages]
    if recipe.shards or not any(warps):
        why = "its samples come from shards" if recipe.shards else "it warps none"
        raise InputError(f"the recipe '{recipe.name}' has no use for clips, because {why}; leave --clips out")
    _ = ClipFolder(Path(clips)).files
    stages: Any = recipe.stages
    return replace(recipe, stages=tuple(replace(s, mixture=replace(s.mixture, clips=clips)) for s in stages))


def _scaled(stage: Any, factor: float) -> Any:
    """The stage with everything that counts steps multiplied; a count above 0 stays at least 1."""

    def scaled(steps: int) -> int:
        return max(1, round(steps * factor)) if steps else 0

    return replace(
        stage,
        steps=scaled(stage.steps),
        mixture=replace(stage.mixture, curriculum_steps=scaled(stage.mixture.curriculum_steps)),
        optimiser=replace(stage.optimiser, warmup=scaled(stage.optimiser.warmup)),
    )
