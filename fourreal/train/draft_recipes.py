"""Recipes of the draft; see `fourreal/video/draft`."""

from __future__ import annotations

from dataclasses import replace

from fourreal.data.mixture import MixtureConfig
from fourreal.data.worlds import WorldConfig
from fourreal.train.recipe import DraftRecipe, DraftStage, LoopConfig, OptimiserConfig
from fourreal.video.draft.draft_model import DraftModel


def mini() -> DraftRecipe:
    """For one CPU core and an hour."""
    grids = MixtureConfig(
        worlds=WorldConfig(views=4, frames=9, height=64, width=64, arc_deg=(5.0, 45.0), photo_textures=True),
        shares=(0.6, 0.35, 0.0, 0.05),
        pattern_shares=(1.0, 0.0, 0.0, 0.0),
        fps_range=(5.0, 12.0),
    )
    muon = OptimiserConfig(kind="muon", lr=1e-3, muon_lr=0.01, warmup=50, decay=1.0, convolutions=True)
    return DraftRecipe(
        name="mini",
        stages=(
            DraftStage(name="matching", learns="matching", steps=1000, batch=6, mixture=grids, optimiser=muon),
            DraftStage(
                name="choice",
                learns="choice",
                steps=3000,
                batch=3,
                mixture=grids,
                optimiser=replace(muon, muon_lr=0.015, decay=0.9),
            ),
        ),
        loop=LoopConfig(micro_batch=6, ema=0.995, checkpoint_every=250, sample_every=500, piece_mb=15),
    )


def tiny() -> DraftRecipe:
    """For tests: seconds, and nothing learnt."""
    plain = OptimiserConfig(kind="muon", lr=1e-3, warmup=2, convolutions=True)
    worlds = WorldConfig(views=3, frames=4, height=16, width=16, antialias=False)
    grids = MixtureConfig(worlds=worlds, shares=(1.0, 0.0, 0.0, 0.0))
    return DraftRecipe(
        name="tiny",
        stages=(
            DraftStage(name="matching", learns="matching", steps=4, batch=2, mixture=grids, optimiser=plain),
            DraftStage(name="choice", learns="choice", steps=4, batch=2, mixture=grids, optimiser=plain),
        ),
        loop=LoopConfig(
            micro_batch=2, precision="float32", ema=0.9, checkpoint_every=3, sample_every=10, plot_every=10, log_every=1
        ),
        model=DraftModel.tiny().config,
        pairs=2,
        columns=1,
    )


DRAFT_RECIPES = {"mini": mini, "tiny": tiny}
