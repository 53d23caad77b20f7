"""`TrainingGrid`: one sample as the trainer gets it, and the random streams every sample is drawn from.

A sample is a pure function of (seed, step, index). No generator is carried along, so any worker or rank
can make any sample, and a run that stops goes on with exactly the samples it would have had.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.data.sample import GridSample

SampleKind = Literal["objects", "physics", "warped", "static", "dynamic", "freeze_time"]
"""objects: animated things. physics: things that fall, roll and collide. warped: one clip, a homography per
view. static: a scene that stands still, repeated at every time. dynamic: a single video from a fixed camera.
freeze_time: a single video of a camera moving through a still scene."""


@dataclass(frozen=True, kw_only=True)
class TrainingGrid:
    """A complete grid and which of its cells the model is given.

    Attributes:
        references: cells given to the model; the others it has to generate.
        depth: z-depth of every pixel, for worlds; None where it is not known.
        reverse: the views run backwards.
        instance_ids, instance_motion: which rigid instance each pixel shows and how instances move, as in
            `GridSample`, for worlds; None where nobody knows it.
    """

    kind: SampleKind
    grid: VideoGrid
    references: Bool[Tensor, "V T"]
    caption: str
    source: str
    licence: str
    depth: Float[Tensor, "V T H W"] | None = None
    reverse: bool = False
    instance_ids: Int[Tensor, "V T H W"] | None = None
    instance_motion: Float[Tensor, "T K 4 4"] | None = None

    @property
    def cameras(self) -> Cameras:
        assert self.grid.cameras is not None, "this kind of sample has no cameras"
        return self.grid.cameras

    def with_geometry(self) -> GridSample:
        """The same grid with its exact geometry, from which the flow between any two cells follows.

        Raises:
            InputError: the sample does not know its depth, instances or motion.
        """
        if self.depth is None or self.instance_ids is None or self.instance_motion is None:
            raise InputError(
                f"the sample '{self.source}' does not hold depth, instances and motion, from which exact flow is "
                "computed; write shards with `fourreal synth --shards --flow`"
            )
        return GridSample(
            grid=self.grid,
            depth=self.depth,
            instance_ids=self.instance_ids,
            caption=self.caption,
            source=self.source,
            licence=self.licence,
            instance_motion=self.instance_motion,
        )


@runtime_checkable
class Mixture(Protocol):
    """Where samples come from, in two halves: what to show (on any process), and its pixels (on any device)."""

    def draft(self, step: int, index: int) -> Any:
        """Everything about sample `index` of step `step` but its pixels; small, can be pickled."""
        ...

    def render(self, drafts: Sequence[Any], device: torch.device | str = "cpu") -> list[TrainingGrid]:
        """The samples of some drafts, rendered together."""
        ...


def stream(seed: int, step: int, index: int, name: str) -> np.random.Generator:
    """The random numbers for one decision about one sample; no decision shifts another."""
    return np.random.default_rng([seed, step, index, zlib.crc32(name.encode())])


def reversed_views(sample: TrainingGrid) -> TrainingGrid:
    """The same grid with its views from last to first. Source: 4Real-Video-V2, appendix B ("randomly reversing")."""
    order = list(reversed(range(sample.grid.num_views)))
    return replace(
        sample,
        grid=sample.grid.select(views=order),
        depth=None if sample.depth is None else sample.depth[order],
        instance_ids=None if sample.instance_ids is None else sample.instance_ids[order],
        reverse=not sample.reverse,
    )


def from_world(kind: SampleKind, made: GridSample) -> TrainingGrid:
    """A rendered world with nothing given to the model yet."""
    nothing = torch.zeros(made.grid.num_views, made.grid.num_times, dtype=torch.bool)
    return TrainingGrid(
        kind=kind,
        grid=made.grid,
        references=nothing,
        caption=made.caption,
        source=made.source,
        licence=made.licence,
        depth=made.depth,
        instance_ids=made.instance_ids.short(),
        instance_motion=made.instance_motion,
    )
