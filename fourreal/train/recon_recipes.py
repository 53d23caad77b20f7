"""Recipes of reconstruction models: the paper's own, and what is scaled down from it.

Source: 4Real-Video-V2, section 3.2 "Training" and appendix C.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fourreal.data.mixture import MixtureConfig
from fourreal.data.worlds import training_worlds
from fourreal.recon.config import base, mini, tiny, vggt_1b
from fourreal.train.recipe import LoopConfig, OptimiserConfig, ReconLosses, ReconRecipe, ReconStage

ONLY_STATIC = (0.0, 0.0, 0.0, 1.0)
MIXED = (0.4, 0.3, 0.0, 0.3)
"""Static scenes go on among the dynamic ones, against forgetting; warped clips have no depth and no parallax."""
HEAD, TEMPORAL = "gaussian_head.", "aggregator.temporal_blocks."
GEOMETRY = ReconLosses(camera=5.0, depth=1.0, points=1.0)
EVERYTHING = ReconLosses(camera=5.0, depth=1.0, points=1.0, render=5.0, perceptual=0.5)
RENDERING = ReconLosses(render=1.0, perceptual=0.5)
MOVING = ReconLosses(render=1.0, perceptual=0.5, camera=5.0)
"""Temporal layers move the cameras, so these are held as well."""


def vggt() -> ReconRecipe:
    """The paper's setting: VGGT-1B frozen, the head on static samples, then temporal layers on dynamic ones."""
    return ReconRecipe(
        name="vggt-1b",
        scales="nothing but the data: procedural worlds stand in for the paper's five data sets",
        model=vggt_1b(),
        base="vggt-1b",
        stages=(
            ReconStage(
                name="static",
                steps=20_000,
                batch=14 * 32,
                input_views=4,
                trains=(HEAD,),
                losses=RENDERING,
                mixture=_mixture(1, (518, 518), ONLY_STATIC),
                optimiser=OptimiserConfig(kind="adamw", lr=2e-4, warmup=500, decay=1.0),
            ),
            ReconStage(
                name="dynamic",
                steps=15_000,
                batch=32,
                input_views=4,
                trains=(HEAD, TEMPORAL),
                losses=MOVING,
                mixture=_mixture(4, (518, 518), MIXED),
                optimiser=OptimiserConfig(kind="adamw", lr=2e-5, warmup=500, decay=1.0),
            ),
        ),
        loop=LoopConfig(micro_batch=1, gradient_checkpointing=True, ema=0.0, checkpoint_every=200, sample_every=1000),
    )


def base_recipe() -> ReconRecipe:
    """The small paper-like recipe: 8.1M values, grids of 128 x 128, 4 views shown and 8 rendered."""
    muon = OptimiserConfig(kind="muon", lr=1e-3, muon_lr=0.01, warmup=300, decay=0.4)
    return ReconRecipe(
        name="base",
        scales="8.1M instead of 1.26B parameters; the backbone is not VGGT's but trained here, on worlds with exact "
        "cameras and depth, and goes on training in the later stages because it is too small to be spent",
        model=base(),
        cameras="true",
        distance="st-lpips",
        stages=_stages((128, 128), (8000, 4000, 4000), 32, muon, curriculum=4000),
        loop=LoopConfig(micro_batch=16, checkpoint_every=500, sample_every=1000, piece_mb=15),
    )


def mini_recipe() -> ReconRecipe:
    """What ships, for two CPU cores: 64 x 64, a narrower network without a point head, few renders a sample."""
    muon = OptimiserConfig(kind="muon", lr=6e-4, muon_lr=0.015, warmup=100, decay=0.3)
    geometry, gaussians, dynamic = _stages((64, 64), (2600, 260, 90), 4, muon, antialias=False)
    arcs = (8.0, 45.0)
    # Errors of a few degrees are small squares, which the depth loss drowned at the usual weight.
    camera = 40.0
    everything = replace(EVERYTHING, camera=camera, points=0.0, perceptual=0.2)
    return ReconRecipe(
        name="mini",
        scales="0.9M instead of 1.26B parameters, frames of 64 x 64; else as base",
        model=mini(),
        cameras="true",
        distance="st-lpips",
        stages=(
            replace(
                geometry,
                losses=replace(GEOMETRY, camera=camera, points=0.0),
                mixture=_with_worlds(geometry.mixture, views=4, arc_deg=arcs),
            ),
            replace(
                gaussians, losses=everything, rendered_views=3, mixture=_with_worlds(gaussians.mixture, arc_deg=arcs)
            ),
            replace(dynamic, losses=everything, rendered_views=2, mixture=_with_worlds(dynamic.mixture, arc_deg=arcs)),
        ),
        loop=LoopConfig(
            micro_batch=4, precision="float32", checkpoint_every=200, sample_every=500, plot_every=50, piece_mb=15
        ),
    )


def tiny_recipe() -> ReconRecipe:
    """For tests: seconds, and nothing learnt."""
    plain = OptimiserConfig(kind="muon", lr=1e-3, muon_lr=0.01, warmup=2)
    stages = _stages((32, 32), (1, 1, 2), 2, plain, antialias=False)
    return ReconRecipe(
        name="tiny",
        scales="everything",
        model=tiny(),
        cameras="true",
        distance="st-lpips",
        stages=tuple(
            replace(
                stage,
                input_views=2,
                losses=replace(stage.losses, perceptual=0.0),
                mixture=_with_worlds(
                    stage.mixture, views=3, frames=min(stage.mixture.worlds.frames, 2), photo_textures=False
                ),
            )
            for stage in stages
        ),
        loop=LoopConfig(
            micro_batch=2,
            precision="float32",
            checkpoint_every=2,
            sample_every=10,
            plot_every=10,
            log_every=1,
            piece_mb=1,
        ),
    )


def _mixture(
    frames: int, size: tuple[int, int], shares: tuple[float, float, float, float], **worlds: Any
) -> MixtureConfig:
    """Eight views of the full variety of worlds."""
    full = replace(training_worlds(), frames=frames, height=size[0], width=size[1], **worlds)
    return MixtureConfig(worlds=full, shares=shares)


def _with_worlds(mixture: MixtureConfig, **changes: Any) -> MixtureConfig:
    return replace(mixture, worlds=replace(mixture.worlds, **changes))


def _stages(
    size: tuple[int, int],
    steps: tuple[int, int, int],
    batch: int,
    optimiser: OptimiserConfig,
    *,
    curriculum: int = 0,
    antialias: bool = True,
) -> tuple[ReconStage, ...]:
    """Backbone on still worlds; the head with it; then worlds that move. Views and times as in the paper."""
    still = replace(_mixture(1, size, ONLY_STATIC, antialias=antialias), curriculum_steps=curriculum)
    moving = _mixture(4, size, MIXED, fps=4.0, antialias=antialias)
    halved = {"lr": optimiser.lr / 2, "muon_lr": optimiser.muon_lr / 2}
    later = replace(optimiser, warmup=min(optimiser.warmup, 20), **halved)
    geometry = ReconStage(
        name="geometry",
        steps=steps[0],
        batch=batch,
        input_views=4,
        trains=("",),
        losses=GEOMETRY,
        mixture=still,
        optimiser=optimiser,
    )
    rendered = replace(geometry, losses=EVERYTHING, optimiser=later)
    return (
        geometry,
        replace(rendered, name="gaussians", steps=steps[1], mixture=replace(still, curriculum_steps=0)),
        replace(rendered, name="dynamic", steps=steps[2], batch=max(2, batch // 4), mixture=moving),
    )


RECON_RECIPES = {"mini": mini_recipe, "base": base_recipe, "vggt-1b": vggt, "tiny": tiny_recipe}
