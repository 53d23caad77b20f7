"""Training samples from captures on disk, and data sets of any kind drawn alike often.

Photos of a scene that stands still become a stretch of its camera path, repeated at every time; synchronised cameras
become a stretch of time. Neither has depth.

Source: 4Real-Video-V2, section 3.2 "Training" and appendix C ("We sample uniformly across datasets").
"""

from __future__ import annotations

import functools
import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fourreal.core.errors import InputError
from fourreal.core.grid import KnownPattern, known_pattern
from fourreal.core.linspace_indices import linspace_indices
from fourreal.data.captures.capture import Selection
from fourreal.data.captures.readers import READERS, read_benchmark
from fourreal.data.mixture import GridMixture, MixtureConfig, draw_references, with_references
from fourreal.data.shards import ShardMixture
from fourreal.data.static import duplicated_in_time
from fourreal.data.training_grid import Mixture, TrainingGrid, stream

GLANCE = (16, 16)
"""Frames of this size are enough to count them."""


@dataclass(frozen=True)
class CaptureDraft:
    """Which part of which scene, and how it is shown."""

    reader: str
    scene: str
    selection: Selection
    pattern: KnownPattern
    reverse: bool


@dataclass(frozen=True)
class CaptureMixture:
    """Samples of one data set of captures, its scenes drawn uniformly.

    Attributes:
        source: READER:PATH, a scene, or scenes by a pattern with `*`.

    Raises:
        InputError: no such reader or scene, or a scene with fewer views or times than the config's grids.
    """

    source: str
    config: MixtureConfig

    def draft(self, step: int, index: int) -> CaptureDraft:
        reader, scenes = scenes_of(self.source)
        rng = stream(self.config.seed, step, index, "capture")
        scene = scenes[int(rng.integers(len(scenes)))]
        worlds = self.config.worlds
        views, times, fps = _extent(reader, scene)
        if views < worlds.views:
            raise InputError(f"{scene} has {views} views; the grids have {worlds.views}, so leave it out")
        span = int(rng.integers(worlds.views, views + 1))
        first = int(rng.integers(views - span + 1))
        chosen = tuple(first + place for place in linspace_indices(span, worlds.views))
        moments: tuple[int, ...] = (0,)
        if times > 1:
            stride = max(1, round(fps / worlds.fps))
            length = (worlds.frames - 1) * stride + 1
            if times < length:
                raise InputError(
                    f"{scene} has {times} frames a view; grids of {worlds.frames} at {worlds.fps:g} fps need {length}"
                )
            begin = int(rng.integers(times - length + 1))
            moments = tuple(range(begin, begin + length, stride))
        kind = "objects" if times > 1 else "static"
        pattern, reverse = draw_references(self.config, kind, step, index)
        return CaptureDraft(reader, scene, Selection(chosen, moments, worlds.image_size), pattern, reverse)

    def render(self, drafts: Sequence[CaptureDraft], device: torch.device | str = "cpu") -> list[TrainingGrid]:
        return [self._read(draft, device) for draft in drafts]

    def _read(self, draft: CaptureDraft, device: torch.device | str) -> TrainingGrid:
        worlds = self.config.worlds
        capture = read_benchmark(draft.reader, Path(draft.scene), draft.selection)
        capture.grid.require_complete("training")
        sample = TrainingGrid(
            kind="objects",
            grid=capture.grid.to(device),
            references=known_pattern("none", *capture.grid.known.shape),
            caption="",
            source=f"{capture.source}: {capture.name}",
            licence=capture.licence,
        )
        if capture.grid.num_times == 1:
            sample = duplicated_in_time(sample, worlds.frames, worlds.fps)
        return with_references(sample, draft.pattern, draft.reverse)


def scenes_of(source: str) -> tuple[str, list[str]]:
    """The reader of a READER:PATH and its scenes in order. Raises InputError when there is no such reader or scene."""
    reader, colon, path = source.partition(":")
    if not colon or reader not in READERS:
        raise InputError(f"captures are given as READER:PATH, READER one of {', '.join(READERS)}; got '{source}'")
    scenes = sorted(glob.glob(path))
    if not scenes:
        raise InputError(f"there is no scene at '{path}'; give a scene's path, or several by a pattern with *")
    return reader, scenes


@functools.lru_cache(maxsize=65536)
def _extent(reader: str, scene: str) -> tuple[int, int, float]:
    """Views, times and frames per second of a scene, which is read once for that."""
    grid = read_benchmark(reader, Path(scene), Selection(size=GLANCE)).grid
    seconds = grid.seconds
    fps = (len(seconds) - 1) / float(seconds[-1] - seconds[0]) if len(seconds) > 1 else 0.0
    return grid.num_views, grid.num_times, fps


@dataclass(frozen=True)
class _DraftOf:
    part: int
    draft: Any


@dataclass(frozen=True)
class UniformMixture:
    """Several data sets, each drawn alike often, however large it is. Source: 4Real-Video-V2, appendix C."""

    parts: tuple[Mixture, ...]
    seed: int

    def draft(self, step: int, index: int) -> _DraftOf:
        part = int(stream(self.seed, step, index, "data set").integers(len(self.parts)))
        return _DraftOf(part, self.parts[part].draft(step, index))

    def render(self, drafts: Sequence[_DraftOf], device: torch.device | str = "cpu") -> list[TrainingGrid]:
        made: dict[int, TrainingGrid] = {}
        for number, part in enumerate(self.parts):
            places = [place for place, draft in enumerate(drafts) if draft.part == number]
            if places:
                samples = part.render([drafts[place].draft for place in places], device)
                made |= dict(zip(places, samples, strict=True))
        return [made[place] for place in range(len(drafts))]


def data_sets(config: MixtureConfig, shards: str, captures: Sequence[str]) -> Mixture:
    """Worlds, or shards of them, as one data set, and every source of captures as one more."""
    worlds = ShardMixture(Path(shards), config) if shards else GridMixture(config)
    if not captures:
        return worlds
    return UniformMixture((worlds, *(CaptureMixture(source, config) for source in captures)), config.seed)
