"""The training mixture of view-time grids: what is shown, in which shares, and what the model is given of it.

| kind | share | what stands in here for the paper's data |
|---|---|---|
| objects | 40 % | articulated and floating things in worlds, for animated Objaverse |
| physics | 20 % | falling, rolling, colliding bodies in worlds, for Kubric |
| warped | 20 % | a clip under one homography per view |
| static | 20 % | a world at one time, repeated at every time; nothing is given to the model |

Source: 4Real-Video-V2, section 3.1 "Training" and appendix B "Training data composition".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.grid import KnownPattern, VideoGrid, known_pattern
from fourreal.data.clips import ClipFolder
from fourreal.data.static import duplicated_in_time
from fourreal.data.training_grid import SampleKind, TrainingGrid, from_world, reversed_views, stream
from fourreal.data.warp2d import MARGIN, Warp, view_homographies, warp_clip
from fourreal.data.worlds import HELD_OUT_SEEDS, World, WorldConfig, curriculum_worlds, make_world, render_worlds

GRID_KINDS: tuple[SampleKind, ...] = ("objects", "physics", "warped", "static")
PATTERNS: tuple[KnownPattern, ...] = ("cross", "row", "column", "none")
PHYSICS = frozenset({"bounce", "roll", "slide", "toss", "fall", "topple", "spin", "hit", "orbit"})
PASSIVE = frozenset({"stand", "is hit", "sway"})
TRIES = 8

KindSampling = Literal["redraw", "actors"]
"""How a world of a wanted kind is found.

redraw: by drawing worlds until one is of the kind, mixed companies among the animated ones. actors: by asking for
it, which takes one draw; animated things then always lead the worlds of objects.
"""


@dataclass(frozen=True, kw_only=True)
class MixtureConfig:
    """A distribution of training grids.

    Attributes:
        worlds: size of the grids, and the worlds of a finished curriculum.
        shares: of objects, physics, warped and static samples; they need not sum to one.
        pattern_shares: of cross, row, column and nothing given, for all but static samples.
        reversal: share of samples whose views run backwards.
        warp_strength, warp: see `view_homographies`.
        curriculum_steps: over so many steps the camera arcs go from narrow to wide and the textures from soft to
            loud; 0 starts with the full variety.
        fps_range: worlds of objects and physics draw their columns per second from here, so that things move
            slower and faster; None takes that of `worlds`.
        kind_sampling: see `KindSampling`.
        clips: folder of real clips for the warped samples; empty warps procedural ones.
        seed: of everything.

    Raises:
        InputError: shares that are negative or all zero.
    """

    worlds: WorldConfig
    shares: tuple[float, float, float, float] = (0.4, 0.2, 0.2, 0.2)
    pattern_shares: tuple[float, float, float, float] = (0.55, 0.15, 0.15, 0.15)
    reversal: float = 0.5
    warp_strength: float = 0.35
    warp: Warp = "homography"
    curriculum_steps: int = 0
    fps_range: tuple[float, float] | None = None
    kind_sampling: KindSampling = "redraw"
    clips: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, shares in (("shares", self.shares), ("pattern_shares", self.pattern_shares)):
            if min(shares) < 0 or sum(shares) <= 0:
                raise InputError(f"{name} of a mixture must be at least 0 and not all 0; got {shares}")
        if self.fps_range is not None and not 0 < self.fps_range[0] <= self.fps_range[1] <= 240:
            raise InputError(f"fps_range must be a range within (0, 240]; got {self.fps_range}")


@dataclass(frozen=True, kw_only=True)
class GridDraft:
    """A sample before it has pixels.

    Attributes:
        world: what to render: the whole grid, one view of it (warped) or one time (static).
        clip, caption, licence: real footage instead of a world, and its caption and terms.
        homographies: of the views, for warped samples.
    """

    kind: SampleKind
    pattern: KnownPattern
    reverse: bool
    world: World | None
    clip: Float[Tensor, "T 3 H W"] | None = None
    caption: str = ""
    licence: str = ""
    homographies: Float[Tensor, "V 3 3"] | None = None


@dataclass(frozen=True)
class GridMixture:
    """Samples of view-time grids."""

    config: MixtureConfig

    def draft(self, step: int, index: int) -> GridDraft:
        config = self.config
        rng = stream(config.seed, step, index, "kind")
        kind = GRID_KINDS[int(rng.choice(len(GRID_KINDS), p=_normalised(config.shares)))]
        pattern, reverse = draw_references(config, kind, step, index)
        worlds = worlds_at(config, step)
        if kind == "warped":
            return self._warped_draft(worlds, pattern, reverse, step, index)
        if config.fps_range is not None:
            worlds = replace(worlds, fps=float(stream(config.seed, step, index, "fps").uniform(*config.fps_range)))
        if kind == "static":
            world = draw_world(replace(worlds, frames=1), None, config.seed, step, index)
        elif config.kind_sampling == "actors":
            cast = replace(worlds, actors="physics" if kind == "physics" else "animated")
            world = draw_world(cast, None, config.seed, step, index)
        else:
            world = draw_world(worlds, kind, config.seed, step, index)
        return GridDraft(kind=kind, pattern=pattern, reverse=reverse, world=world)

    def render(self, drafts: Sequence[GridDraft], device: torch.device | str = "cpu") -> list[TrainingGrid]:
        worlds = [draft.world for draft in drafts if draft.world is not None]
        rendered = iter(render_mixed(worlds, device))
        return [self._finished(draft, None if draft.world is None else next(rendered), device) for draft in drafts]

    def _warped_draft(
        self, worlds: WorldConfig, pattern: KnownPattern, reverse: bool, step: int, index: int
    ) -> GridDraft:
        config = self.config
        rng = stream(config.seed, step, index, "warp")
        homographies = view_homographies(worlds.views, config.warp_strength, rng, config.warp)
        height, width = (side + 2 * round(side * MARGIN / 2) for side in worlds.image_size)
        if config.clips:
            folder = ClipFolder(Path(config.clips))
            file, clip = folder.read(worlds.frames, worlds.fps, (height, width), rng)
            caption, licence = folder.caption(file), folder.licence
            return GridDraft(
                kind="warped",
                pattern=pattern,
                reverse=reverse,
                world=None,
                clip=clip,
                caption=caption,
                licence=licence,
                homographies=homographies,
            )
        small = replace(worlds, views=1, height=height, width=width)
        world = draw_world(small, None, config.seed, step, index)
        return GridDraft(kind="warped", pattern=pattern, reverse=reverse, world=world, homographies=homographies)

    def _finished(self, draft: GridDraft, made: TrainingGrid | None, device: torch.device | str) -> TrainingGrid:
        config = self.config
        size, times, fps = config.worlds.image_size, config.worlds.frames, config.worlds.fps
        if draft.kind == "warped":
            assert draft.homographies is not None
            clip = draft.clip.to(device) if made is None and draft.clip is not None else None
            if made is not None:
                clip = made.grid.frames[0]
            assert clip is not None
            seconds = torch.arange(times, device=clip.device) / fps
            grid = VideoGrid.complete(warp_clip(clip, draft.homographies, size), seconds)
            caption, licence = (draft.caption, draft.licence) if made is None else (made.caption, made.licence)
            source = "warped clip" if made is None else f"{made.source}, warped"
            made = TrainingGrid(
                kind="warped",
                grid=grid,
                references=known_pattern("none", *grid.known.shape),
                caption=caption,
                source=source,
                licence=licence,
            )
        assert made is not None
        if draft.kind == "static":
            made = duplicated_in_time(made, times, fps)
        return with_references(replace(made, kind=draft.kind), draft.pattern, draft.reverse)


def draw_references(config: MixtureConfig, kind: SampleKind, step: int, index: int) -> tuple[KnownPattern, bool]:
    """Which cells a sample gives away, and whether its views run backwards."""
    rng = stream(config.seed, step, index, "dressing")
    pattern = PATTERNS[int(rng.choice(len(PATTERNS), p=_normalised(config.pattern_shares)))]
    reverse = bool(rng.random() < config.reversal)
    return ("none" if kind == "static" else pattern), reverse


def with_references(sample: TrainingGrid, pattern: KnownPattern, reverse: bool) -> TrainingGrid:
    """The sample as drawn, backwards if so, with the pattern's cells given (of the order it then has)."""
    sample = reversed_views(sample) if reverse else sample
    return replace(sample, references=known_pattern(pattern, *sample.grid.known.shape))


def worlds_at(config: MixtureConfig, step: int) -> WorldConfig:
    """The worlds of a step of the curriculum, in the configured size."""
    if config.curriculum_steps <= 0:
        return config.worlds
    now = curriculum_worlds(step / config.curriculum_steps)
    (low, high), (top_low, top_high) = now.arc_deg, config.worlds.arc_deg
    return replace(
        config.worlds,
        arc_deg=(min(low, top_low), min(high, top_high)),
        texture_loudness=min(now.texture_loudness, config.worlds.texture_loudness),
    )


def draw_world(config: WorldConfig, kind: SampleKind | None, seed: int, step: int, index: int) -> World:
    """A world that no evaluation uses, of a kind: what leads the action tells objects from physics.

    A kind is found by drawing again; after `TRIES` draws the last world is taken as it is.
    """
    rng = stream(seed, step, index, "world")
    world = None
    for _ in range(TRIES):
        world = make_world(config, int(rng.integers(HELD_OUT_SEEDS)))
        if kind is None or is_physics(world) == (kind == "physics"):
            break
    assert world is not None
    return world


def is_physics(world: World) -> bool:
    """Whether everything that moves does so by falling, rolling, sliding or being hit."""
    motions = {thing.motion for thing in world.things} - PASSIVE
    return bool(motions) and motions <= PHYSICS


def render_mixed(worlds: Sequence[World], device: torch.device | str) -> list[TrainingGrid]:
    """Worlds of any sizes, in their order; those of one size are rendered together."""
    groups: dict[Any, list[int]] = {}
    for place, world in enumerate(worlds):
        groups.setdefault((world.config.image_size, world.config.antialias), []).append(place)
    made: dict[int, TrainingGrid] = {}
    for places in groups.values():
        samples = render_worlds([worlds[place] for place in places], device)
        made |= {place: from_world("objects", sample) for place, sample in zip(places, samples, strict=True)}
    return [made[place] for place in range(len(worlds))]


def _normalised(shares: tuple[float, ...]) -> list[float]:
    return [share / sum(shares) for share in shares]
