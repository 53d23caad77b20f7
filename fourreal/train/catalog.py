"""All recipes by name, with the changes of a user applied."""

from __future__ import annotations

import difflib
import math
from dataclasses import replace
from typing import Any, Literal

from fourreal.core.errors import InputError
from fourreal.core.notes import notify
from fourreal.train.draft_recipes import DRAFT_RECIPES
from fourreal.train.recipe import Recipe, VideoRecipe
from fourreal.train.recon_recipes import RECON_RECIPES
from fourreal.train.settings import NO_CHANGES, RecipeChanges
from fourreal.train.video_recipes import VIDEO_RECIPES


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
