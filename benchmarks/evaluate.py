"""How long does it take to evaluate held-out worlds, and on what is the time spent?

    python benchmarks/evaluate.py [--scenes 64] [--threads 2] [--quick]

The protocol `worlds` with the baseline change-add, which costs nothing itself: rendering the worlds, the image
metrics, the report, and separately ST-LPIPS, which `--no-perceptual` leaves out. Seconds for all scenes; ST-LPIPS is
timed on the first scenes and scaled up. --busy counts processor seconds of one thread, for a machine that also does
other work. --quick runs two scenes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from unittest import mock

import torch

from fourreal.data.worlds import WorldConfig
from fourreal.eval.baselines import change_add
from fourreal.eval.grid_pair import GridPair
from fourreal.eval.pair_metrics import pair_metrics
from fourreal.eval.protocols.evaluate import evaluate
from fourreal.eval.protocols.plots import draw_plots
from fourreal.eval.protocols.protocol import Extent, Models
from fourreal.eval.protocols.report import write_report
from fourreal.eval.protocols.worlds import SCENES, held_out_sample, worlds

SIZES = {
    "4 x 9 of 64 x 64": WorldConfig(views=4, frames=9, height=64, width=64, arc_deg=(5.0, 35.0)),
    "8 x 13 of 128 x 128": WorldConfig(),
}
LEARNED_SCENES = 2
Result = TypeVar("Result")


@dataclass
class Clock:
    """Seconds by what they were spent on."""

    busy: bool
    seconds: dict[str, float] = field(default_factory=dict)

    def timed(self, name: str, call: Callable[[], Result]) -> Result:
        now = time.process_time if self.busy else time.perf_counter
        started = now()
        result = call()
        self.seconds[name] = self.seconds.get(name, 0.0) + now() - started
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    threads = 1 if arguments.busy else arguments.threads
    torch.set_num_threads(threads)
    scenes = 2 if arguments.quick else arguments.scenes
    kind = "processor seconds" if arguments.busy else "wall seconds"
    print(f"{scenes} worlds, {threads} thread{'s' * (threads > 1)}; {kind}")
    print("| grids | rendering | change-add, PSNR, PSNR (moving), SSIM | report and plots | together | ST-LPIPS |")
    print("|---|---|---|---|---|---|")
    for name, size in SIZES.items():
        spent = measured(size, scenes, Clock(arguments.busy))
        parts = [spent["rendering"], spent["metrics"], spent["report"]]
        print(
            f"| {name} | {' | '.join(f'{part:.1f}' for part in (*parts, sum(parts), spent['learned']))} |", flush=True
        )


def measured(size: WorldConfig, scenes: int, clock: Clock) -> dict[str, float]:
    """One evaluation, taken apart."""
    truths = [
        held_out_sample(size, scene).grid for scene in range(min(LEARNED_SCENES, scenes))
    ]  # and what is computed once
    protocol = worlds(
        size, Models(name="change-add", complete=change_add, baselines=()), Extent(scenes=scenes, perceptual=False)
    )
    timed = lambda worlds, scene: clock.timed("rendering", lambda: held_out_sample(worlds, scene))  # noqa: E731
    with mock.patch("fourreal.eval.protocols.worlds.held_out_sample", timed), tempfile.TemporaryDirectory() as folder:
        evaluation = clock.timed("whole", lambda: evaluate(protocol, Path(folder)))
        clock.timed("report", lambda: (write_report(evaluation, Path(folder)), draw_plots(evaluation, Path(folder))))
    metric = next(iter(pair_metrics(("ST-LPIPS (alex)",)).values()))()
    for truth in truths:
        given = truth.with_known("cross")
        pair = GridPair("", change_add(given), truth, given.known)
        clock.timed("learned", lambda pair=pair: metric(pair))
    spent = clock.seconds
    return {
        "rendering": spent["rendering"],
        "metrics": spent["whole"] - spent["rendering"],
        "report": spent["report"],
        "learned": spent["learned"] / len(truths) * scenes,
    }


if __name__ == "__main__":
    main()
