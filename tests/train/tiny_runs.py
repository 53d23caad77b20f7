"""Short runs for the tests of this room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from fourreal.core.progress import Progress, silent
from fourreal.train.checkpoint import Counters, latest_checkpoint
from fourreal.train.loop import train
from fourreal.train.parallel import Processes
from fourreal.train.recipe import VideoRecipe
from fourreal.train.settings import RunSettings
from fourreal.train.task import SheetWriter
from fourreal.train.video_recipes import tiny
from fourreal.train.video_task import VideoTask

ALONE = Processes(0, 1, torch.device("cpu"))


def run(
    out: Path,
    recipe: VideoRecipe | None = None,
    *,
    write_sheet: SheetWriter | None = None,
    progress: Progress = silent,
    **options: Any,
) -> Counters:
    recipe = recipe or tiny()
    return train(
        VideoTask(recipe, ALONE.device),
        recipe,
        RunSettings(out=out, **options),
        ALONE,
        write_sheet=write_sheet,
        progress=progress,
    )


def stored_tensors(out: Path) -> dict[str, torch.Tensor]:
    checkpoint = latest_checkpoint(out)
    assert checkpoint is not None
    return {name: checkpoint.read(name) for name in checkpoint.pieces}
