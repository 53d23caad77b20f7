"""What do sampling steps cost, and what are they worth? The paper's Table S2, with the small model on held-out worlds.

    python benchmarks/steps.py [--model mini] [--steps 1 2 4 8 16 40] [--scenes 8] [--quick] [--device cuda]
                               [--busy] [--json FILE]

Every number of steps completes the same grids (row and column given) from the same noise. Seconds are of one grid,
the least over the scenes after one that warms up; beside them the limit: the network's operations at the speed of a
large matrix product. PSNR is over the cells that were made, in all pixels and where the truth moves, with 95 %
intervals over the scenes. --quick takes untrained weights, whose PSNR says nothing and is left out. --busy counts
one thread's processor time, for a machine that also does other work.

Source: 4Real-Video-V2, Table S2.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from measuring import machine, matmul_flops, write_rows

from fourreal.core.devices import resolve_device
from fourreal.core.grid import VideoGrid
from fourreal.data.worlds import WorldConfig
from fourreal.eval.image_metrics import moving_mask, psnr
from fourreal.eval.protocols.worlds import held_out_sample
from fourreal.eval.scores import Measured, mean_score
from fourreal.train.video_recipes import tiny
from fourreal.train.video_task import new_generator
from fourreal.video.generate import generate, plan_for
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.settings import GenerationSettings, Sampler

PAPER_SECONDS = {4: 47.2, 8: 89.4, 16: 173.8, 40: 472.0}
SAMPLERS: tuple[Sampler, ...] = ("euler", "unipc")


@dataclass(frozen=True)
class Subject:
    """A model, and the grids it is tried on."""

    model: ViewTimeGenerator
    worlds: WorldConfig
    trained: bool

    def settings(self, steps: int, sampler: Sampler, device: torch.device) -> GenerationSettings:
        return GenerationSettings(
            steps=steps, sampler=sampler, device=str(device), seed=7, allow_untrained=not self.trained
        )


def subject(name: str, quick: bool) -> Subject:
    if quick:
        return Subject(new_generator(tiny()), WorldConfig(views=3, frames=5, height=16, width=16), trained=False)
    model = ViewTimeGenerator.from_pretrained(name)
    return Subject(
        model, WorldConfig(**vars(model.training_size)) if model.training_size else WorldConfig(), trained=True
    )


def tried(
    subject: Subject, truths: Sequence[VideoGrid], settings: GenerationSettings, *, busy: bool
) -> tuple[float, list[float], list[float]]:
    """Seconds of one grid, and every scene's PSNR over all and over moving pixels."""
    clock = time.process_time if busy else time.perf_counter
    seconds, whole, moving = math.inf, [], []
    for truth in truths:
        given = truth.with_known("cross")
        started = clock()
        made = generate(subject.model, given, settings=settings)
        seconds = min(seconds, clock() - started)
        unknown = ~given.known
        pair = made.frames[unknown], truth.frames[unknown]
        whole.append(float(psnr(*pair).mean()))
        moving.append(float(psnr(*pair, moving_mask(truth.frames)[unknown]).nanmean()))
    return seconds, whole, moving


def told(score: object) -> str:
    if not isinstance(score, Measured):
        return "-"
    interval = f" [{score.interval[0]:.2f}, {score.interval[1]:.2f}]" if score.interval else ""
    return f"{score.value:.2f}{interval}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help="a name or a folder")
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 4, 8, 16, 40])
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=["euler"])
    parser.add_argument("--scenes", type=int, default=8)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help="untrained weights, once")
    parser.add_argument("--busy", action="store_true", help="one thread, processor time")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    device = resolve_device(options.device)
    if options.busy:
        torch.set_num_threads(1)
    found = subject(options.model, options.quick)
    scenes, counts = (1, [1, 2]) if options.quick else (options.scenes, options.steps)
    truths = [held_out_sample(found.worlds, scene).grid for scene in range(scenes)]
    size = found.worlds.shape
    print(f"{machine(device)}\n{found.model.transformer.num_parameters() / 1e6:.1f} M values, {size}, {scenes} scenes")
    peak = matmul_flops(torch.float32, device, busy=options.busy)
    tried(found, truths[:1], found.settings(1, "euler", device), busy=options.busy)
    print("| sampler | steps | seconds a grid | limit, seconds | PSNR dB | PSNR (moving) dB | paper, A100 seconds |")
    print("|---|---|---|---|---|---|---|")
    rows: list[dict[str, Any]] = []
    for sampler in options.samplers:
        for steps in counts:
            settings = found.settings(steps, sampler, device)
            plan = plan_for(found.model, size, settings)
            flops = plan.pass_flops * plan.passes
            seconds, *scores = tried(found, truths, settings, busy=options.busy)
            means = [mean_score(score) if found.trained else None for score in scores]
            cells = (f"{seconds:.2f}", f"{flops / peak:.3f}", *map(told, means), f"{PAPER_SECONDS.get(steps, '-')}")
            print(f"| {sampler} | {steps} | {' | '.join(cells)} |", flush=True)
            row = {
                "model": options.model,
                "sampler": sampler,
                "steps": steps,
                "seconds": seconds,
                "tokens": plan.tokens,
            }
            row |= {"flops": flops, "peak_flops": peak, "scenes": scenes}
            if found.trained:
                row |= {"psnr": scores[0], "psnr_moving": scores[1]}
            rows.append(row)
            if options.json:
                write_rows(options.json, device, rows)


if __name__ == "__main__":
    main()
