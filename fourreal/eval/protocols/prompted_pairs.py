"""Tables without a truth: a fixed-view and a freeze-time video in, the grid between them measured by itself.

DATA/000/fixed.mp4      any video the package reads, or a folder of images
DATA/000/freeze.mp4
DATA/000/prompt.txt     what the scene shows; optional
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.grid_shape import GridShape
from fourreal.data.footage import Sampling, grid_from_videos
from fourreal.eval.protocols.completion import completions
from fourreal.eval.protocols.pair_scores import qualitative_without_truth
from fourreal.eval.protocols.protocol import Extent, Models, Protocol, SceneScore, Table
from fourreal.eval.protocols.scene_folders import changes, require_scenes
from fourreal.eval.scores import Metric

Measure = Callable[[VideoGrid, VideoGrid, str], SceneScore]
"""A completed grid, its input (first row and first column known) and the prompt, to its figures."""


def pair_table(name: str, title: str, count: int, size: GridShape, data: Path, extent: Extent) -> Table:
    """Such a table, whose pairs lie in the folders 000, 001, ... of `data`.

    Raises:
        InputError: pairs are missing.
    """
    scenes = extent.first([f"{number:03d}" for number in range(count)])
    return Table(
        name=name,
        title=title,
        scenes=scenes,
        settings={
            "data": str(require_scenes(data, scenes, "pairs of a fixed-view and a freeze-time video")),
            "views": size.views,
            "frames": size.frames,
            "image_size": size.image_size,
            "video_features": extent.video_features,
        },
        notes=changes(extent),
    )


def pair_protocol(
    table: Table,
    models: Models,
    *,
    size: GridShape,
    metrics: tuple[Metric, ...],
    measure: Measure,
    absent: Mapping[str, str],
    references: Mapping[str, Float[Tensor, "_ _"]] | None = None,
) -> Protocol:
    """The protocol of such a table: the model and all baselines complete the same grids.

    Args:
        measure: what is measured of one grid, without pictures.
        absent, references: as of `Protocol`.

    Raises:
        InputError: there is no generator.
    """
    methods = completions(models, "cross", table.name)
    data = Path(table.settings["data"])
    cached = lru_cache(maxsize=1)(lambda scene: read_pair(data / scene, size))

    def score(scene: str, method: str) -> SceneScore:
        grid, prompt = cached(scene)
        predicted = methods[method](grid)
        predicted.require_complete(f"the answer of {method}")
        return replace(measure(predicted, grid, prompt), qualitative=qualitative_without_truth(predicted))

    return Protocol(
        table=table,
        methods={method: models.identity if method == models.name else {} for method in methods},
        baselines=tuple(method for method in methods if method != models.name),
        metrics=metrics,
        score=score,
        absent=absent,
        references=references or {},
    )


def read_pair(folder: Path, size: GridShape) -> tuple[VideoGrid, str]:
    """The pair in a folder as a partly known grid of a size, and its prompt (empty without one).

    Raises:
        InputError: a video is missing or cannot be read.
    """
    sampling = Sampling(times=size.frames, size=size.image_size)
    found = grid_from_videos(_clip(folder, "fixed"), _clip(folder, "freeze"), sampling, views=size.views)
    file = folder / "prompt.txt"
    prompt = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
    return found.grid, prompt


def unknown_rows(predicted: VideoGrid, grid: VideoGrid) -> list[Tensor]:
    """The fixed-view videos [T, 3, H, W] that were predicted, without the given ones."""
    return [predicted.frames[view] for view in torch.nonzero(~grid.known.all(1)).flatten().tolist()]


def unknown_columns(predicted: VideoGrid, grid: VideoGrid) -> list[Tensor]:
    """The freeze-time videos [V, 3, H, W] that were predicted, without the given ones."""
    return [predicted.frames[:, time] for time in torch.nonzero(~grid.known.all(0)).flatten().tolist()]


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
