"""Recipes of video models: the papers' own, and what is scaled down from them.

Source: 4Real-Video-V2, section 3.1 "Training" and appendix B; 4Real-Video, sections 3.1 and 4.1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fourreal.data.mixture import MixtureConfig
from fourreal.data.worlds import WorldConfig, training_worlds
from fourreal.train.recipe import LoopConfig, OptimiserConfig, VideoRecipe, VideoStage


def paper_v2() -> VideoRecipe:
    """The paper's setting on a base of its size: 48 GPUs, two days."""
    adamw = OptimiserConfig(kind="adamw", lr=1e-4, warmup=500)
    return VideoRecipe(
        name="paper-v2",
        scales="nothing but the data: procedural worlds stand in for Objaverse, Kubric and real footage, and the base "
        "model has to be given, because the paper's was not released",
        base="paper-11b",
        model={"arrangement": "fused"},
        text="base",
        shift=0.0,
        stages=(
            _grid_stage("29 frames", 4000, 96, (8, 29, (144, 256)), adamw, fps=16.0),
            _grid_stage("61 frames", 2000, 96, (8, 61, (144, 256)), adamw, fps=16.0),
        ),
        # The paper names no average of the weights.
        loop=LoopConfig(micro_batch=2, gradient_checkpointing=True, ema=0.0, checkpoint_every=200, sample_every=500),
        drop_text=0.1,
        sample_steps=16,
    )


def wan_1_3b() -> VideoRecipe:
    """The paper's second phase on the smallest released base model."""
    adamw = OptimiserConfig(kind="adamw", lr=1e-4, warmup=200)
    return VideoRecipe(
        name="wan-1.3b",
        scales="base of 1.4B instead of 11B, batch of 32 instead of 96; worlds instead of the paper's data",
        base="wan2.1-1.3b",
        model={"arrangement": "fused"},
        text="base",
        shift=0.0,
        stages=(
            _grid_stage("29 frames", 4000, 32, (8, 29, (144, 256)), adamw, fps=16.0),
            _grid_stage("61 frames", 2000, 32, (8, 61, (144, 256)), adamw, fps=16.0),
        ),
        # The paper names no average; a batch a third of its own is noisier, and the average smooths that.
        loop=LoopConfig(micro_batch=1, gradient_checkpointing=True, ema=0.999, checkpoint_every=200, sample_every=500),
        sample_steps=16,
    )


def v1_pseudo() -> VideoRecipe:
    """4Real-Video's first phase: soft synchronisation of two streams, learnt from warped clips alone."""
    return _v1("v1-pseudo", 20_000, (0.0, 0.0, 1.0, 0.0), "nothing trained before; clips by --clips, else worlds' own")


def v1_objects() -> VideoRecipe:
    """Its second: a short tuning on animated objects. Start from what the first left, `--base RUN/model`."""
    return _v1("v1-objects", 3_000, (1.0, 0.0, 0.0, 0.0), "worlds of animated things for 15,000 renders of Objaverse")


def _v1(name: str, steps: int, shares: tuple[float, float, float, float], data: str) -> VideoRecipe:
    """Source: 4Real-Video, sections 3.3 "Training" and 4.1 "4D model"; batch and rate are V2's, as V1 gives none."""
    stage = _grid_stage("grids", steps, 32, (8, 9, (144, 256)), OptimiserConfig(lr=1e-4, warmup=200), fps=16.0)
    return VideoRecipe(
        name=name,
        scales=f"a latent base of 1.4B for its pixel base of 600M, 9 frames for 8, one size for two; {data}",
        base="wan2.1-1.3b",
        model={"arrangement": "parallel_soft"},
        text="base",
        shift=0.0,
        stages=(replace(stage, mixture=replace(stage.mixture, shares=shares, warp="affine")),),
        loop=LoopConfig(micro_batch=1, gradient_checkpointing=True, ema=0.999, checkpoint_every=200, sample_every=500),
        sample_steps=16,
    )


def base() -> VideoRecipe:
    """The small paper-like recipe: 9.9M of base and 2.3M of view-time delta, 8 views x 13 frames of 128 x 128."""
    muon = OptimiserConfig(kind="muon", lr=2e-3, muon_lr=0.02, warmup=200, decay=0.5)
    return VideoRecipe(
        name="base",
        scales="9.9M instead of 11B parameters, pixels instead of an autoencoder's latents, 13 frames of 128 x 128 "
        "instead of 29 and 61 of 144 x 256; the base is trained here on worlds alone, by V1's recipe",
        model=_own_model(heads=6, head_width=48, layers=7, ffn=960, text_dim=384),
        text="small",
        stages=(
            VideoStage(
                name="base",
                data="videos",
                steps=6000,
                batch=64,
                trains="all",
                mixture=MixtureConfig(worlds=_worlds(1, 13, (128, 128)), curriculum_steps=3000),
                optimiser=muon,
            ),
            _grid_stage("short", 3000, 16, (8, 5, (128, 128)), muon, curriculum=3000),
            _grid_stage("full", 9000, 16, (8, 13, (128, 128)), muon),
        ),
        loop=LoopConfig(micro_batch=16, checkpoint_every=500, sample_every=1000, piece_mb=15),
    )


def mini() -> VideoRecipe:
    """What ships, for two CPU cores: 2.0M parameters, 4 views x 9 frames of 64 x 64."""
    muon = OptimiserConfig(kind="muon", lr=1e-3, muon_lr=0.015, warmup=30)
    settling = replace(muon, warmup=0, decay=1.0)
    # Hours of a CPU teach completion, not invention: cells are always given, and few scenes stand still.
    wide = MixtureConfig(
        worlds=_worlds(4, 9, (64, 64), arc_deg=(5.0, 35.0)),
        shares=(0.5, 0.3, 0.15, 0.05),
        pattern_shares=(0.6, 0.2, 0.2, 0.0),
    )
    return VideoRecipe(
        name="mini",
        scales="2.0M instead of 11B parameters, 4 views x 9 frames of 64 x 64, no text, something always given; one "
        "phase that trains every parameter, because hours of two cores do not make a base worth freezing",
        model=_own_model(heads=4, head_width=32, layers=6, ffn=384, text_dim=32),
        stages=(
            VideoStage(
                name="grids",
                data="grids",
                steps=650,
                batch=8,
                trains="all",
                mixture=replace(wide, curriculum_steps=350),
                optimiser=muon,
            ),
            VideoStage(
                name="settle", data="grids", steps=1150, batch=8, trains="all", mixture=wide, optimiser=settling
            ),
        ),
        loop=LoopConfig(micro_batch=8, ema=0.99, checkpoint_every=100, sample_every=500, plot_every=50, piece_mb=15),
    )


def tiny() -> VideoRecipe:
    """For tests: seconds, and nothing learnt."""
    plain = OptimiserConfig(kind="muon", lr=3e-3, warmup=2)
    size = MixtureConfig(worlds=_worlds(3, 5, (16, 16), antialias=False, photo_textures=False))
    return VideoRecipe(
        name="tiny",
        scales="everything",
        model=_own_model(heads=2, head_width=24, layers=2, ffn=96, text_dim=32),
        stages=(
            VideoStage(name="base", data="videos", steps=4, batch=4, trains="all", mixture=size, optimiser=plain),
            VideoStage(
                name="grids", data="grids", steps=6, batch=4, trains="arrangement", mixture=size, optimiser=plain
            ),
        ),
        loop=LoopConfig(
            micro_batch=2,
            precision="float32",
            ema=0.9,
            checkpoint_every=3,
            sample_every=10,
            plot_every=10,
            log_every=1,
            piece_mb=1,
        ),
        sample_steps=2,
    )


def _grid_stage(
    name: str,
    steps: int,
    batch: int,
    size: tuple[int, int, tuple[int, int]],
    optimiser: OptimiserConfig,
    curriculum: int = 0,
    fps: float = 8.0,
) -> VideoStage:
    data = MixtureConfig(worlds=_worlds(*size, fps=fps), curriculum_steps=curriculum)
    return VideoStage(
        name=name, data="grids", steps=steps, batch=batch, trains="arrangement", mixture=data, optimiser=optimiser
    )


def _worlds(views: int, frames: int, size: tuple[int, int], **changes: Any) -> WorldConfig:
    """The full variety of worlds in a grid's shape."""
    return replace(training_worlds(), views=views, frames=frames, height=size[0], width=size[1], **changes)


def _own_model(heads: int, head_width: int, layers: int, ffn: int, text_dim: int) -> dict[str, Any]:
    """A small model in pixel space.

    Rotary base 30 and gains above 1 let sharp matches of position form early: with Wan's 10,000 and 1 the same
    model took three times the steps.
    """
    return {
        "patch_size": [1, 1, 1],
        "num_attention_heads": heads,
        "attention_head_dim": head_width,
        "in_channels": 768,
        "out_channels": 768,
        "text_dim": text_dim,
        "freq_dim": 64,
        "ffn_dim": ffn,
        "num_layers": layers,
        "rope_max_seq_len": 256,
        "t_max": 8,
        "rope_theta": 30.0,
        "prediction": "sample",
        "query_gain": 2.0,
        "key_gain": 1.5,
        "context_tokens": True,
        "gate": True,
        "tubelet": [4, 8],
    }


VIDEO_RECIPES = {
    "mini": mini,
    "base": base,
    "wan-1.3b": wan_1_3b,
    "paper-v2": paper_v2,
    "v1-pseudo": v1_pseudo,
    "v1-objects": v1_objects,
    "tiny": tiny,
}
