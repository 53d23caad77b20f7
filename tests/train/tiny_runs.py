"""Short runs for the tests of this room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from fourreal.train.checkpoint import latest_checkpoint
from fourreal.train.loop import Outcome, RunOptions, train
from fourreal.train.parallel import Processes
from fourreal.train.recipe import VideoRecipe
from fourreal.train.video_recipes import tiny
from fourreal.train.video_task import VideoTask

ALONE = Processes(0, 1, torch.device("cpu"))


def run(out: Path, recipe: VideoRecipe | None = None, **options: Any) -> Outcome:
    recipe = recipe or tiny()
    return train(VideoTask(recipe, ALONE.device), recipe, RunOptions(out, **options), ALONE)


def stored_tensors(out: Path) -> dict[str, torch.Tensor]:
    checkpoint = latest_checkpoint(out)
    assert checkpoint is not None
    return {name: checkpoint.read(name) for name in checkpoint.pieces}
