"""Tables without a truth: a fixed-view and a freeze-time video in, the grid between them judged by itself.

DATA/000/fixed.mp4      any video the package reads, or a folder of images
DATA/000/freeze.mp4
DATA/000/prompt.txt     what the scene shows; optional
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.grid_shape import GridShape
from fourreal.data.footage import Sampling, grid_from_videos
from fourreal.eval.protocols.compared import exhibit_without_truth
from fourreal.eval.protocols.completing import completions
from fourreal.eval.protocols.protocol import Extent, Metric, Models, PaperTable, Protocol, SceneScore
from fourreal.eval.protocols.scene_folders import changes, require_scenes


@dataclass(frozen=True, eq=False)
class PromptedPair:
    """A grid with its first row and first column known, and what it shows."""

    grid: VideoGrid
    prompt: str


Judge = Callable[[VideoGrid, PromptedPair], SceneScore]
"""A completed grid and what it was made from, to its figures."""


@dataclass(frozen=True, eq=False)
class PairTable:
    """Such a table.

    Attributes:
        count: how many pairs; their folders are 000, 001, ...
        judge: what is measured of one grid, without an exhibit.
        absent, references, paper, notes: as of `Protocol`.
    """

    name: str
    title: str
    count: int
    size: GridShape
    metrics: tuple[Metric, ...]
    judge: Judge
    absent: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, Float[Tensor, "_ _"]] = field(default_factory=dict)
    paper: tuple[PaperTable, ...] = ()
    notes: tuple[str, ...] = ()


def pair_protocol(table: PairTable, data: Path, models: Models, extent: Extent) -> Protocol:
    """The protocol of a table: the model and all baselines fill the same grids.

    Raises:
        InputError: there is no generator, or pairs are missing.
    """
    scenes = extent.first([f"{number:03d}" for number in range(table.count)])
    data = require_scenes(data, scenes, "pairs of a fixed-view and a freeze-time video")
    arms = completions(models, "cross", table.name)
    opened = lru_cache(maxsize=1)(lambda scene: read_pair(data / scene, table.size))

    def score(scene: str, arm: str) -> SceneScore:
        pair = opened(scene)
        made = arms[arm](pair.grid)
        made.require_complete(f"the answer of {arm}")
        judged = table.judge(made, pair)
        return SceneScore(
            judged.cells, judged.features, judged.references, exhibit_without_truth(made), judged.unmeasured
        )

    settings: dict[str, Any] = {
        "data": str(data),
        "views": table.size.views,
        "times": table.size.frames,
        "image_size": table.size.image_size,
        "video_features": extent.video_features,
    }
    return Protocol(
        table.name,
        table.title,
        scenes,
        {arm: models.identity if arm == models.name else {} for arm in arms},
        tuple(arm for arm in arms if arm != models.name),
        table.metrics,
        score,
        settings,
        absent=table.absent,
        references=table.references,
        paper=table.paper,
        notes=(*table.notes, *changes(extent)),
    )


def read_pair(folder: Path, size: GridShape) -> PromptedPair:
    """The pair in a folder, sampled to a size.

    Raises:
        InputError: a video is missing or cannot be read.
    """
    sampling = Sampling(times=size.frames, size=size.image_size)
    found = grid_from_videos(_clip(folder, "fixed"), _clip(folder, "freeze"), sampling, views=size.views)
    file = folder / "prompt.txt"
    prompt = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
    return PromptedPair(found.grid, prompt)


def unknown_rows(made: VideoGrid, pair: PromptedPair) -> list[Tensor]:
    """The fixed-view videos [T, 3, H, W] that were made, those given left out."""
    return [made.frames[view] for view in torch.nonzero(~pair.grid.known.all(1)).flatten().tolist()]


def unknown_columns(made: VideoGrid, pair: PromptedPair) -> list[Tensor]:
    """The freeze-time videos [V, 3, H, W] that were made, those given left out."""
    return [made.frames[:, time] for time in torch.nonzero(~pair.grid.known.all(0)).flatten().tolist()]


def percent(values: Sequence[float]) -> Float[Tensor, "N"]:
    """Shares as the papers print them."""
    return 100 * torch.tensor(values)


def _clip(folder: Path, name: str) -> Path:
    found = sorted(path for path in folder.iterdir() if path.stem == name and path.name[0] != ".")
    if len(found) != 1:
        raise InputError(
            f"{folder} must hold one {name} video (such as {name}.mp4, or a folder {name}); found {len(found)}"
        )
    return found[0]
