"""How much of the bare network's speed does the training loop keep, and what do recipes cost?

    python benchmarks/trainer.py [--recipe mini] [--steps 12] [--batch 4] [--device cuda] [--workers 2]
    python benchmarks/trainer.py --estimate

First table, samples a second in one run: forward and backward alone on samples in memory; the loop on the same
samples (clipping, optimiser, average, log and all); the loop on worlds made and rendered as it goes. Goal: the
second at least 0.85 of the first. --estimate prints memory and hours of the large recipes by `fourreal plan`'s
counts, nothing measured.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from measuring import machine

from fourreal.core.devices import resolve_device
from fourreal.core.progress import Progress
from fourreal.data.training_grid import Mixture, TrainingGrid
from fourreal.train.estimate import estimate_training
from fourreal.train.loop import train
from fourreal.train.parallel import Processes
from fourreal.train.recipe import VideoRecipe
from fourreal.train.settings import RunSettings
from fourreal.train.task import SheetWriter
from fourreal.train.video_recipes import VIDEO_RECIPES
from fourreal.train.video_task import VideoTask
from fourreal.video.hardware import GPUS


@dataclass(frozen=True)
class InMemory:
    """A mixture that shows the same samples at every step."""

    samples: tuple[TrainingGrid, ...]

    def draft(self, step: int, index: int) -> int:
        return index

    def render(self, drafts: Sequence[Any], device: torch.device | str = "cpu") -> list[TrainingGrid]:
        return [self.samples[index] for index in drafts]


class Measured(VideoTask):
    """A task without pictures and export, with a mixture of one's own."""

    given: Mixture | None = None

    def mixture(self, stage: int) -> Mixture:
        return self.given or super().mixture(stage)

    def show(self, stage: int, folder: Path | None, write_sheet: SheetWriter | None) -> dict[str, float]:
        return {}

    def export(self, stage: int, out: Path, steps: int, weights: Any) -> None:
        pass


def median_seconds(work: Callable[[Progress], object], device: torch.device) -> float:
    """Median time between the calls that `work` makes after each step; the first two are warm-up."""
    stamps: list[float] = []

    def stamp(done: int, total: int) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        stamps.append(time.perf_counter())

    work(stamp)
    gaps = [b - a for a, b in itertools.pairwise(stamps[1:])]
    return statistics.median(gaps)


def compare(recipe: VideoRecipe, steps: int, device: torch.device, workers: int) -> None:
    stage = recipe.stages[-1]
    never = {"checkpoint_every": 10**9, "sample_every": 10**9, "plot_every": 10**9}
    recipe = replace(recipe, stages=(stage,), loop=replace(recipe.loop, micro_batch=stage.batch, **never))
    alone = Processes(0, 1, device)
    task = Measured(recipe, device)
    task.model.to(device=device)  # pyright: ignore[reportCallIssue]
    worlds = VideoTask.mixture(task, 0)
    samples = worlds.render([worlds.draft(0, index) for index in range(stage.batch)], device)

    def bare(stamp: Progress) -> None:
        for step in range(steps):
            with torch.autocast(device.type, torch.bfloat16, enabled=recipe.loop.precision == "bfloat16"):
                loss = task.losses(samples, 0, step, range(stage.batch))["loss"]
            loss.backward()
            task.model.zero_grad()
            stamp(step, steps)

    def loop(given: Mixture | None, workers: int) -> Callable[[Progress], object]:
        def run(stamp: Progress) -> None:
            task.given = given
            with tempfile.TemporaryDirectory() as out:
                settings = RunSettings(out=Path(out) / "run", steps=steps, workers=workers)
                train(task, recipe, settings, alone, progress=stamp)

        return run

    print(f"{recipe.name}, stage {stage.name}, batch {stage.batch}, {machine(device)}")
    reference = median_seconds(bare, device)
    rows = {
        "forward + backward alone": reference,
        "loop, samples in memory": median_seconds(loop(InMemory(tuple(samples)), 0), device),
        f"loop, worlds made as it goes, {workers} workers": median_seconds(loop(None, workers), device),
    }
    for name, seconds in rows.items():
        print(f"  {name:<45} {stage.batch / seconds:9.2f} samples/s   {reference / seconds:.2f}")


def estimates() -> None:
    for name, model, gpus, gpu in (
        ("wan-1.3b", "wan2.1-1.3b", 8, "h100"),
        ("wan-1.3b", "wan2.1-1.3b", 8, "a100-80gb"),
        ("paper-v2", "paper-11b", 48, "a100-80gb"),
        ("paper-v2", "paper-11b", 48, "h200"),
    ):
        print(f"{name} on {gpus} x {gpu}")
        for cost in estimate_training(VIDEO_RECIPES[name](), model, gpus, GPUS[gpu]):
            print(
                f"  {cost.stage:<10} {cost.tokens:>7} tokens  {cost.petaflops_per_step:9.1f} PFLOP a step  "
                f"{cost.peak_gb:6.1f} GB a GPU  {cost.hours:7.1f} hours"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="mini", choices=list(VIDEO_RECIPES))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--estimate", action="store_true")
    given = parser.parse_args()
    if given.estimate:
        estimates()
        return
    recipe = VIDEO_RECIPES[given.recipe]()
    recipe = replace(recipe, stages=tuple(replace(stage, batch=given.batch) for stage in recipe.stages))
    compare(recipe, given.steps, resolve_device(given.device), given.workers)


if __name__ == "__main__":
    main()
