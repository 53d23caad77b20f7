"""4Real-Video's training by command: affine pseudo-4D, objects, and the choice of architecture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from train.tiny_runs import ALONE

from fourreal.core.errors import InputError
from fourreal.data.mixture import GridMixture
from fourreal.data.warp2d import view_homographies
from fourreal.train.catalog import find_recipe
from fourreal.train.recipe import VideoRecipe
from fourreal.train.settings import RecipeChanges
from fourreal.train.video_recipes import tiny, v1_objects, v1_pseudo
from fourreal.train.video_task import VideoTask


def test_affine_warps_have_no_perspective_and_begin_at_the_clip():
    warps = view_homographies(5, 0.35, np.random.default_rng(3), "affine")
    assert torch.allclose(warps[:, 2], torch.tensor([0.0, 0.0, 1.0]).expand(5, 3), atol=1e-6)
    assert torch.allclose(warps[0], torch.eye(3), atol=1e-6)
    assert not torch.allclose(warps[-1], torch.eye(3), atol=1e-2)
    free = view_homographies(5, 0.35, np.random.default_rng(3))
    assert free[-1, 2, :2].abs().max() > 1e-3


def test_the_two_phases_are_the_papers():
    pseudo, objects = v1_pseudo(), v1_objects()
    assert [recipe.stages[0].steps for recipe in (pseudo, objects)] == [20_000, 3_000]
    assert pseudo.model["arrangement"] == objects.model["arrangement"] == "parallel_soft"
    for recipe, kind in ((pseudo, "warped"), (objects, "objects")):
        mixture = recipe.stages[0].mixture
        small = replace(mixture, worlds=replace(mixture.worlds, views=3, frames=5, height=16, width=16))
        drafts = [GridMixture(small).draft(step, 0) for step in range(3)]
        assert {draft.kind for draft in drafts} == {kind}
        if kind == "warped":
            (sample,) = GridMixture(small).render(drafts[:1])
            assert sample.grid.frames.shape == (3, 5, 3, 16, 16)
            assert drafts[0].homographies is not None
            assert torch.allclose(drafts[0].homographies[:, 2, :2], torch.zeros(3, 2), atol=1e-6)


def test_the_synchronisation_layers_alone_train_on_warped_clips():
    recipe = tiny()
    stage = replace(recipe.stages[1], mixture=replace(recipe.stages[1].mixture, shares=(0.0, 0.0, 1.0, 0.0)))
    task = VideoTask(
        replace(recipe, model={**recipe.model, "arrangement": "parallel_soft"}, stages=(stage,)), ALONE.device
    )
    mixture = task.mixture(0)
    task.losses(mixture.render([mixture.draft(0, 0)]), 0, 0, (0,))["loss"].backward()
    trained = task.trainable(0)
    assert trained
    assert all("sync" in name for name in trained)
    assert any(parameter.grad is not None for parameter in trained.values())


def test_an_arrangement_is_chosen_by_name():
    recipe = find_recipe("video", "wan-1.3b", RecipeChanges(arrangement="sequential_added"))
    assert isinstance(recipe, VideoRecipe)
    assert recipe.model["arrangement"] == "sequential_added"
    with pytest.raises(InputError, match="has nothing to train"):
        find_recipe("video", "wan-1.3b", RecipeChanges(arrangement="parallel_blend"))
    with pytest.raises(InputError, match="arrangement"):
        find_recipe("video", "wan-1.3b", RecipeChanges(arrangement="paralel_soft"))
    with pytest.raises(InputError, match="no choice of arrangement"):
        find_recipe("recon", "mini", RecipeChanges(arrangement="fused"))
