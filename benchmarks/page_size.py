"""How large a one-file page of 8 times x 20k Gaussians is, and how long it takes to write.

Two scenes: a procedural world lifted from its depth and thinned, as a user would mail it, and random
Gaussians of which nothing repeats, the worst a compressor can meet. The claim is under 6 MB for both.

python benchmarks/page_size.py [--quick]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from fourreal.core.gaussians import Gaussians, GaussianSequence
from fourreal.data.worlds import demo_worlds, make_world, render_world
from fourreal.recon.lift import lift_grid
from fourreal.view.page import write_page
from fourreal.view.thin import thin


def world_scene(times: int, count: int) -> GaussianSequence:
    """The first times of a world, the most visible `count` Gaussians of each."""
    sample = render_world(make_world(demo_worlds(), seed=7))
    grid = sample.grid.select(times=range(times))
    scene = lift_grid(grid, sample.depth[:, :times])
    return GaussianSequence(tuple(thin(step, count / len(step)) for step in scene.steps), grid.seconds, scene.cameras)


def unrepeating_scene(like: GaussianSequence, count: int) -> GaussianSequence:
    """Random everything, before the same cameras."""
    generator = torch.Generator().manual_seed(0)

    def step() -> Gaussians:
        return Gaussians.from_colors(
            torch.randn(count, 3, generator=generator),
            torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=-1),
            torch.rand(count, 3, generator=generator) * 0.05,
            torch.rand(count, generator=generator),
            torch.rand(count, 3, generator=generator),
        )

    return GaussianSequence(tuple(step() for _ in like.steps), like.seconds, like.cameras)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 times x 5k Gaussians")
    times, count = (3, 5_000) if parser.parse_args().quick else (8, 20_000)
    world = world_scene(times, count)
    scenes = {"procedural world": world, "nothing repeats": unrepeating_scene(world, count)}
    print("| scene | times x Gaussians | MB | seconds |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, scene in scenes.items():
            started = time.perf_counter()
            size = write_page(scene, Path(folder) / "page.html")
            print(f"| {name} | {times} x {count} | {size / 1e6:.2f} | {time.perf_counter() - started:.1f} |")


if __name__ == "__main__":
    main()
