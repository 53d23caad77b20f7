"""How fast are procedural worlds, next to a straightforward renderer of the same pictures?

    python benchmarks/worlds.py [--device cuda] [--threads 2] [--worlds 4] [--size 128]

Prints frames a second for both and their ratio from one run, the two sides taking turns, best of
several. The peer is `slow_worlds.py`, the tests' twin: one frame at a time, vectors last, a loop over solids; the
two pictures are compared first. Also prints what composing a world costs before any pixel is drawn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from slow_worlds import SlowWorld

from fourreal.core.devices import resolve_device
from fourreal.data.worlds import World, WorldConfig, make_world, render_world, render_worlds

CELLS = ((0, 0), (1, 1), (0, 2))  # what the twin draws of every world


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--worlds", type=int, default=4)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    device = resolve_device(arguments.device)
    torch.set_num_threads(arguments.threads)
    config = WorldConfig(views=4, frames=6, height=arguments.size, width=arguments.size)
    worlds = [make_world(config, seed) for seed in range(arguments.worlds)]
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{arguments.worlds} worlds of {arguments.size}x{arguments.size} with 2x2 antialiasing, {where}")
    check(worlds[0], device)
    report(worlds, device, arguments.rounds)
    composing = best(arguments.rounds, lambda: [make_world(config, seed) for seed in range(20)])
    print(f"| composing a world                | {1000 * composing / 20:8.1f} ms      |       |")


def check(world: World, device: torch.device) -> None:
    sample = render_world(world, device)
    image, _, ids = SlowWorld(world).render(0, 0)
    error = (image - sample.grid.frames[0, 0].cpu()).abs().amax(0)
    differing = (ids != sample.instance_ids[0, 0].cpu()).float().mean()
    print(
        f"against the twin: median difference {error.median():.1e}, other instance at {100 * differing:.2f} % of pixels"
    )


def report(worlds: list[World], device: torch.device, rounds: int) -> None:
    frames = sum(len(world.cameras) * len(world.seconds) for world in worlds)
    plain = [replace(world, config=replace(world.config, antialias=False)) for world in worlds]
    twins = [SlowWorld(world) for world in worlds]
    names = ("worlds", "one by one", "no antialiasing", "twin")
    seconds: dict[str, float] = {name: float("inf") for name in names}
    for _ in range(rounds):
        for name, job, count in (
            ("worlds", lambda: render_worlds(worlds, device), frames),
            ("one by one", lambda: [render_world(world, device) for world in worlds], frames),
            ("no antialiasing", lambda: render_worlds(plain, device), frames),
            ("twin", lambda: [twin.render(*cell) for twin in twins for cell in CELLS], len(worlds) * len(CELLS)),
        ):
            seconds[name] = min(seconds[name], best(1, job) / count)
    print("| what                             |  frames / s      | twin x |")
    print("|---|---|---|")
    for name, each in seconds.items():
        print(f"| {name:32s} | {1 / each:8.1f}         | {seconds['twin'] / each:6.2f} |")


def best(rounds: int, job: Callable[[], object]) -> float:
    """Seconds of the quickest of some rounds."""
    quickest = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        job()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        quickest = min(quickest, time.perf_counter() - start)
    return quickest


if __name__ == "__main__":
    main()
