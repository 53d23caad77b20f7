"""Procedural worlds: endless little 4D scenes with exact geometry, in plain torch.

world = make_world(demo_worlds(), seed=7)      # things, motions, cameras, light; no pixels yet
sample = render_world(world)                   # a GridSample
"""

from fourreal.data.worlds.compose import make_world
from fourreal.data.worlds.config import (
    HELD_OUT_SEEDS,
    Actors,
    Background,
    RigKind,
    WorldConfig,
    curriculum_worlds,
    demo_worlds,
    tiny_worlds,
    training_worlds,
)
from fourreal.data.worlds.render import render_world, render_worlds
from fourreal.data.worlds.scene import World

__all__ = [
    "HELD_OUT_SEEDS",
    "Actors",
    "Background",
    "RigKind",
    "World",
    "WorldConfig",
    "curriculum_worlds",
    "demo_worlds",
    "make_world",
    "render_world",
    "render_worlds",
    "tiny_worlds",
    "training_worlds",
]
