"""`fourreal train`: train a video model, a reconstruction model or a draft by a recipe, on one device or more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fourreal.core.errors import InputError
from fourreal.train.settings import NO_CHANGES, RecipeChanges, RunSettings

if TYPE_CHECKING:
    import torch

    from fourreal.train.checkpoint import Counters
    from fourreal.train.recipe import Recipe
    from fourreal.train.task import Task


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a video or a reconstruction model by a recipe; stop and resume at any step.

    OUT gets checkpoints, a log, plots, samples and the model itself. A run that was killed goes on with --resume
    from its last checkpoint and ends in the same weights.

    Recipes for video (parameters; views x frames of the last stage; needs):
        mini: 2.0M; 4 x 9 of 64 x 64; two CPU cores for hours. What ships.
        base: 9.9M; 8 x 13 of 128 x 128; a GPU, and the extra `text` or --text none.
        wan-1.3b: 1.4B; 8 x 61 of 144 x 256; GPUs, and the weights of Wan 2.1 1.3B.
        paper-v2: 11B; 8 x 61 of 144 x 256; 48 GPUs, and a base model of your own (--base DIR).
        v1-pseudo: 1.4B, by 4Real-Video's way, on warped clips; 8 x 9 of 144 x 256; GPUs, and Wan 2.1 1.3B.
        v1-objects: what comes after it (--base RUN/model), on animated things; 8 x 9 of 144 x 256; GPUs.
        tiny: for tests; 3 x 5 of 16 x 16; seconds, and nothing learnt.

    Recipes for recon:
        mini: 0.9M; 8 x 4 of 64 x 64; two CPU cores for hours. What ships.
        base: 8.1M; 8 x 4 of 128 x 128; a GPU.
        vggt-1b: 1.3B; 8 x 4 of 518 x 518; GPUs, and the weights of VGGT-1B.
        tiny: for tests; 3 x 2 of 32 x 32; seconds, and nothing learnt.

    Recipes for draft (unknown cells by matching):
        mini: 2.8M; 4 x 9 of 64 x 64; a CPU core for hours.
        tiny: for tests; 3 x 4 of 16 x 16; seconds, and nothing learnt.

    Examples:
        fourreal train video --recipe mini --out runs/mini --minutes 2
        fourreal train video --recipe mini --out runs/mini --resume
        torchrun --nproc-per-node 8 -m fourreal.cli train video --recipe wan-1.3b --base DIR --out runs/wan
    """

    kind: Annotated[Literal["video", "recon", "draft"], tyro.conf.Positional]
    """What to train."""
    session: Annotated[RunSettings, tyro.conf.arg(name="")]
    recipe: str = "mini"
    """Name of the recipe."""
    device: str = "auto"
    """auto, cpu or cuda."""
    changes: Annotated[RecipeChanges, tyro.conf.arg(name="")] = NO_CHANGES

    def run(self) -> None:
        from fourreal.core.progress import progress_bar
        from fourreal.train.catalog import find_recipe
        from fourreal.train.fit_base import fit_to_base
        from fourreal.train.loop import train
        from fourreal.train.parallel import join_processes, leave_processes
        from fourreal.train.recipe import total_steps
        from fourreal.train.run_folder import check_extras, check_folder
        from fourreal.view.contact_sheet import write_contact_sheet

        session = self.session
        if session.steps is not None and session.steps < 0:
            raise InputError(f"steps cannot be negative; got {session.steps}")
        if session.minutes is not None and not session.minutes > 0:
            raise InputError(f"minutes must be positive; got {session.minutes}")
        recipe = fit_to_base(find_recipe(self.kind, self.recipe, self.changes), self.changes.size)
        processes = join_processes(self.device)
        try:
            check_extras(recipe, processes.device)
            check_folder(session.out, recipe, resume=session.resume)  # before any model is made
            processes.wait()  # nobody may begin the run while another still looks whether there is one
            task = _task(recipe, processes.device)
            with progress_bar(f"train {self.recipe}") as progress:
                counters = train(task, recipe, session, processes, write_sheet=write_contact_sheet, progress=progress)
            if processes.leads:
                _report(session.out, counters, total_steps(recipe))
        finally:
            leave_processes(processes)


def _task(recipe: Recipe, device: torch.device) -> Task:
    from fourreal.train.recipe import DraftRecipe, VideoRecipe

    if isinstance(recipe, DraftRecipe):
        from fourreal.train.draft_task import DraftTask

        return DraftTask(recipe, device)
    if isinstance(recipe, VideoRecipe):
        from fourreal.train.video_task import VideoTask

        return VideoTask(recipe, device)
    from fourreal.train.recon_task import ReconTask

    return ReconTask(recipe, device)


def _report(out: Path, counters: Counters, steps: int) -> None:
    from fourreal.train.log import read_log

    losses = [line["loss"] for line in read_log(out) if "loss" in line]
    trend = f"; loss {losses[0]:.4g} at first, {losses[-1]:.4g} now" if losses else ""
    print(f"{out}: {counters.step} steps in {counters.seconds / 60:.1f} minutes{trend}")
    if counters.step < steps:
        print(f"the recipe is not at its end: go on with --resume (checkpoint at step {counters.step})")
