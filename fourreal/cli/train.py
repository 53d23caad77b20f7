"""`fourreal train`: train a video model, a reconstruction model or a draft by a recipe, on one device or more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fourreal.core.errors import InputError

if TYPE_CHECKING:
    from fourreal.train.loop import Outcome
    from fourreal.train.recipe import Recipe


@dataclass(frozen=True)
class Train:
    """Train a video or a reconstruction model by a recipe; stop and resume at any step.

    Recipes for video: mini (what ships, for a CPU), base, wan-1.3b, paper-v2, tiny. For recon: mini,
    base, vggt-1b, tiny. For draft (unknown cells by matching): mini, tiny. OUT gets checkpoints, a log,
    plots, samples and the model itself. A run that was killed
    goes on with --resume from its last checkpoint and ends in the same weights.

    Examples:
        fourreal train video --recipe mini --out runs/mini --minutes 2
        fourreal train video --recipe mini --out runs/mini --resume
        torchrun --nproc-per-node 8 -m fourreal.cli train video --recipe wan-1.3b --base DIR --out runs/wan
    """

    kind: Annotated[Literal["video", "recon", "draft"], tyro.conf.Positional]
    """What to train."""
    out: Path
    """Folder of the run."""
    recipe: str = "mini"
    """Name of the recipe."""
    resume: bool = False
    """Go on with the run in OUT."""
    steps: int | None = None
    """Stop when the run has this many steps in all; the rates stay the recipe's."""
    minutes: float | None = None
    """Stop after so many minutes, with a checkpoint."""
    device: str = "auto"
    """auto, cpu or cuda."""
    workers: int = 0
    """Processes that make samples ahead of need; 0 makes them in between."""
    seed: int | None = None
    """Of data, noise and first weights; the recipe's own when left out."""
    stage_steps: tuple[int, ...] | None = None
    """Length of every stage, instead of the recipe's."""
    pace: float | None = None
    """Everything that counts steps times this: stages, warm-ups, curricula. 0.1 is a tenth of the recipe."""
    base: str | None = None
    """Model to start from, instead of the recipe's: a folder or a released name."""
    shards: str | None = None
    """Folder of tar shards to read view-time samples from; they are rendered on the way when left out."""
    text: Literal["none", "small"] | None = None
    """How a model of our own reads captions: not at all, or by MiniLM (extra `text`)."""
    batch: int | None = None
    """Samples in an optimiser step, instead of every stage's own."""
    micro_batch: int | None = None
    """Samples a process takes at once: less memory, the same training."""
    precision: Literal["float32", "bfloat16"] | None = None
    """Number format of the arithmetic, instead of the recipe's."""
    checkpoint_every: int | None = None
    """Steps between checkpoints, instead of the recipe's."""
    sample_every: int | None = None
    """Steps between contact sheets, instead of the recipe's."""

    def run(self) -> None:
        from fourreal.core.progress import progress_bar
        from fourreal.train.catalog import Changes, find_recipe
        from fourreal.train.loop import RunOptions, train
        from fourreal.train.parallel import join_processes, leave_processes
        from fourreal.view.contact_sheet import write_contact_sheet

        if self.steps is not None and self.steps < 0:
            raise InputError(f"steps cannot be negative; got {self.steps}")
        if self.minutes is not None and not self.minutes > 0:
            raise InputError(f"minutes must be positive; got {self.minutes}")
        changes = Changes(
            self.seed,
            self.stage_steps,
            self.base,
            self.micro_batch,
            self.precision,
            self.checkpoint_every,
            self.sample_every,
            self.shards,
            self.batch,
            self.text,
            self.pace,
        )
        recipe = find_recipe(self.kind, self.recipe, changes)
        processes = join_processes(self.device)
        try:
            from fourreal.train.run_folder import check_folder

            check_folder(self.out, recipe, resume=self.resume)  # before any model is made
            processes.wait()  # nobody may begin the run while another still looks whether there is one
            task = self._task(recipe, processes.device)
            with progress_bar(f"train {self.recipe}") as progress:
                options = RunOptions(
                    self.out, self.resume, self.steps, self.minutes, self.workers, write_contact_sheet, progress
                )
                outcome = train(task, recipe, options, processes)
            if processes.leads:
                self._say(outcome)
        finally:
            leave_processes(processes)

    def _task(self, recipe: Recipe, device):
        from fourreal.train.recipe import DraftRecipe, VideoRecipe

        if isinstance(recipe, DraftRecipe):
            from fourreal.train.draft_task import DraftTask

            return DraftTask(recipe, device)

        if isinstance(recipe, VideoRecipe):
            from fourreal.train.video_task import VideoTask

            return VideoTask(recipe, device)
        from fourreal.train.recon_task import ReconTask

        return ReconTask(recipe, device)

    def _say(self, outcome: Outcome) -> None:
        from fourreal.train.log import read_log

        counters = outcome.counters
        losses = [line["loss"] for line in read_log(self.out) if "loss" in line]
        trend = f"; loss {losses[0]:.4g} at first, {losses[-1]:.4g} now" if losses else ""
        print(f"{self.out}: {counters.step} steps in {counters.seconds / 60:.1f} minutes{trend}")
        if not outcome.finished:
            print(f"the recipe is not at its end: go on with --resume (checkpoint at step {counters.step})")
