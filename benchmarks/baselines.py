"""How far do answers without any model get on a complete grid of real or rendered footage?

    python benchmarks/baselines.py GRID_FOLDER [GRID_FOLDER ...] [--size 224 224]
    python benchmarks/baselines.py --quick

The first row and the first column are given, every other cell is compared with the truth. `fourreal import` makes
grid folders of footage, `fourreal synth` of procedural worlds. --quick uses two tiny worlds.

Source: the protocol of 4Real-Video-V2, Table 2 (generated grid against truth).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fourreal.core.grid import VideoGrid
from fourreal.core.media import fit
from fourreal.data.worlds import make_world, render_worlds, tiny_worlds
from fourreal.eval.baselines import BASELINES
from fourreal.eval.grid_pair import pair_scenes
from fourreal.eval.grid_report import image_metrics_without_weights, measure, stand_in_distance_metric
from fourreal.eval.scores import Measured
from fourreal.files.grid_folder import load_grid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grids", nargs="*", type=Path)
    parser.add_argument("--size", nargs=2, type=int, metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if not arguments.grids and not arguments.quick:
        parser.error("give grid folders, or --quick")
    truth = {str(folder): load_grid(folder).grid for folder in arguments.grids}
    if arguments.quick:
        samples = render_worlds([make_world(tiny_worlds(), seed) for seed in (900_000, 900_001)])
        truth |= {sample.source: sample.grid for sample in samples}
    if arguments.size:
        size = (arguments.size[0], arguments.size[1])
        truth = {name: VideoGrid.complete(fit(grid.frames, size), grid.seconds) for name, grid in truth.items()}
    metrics = [*image_metrics_without_weights(), stand_in_distance_metric()]
    print("| baseline | " + " | ".join(f"{metric.name} {metric.unit}".strip() for metric in metrics) + " |")
    print("|---|" + "---|" * len(metrics))
    for name, complete in BASELINES.items():
        answers = {scene: complete(grid.with_known("cross")) for scene, grid in truth.items()}
        reports = measure(pair_scenes(answers, truth, "cross"), metrics)
        values = [f"{r.score.value:.4g}" if isinstance(r.score, Measured) else "-" for r in reports]
        print(f"| {name} | " + " | ".join(values) + " |", flush=True)


if __name__ == "__main__":
    main()
