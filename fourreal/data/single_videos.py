"""Single videos in two modes, with random parts given: what a base video model is trained on.

A dynamic video is one view of a world over time; a freeze-time video is a camera's way round a world that
stands still. Both come as grids of one view, and the mode is an input of the model.

Source: 4Real-Video, section 3.1 ("Freeze-time and dynamic video generation", "Masked training").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool
from torch import Tensor

from fourreal.core.grid import VideoGrid
from fourreal.data.mixture import MixtureConfig, draw_world, render_mixed, worlds_at
from fourreal.data.training_grid import TrainingGrid, stream
from fourreal.data.worlds import World

Mask = Literal["nothing", "first", "beginning", "anywhere"]
"""What is given. first: the first frame. beginning: a stretch from the start. anywhere: random groups of frames."""

MASK_SHARES: dict[Mask, float] = {"nothing": 0.3, "first": 0.35, "beginning": 0.15, "anywhere": 0.2}


@dataclass(frozen=True)
class VideoDraft:
    """A single video before it has pixels."""

    kind: Literal["dynamic", "freeze_time"]
    world: World
    given: Bool[Tensor, "T"]
    backwards: bool


@dataclass(frozen=True)
class VideoMixture:
    """Samples of single videos, as long as the config's worlds have frames.

    Attributes:
        group: frames that are given or withheld together, after the first: a codec's temporal stride.
    """

    config: MixtureConfig
    group: int = 4
    freeze_share: float = 0.5

    def draft(self, step: int, index: int) -> VideoDraft:
        config = self.config
        rng = stream(config.seed, step, index, "video")
        freeze = rng.random() < self.freeze_share
        worlds, times = worlds_at(config, step), config.worlds.frames
        size = {"views": times, "frames": 1} if freeze else {"views": 1, "frames": times}
        world = draw_world(replace(worlds, **size), None, config.seed, step, index)
        given = draw_mask(times, self.group, stream(config.seed, step, index, "dressing"))
        # A camera's way can be gone either way; things do not fall upwards.
        backwards = freeze and rng.random() < config.reversal
        return VideoDraft("freeze_time" if freeze else "dynamic", world, given, bool(backwards))

    def render(self, drafts: Sequence[VideoDraft], device: torch.device | str = "cpu") -> list[TrainingGrid]:
        made = render_mixed([draft.world for draft in drafts], device)
        return [self._finished(draft, sample) for draft, sample in zip(drafts, made, strict=True)]

    def _finished(self, draft: VideoDraft, made: TrainingGrid) -> TrainingGrid:
        frames = rearrange(made.grid.frames, "v t c h w -> 1 (v t) c h w")
        frames = frames.flip(1) if draft.backwards else frames
        seconds = torch.arange(frames.shape[1], device=frames.device) / self.config.worlds.fps
        grid = VideoGrid.complete(frames.contiguous(), seconds)
        return TrainingGrid(
            kind=draft.kind,
            grid=grid,
            references=draft.given[None],
            caption=made.caption,
            source=made.source,
            licence=made.licence,
        )


def draw_mask(times: int, group: int, rng: np.random.Generator) -> Bool[Tensor, "T"]:
    """Which frames of a video are given; at least one group never is."""
    groups = 1 + -(-(times - 1) // group)
    kind = list(MASK_SHARES)[int(rng.choice(len(MASK_SHARES), p=list(MASK_SHARES.values())))]
    known = np.zeros(groups, dtype=bool)
    if kind == "first":
        known[0] = True
    elif kind == "beginning":
        known[: int(rng.integers(1, max(groups, 2)))] = True
    elif kind == "anywhere":
        known = rng.random(groups) < rng.uniform(0.2, 0.8)
    if known.all():
        known[int(rng.integers(groups))] = False
    frames = np.concatenate([known[:1], known[1:].repeat(group)])[:times]
    return torch.from_numpy(frames)
