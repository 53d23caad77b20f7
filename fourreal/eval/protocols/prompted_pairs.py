"""Tables without a truth: a fixed-view and a freeze-time video in, the generated grid measured by itself.

DATA/000/fixed.mp4      any video the package reads, or a folder of images
DATA/000/freeze.mp4
DATA/000/prompt.txt     what the scene shows; optional, and given to models that read text
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.grid_shape import GridShape
from fourreal.data.footage import Sampling, grid_from_videos
from fourreal.eval.protocols.completion import completions
from fourreal.eval.protocols.pair_scores import qualitative_without_truth
from fourreal.eval.protocols.protocol import Extent, Models, Protocol, SceneScore
from fourreal.eval.protocols.scene_folders import changes, require_scenes
from fourreal.eval.scores import Metric

Measure: TypeAlias = Callable[[VideoGrid, VideoGrid, str], SceneScore]
"""(generated grid, the given grid, prompt) to the figures, without pictures."""


def pair_protocol(
    name: str,
    data: str | os.PathLike[str],
    models: Models,
    extent: Extent,
    *,
    count: int,
    shape: GridShape,
    metrics: Sequence[Metric],
    measure: Measure,
) -> Protocol:
    """The model and all baselines fill the same grids; without a title and the paper's figures.

    Args:
        count: how many pairs the table has; their folders are 000, 001, ...
        shape: of the grids, where the extent says nothing else.

    Raises:
        InputError: there is no generator, or pairs are missing.
    """
    scenes = extent.first([f"{number:03d}" for number in range(count)])
    folder = require_scenes(data, scenes, "pairs of a fixed-view and a freeze-time video")
    methods = completions(models, "cross", name)
    shape = extent.of(shape)
    prompts = {scene: read_prompt(folder / scene) for scene in scenes}
    read_once = lru_cache(maxsize=1)(lambda scene: read_pair(folder / scene, shape))

    def score(scene: str, method: str) -> SceneScore:
        given, prompt = read_once(scene), prompts[scene]
        if method == models.name and models.complete_prompted is not None and prompt:
            generated = models.complete_prompted(given, prompt)
        else:
            generated = methods[method](given)
        generated.require_complete(f"the answer of {method}")
        pictures, worst_cell = qualitative_without_truth(generated)
        return replace(measure(generated, given, prompt), qualitative=pictures, worst_cell=worst_cell)

    return Protocol(
        name=name,
        title=name,
        scenes=scenes,
        methods={method: models.identity if method == models.name else {} for method in methods},
        baselines=tuple(method for method in methods if method != models.name),
        metrics=tuple(metrics),
        score=score,
        settings={
            "data": str(folder),
            "views": shape.views,
            "frames": shape.frames,
            "image_size": shape.image_size,
            "video_features": extent.video_features,
            "prompts": prompts,
            "prompts_are_given": models.complete_prompted is not None,
        },
        notes=changes(extent),
    )


def read_prompt(folder: Path) -> str:
    """What a pair's scene shows; empty where nothing is said. Raises InputError where it cannot be read as text."""
    file = folder / "prompt.txt"
    try:
        return file.read_text(encoding="utf-8").strip() if file.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as text in UTF-8 ({error}); save it as such") from error


def read_pair(folder: Path, shape: GridShape) -> VideoGrid:
    """The pair in a folder as a grid with its first row and first column known.

    Raises:
        InputError: a video is missing or cannot be read.
    """
    sampling = Sampling(frames=shape.frames, size=shape.image_size)
    return grid_from_videos(_clip(folder, "fixed"), _clip(folder, "freeze"), sampling, views=shape.views).grid


def generated_rows(generated: VideoGrid, given: VideoGrid) -> list[Tensor]:
    """The fixed-view videos [T, 3, H, W] that were not given."""
    return [generated.frames[view] for view in torch.nonzero(~given.known.all(1)).flatten().tolist()]


def generated_columns(generated: VideoGrid, given: VideoGrid) -> list[Tensor]:
    """The freeze-time videos [V, 3, H, W] that were not given."""
    return [generated.frames[:, time] for time in torch.nonzero(~given.known.all(0)).flatten().tolist()]


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
