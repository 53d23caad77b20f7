"""Seconds and peak memory of feed-forward reconstruction over views and times, as in the paper's Table S3.

    python benchmarks/reconstruct.py [--device cpu] [--views 2 4 8 16] [--times 1 4 8 16] [--window 8] [--quick]
                                    [--busy] [--json FILE]

Where there is a CUDA GPU: the full-size network (random weights; speed does not depend on them) on
350 x 518 frames, as in the paper. Else the network `base` on 128 x 128. Every case runs twice, all
times at once (as the paper does) and in windows; a case that runs out of memory says so. The paper's A100
figures stand beside the CUDA ones.

Memory is what the run worked with, without the scene it made: that is output, grows with times by nature, and has
its own column. On a CPU it is what a run adds to a fresh process (sampled every 2 ms; each case has its own, as
an allocator keeps what earlier cases freed); on CUDA it is the allocator's peak, weights included, and scenes are
kept on the CPU. --busy counts one thread's processor time, for a machine that also does other work.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from measuring import counted_flops, machine, matmul_flops, write_rows

from fourreal.core.devices import resolve_device
from fourreal.core.gaussians import GaussianSequence
from fourreal.core.grid import VideoGrid
from fourreal.core.notes import UserNote
from fourreal.recon.config import ReconConfig, base, tiny, vggt_1b
from fourreal.recon.model import ReconModel
from fourreal.recon.reconstruct import ReconstructSettings, reconstruct
from fourreal.recon.windows import plan_windows

# Table S3: (views, times) to seconds and GB on an A100.
PAPER = {
    (2, 1): (0.178, 7.2),
    (2, 4): (0.431, 10.3),
    (2, 8): (0.685, 13.7),
    (2, 16): (1.232, 20.6),
    (4, 1): (0.204, 7.9),
    (4, 4): (0.647, 13.2),
    (4, 8): (1.171, 18.5),
    (4, 16): (2.173, 32.2),
    (8, 1): (0.274, 9.3),
    (8, 4): (1.301, 18.9),
    (8, 8): (2.420, 31.0),
    (8, 16): (5.698, 60.2),
    (16, 1): (0.557, 10.8),
    (16, 4): (2.740, 25.0),
    (16, 8): (5.253, 43.1),
}


@dataclass(frozen=True)
class Setup:
    name: str
    config: ReconConfig
    frame_size: tuple[int, int]
    precision: Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Cost:
    """What a run took; `gigabytes` without the result's."""

    seconds: float
    gigabytes: float
    result_gigabytes: float = 0.0

    def __str__(self) -> str:
        return f"{self.seconds:8.2f} s {self.gigabytes:6.2f} GB"


def choose(device: torch.device, quick: bool) -> Setup:
    if quick:
        return Setup("tiny network", tiny(), (32, 32), "float32")
    if device.type == "cuda":
        return Setup("VGGT-1B size, temporal layers and Gaussian head", vggt_1b(), (350, 518), "bfloat16")
    return Setup("base network", base(), (128, 128), "float32")


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measured(run: Callable[[], GaussianSequence], device: torch.device, *, busy: bool) -> Cost | None:
    """Seconds and peak memory, None when memory ran out."""
    scene = None
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
        started = time.perf_counter()
        try:
            scene = run()
        except torch.cuda.OutOfMemoryError:
            return None
        torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        return Cost(seconds, torch.cuda.max_memory_allocated() / 1e9, scene_bytes(scene) / 1e9)
    before, peak, done = resident_bytes(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            peak[0] = max(peak[0], resident_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    clock = time.process_time if busy else time.perf_counter
    started = clock()
    try:
        scene = run()
    finally:
        seconds = clock() - started
        done.set()
        watcher.join()
    kept = scene_bytes(scene)
    return Cost(seconds, max(peak[0] - before - kept, 0) / 1e9, kept / 1e9)


def scene_bytes(scene: GaussianSequence) -> int:
    """Of all its Gaussians."""
    fields = ("means", "quats_wxyz", "scales", "opacities", "sh")
    return sum(getattr(step, name).nbytes for step in scene.steps for name in fields)


@dataclass(frozen=True)
class Case:
    views: int
    times: int
    window: int
    overlap: int
    busy: bool = False


def run_case(setup: Setup, case: Case, device: torch.device, model: ReconModel | None = None) -> Cost | None:
    """One measurement, after a small run that warms everything up."""
    warnings.simplefilter("ignore", UserNote)
    model = build(setup, device) if model is None else model
    if case.busy:
        torch.set_num_threads(1)
    settings = ReconstructSettings(
        window_frames=case.window,
        window_overlap=case.overlap,
        precision=setup.precision,
        align="never",
        longest_side=max(setup.frame_size),
    )

    def grid(views: int, times: int) -> VideoGrid:
        frames = torch.rand(views, times, 3, *setup.frame_size, generator=torch.Generator().manual_seed(0))
        return VideoGrid.complete(frames, torch.arange(times) / 8)

    reconstruct(model, grid(2, 1), settings)
    full = grid(case.views, case.times)
    return measured(lambda: reconstruct(model, full, settings), device, busy=case.busy)


def build(setup: Setup, device: torch.device) -> ReconModel:
    torch.manual_seed(0)
    with device:
        return ReconModel(setup.config).eval()


def flops_of(setup: Setup, case: Case) -> float:
    """Operations of the network over all windows of a case."""

    def forward() -> None:
        model = ReconModel(setup.config).eval().requires_grad_(False)
        for window in plan_windows(case.times, case.window, case.overlap):
            frames = torch.zeros(1, case.views, len(window.times), 3, *network_frame(setup))
            model(frames, None, with_points=False)

    return counted_flops(forward)


def network_frame(setup: Setup) -> tuple[int, int]:
    patch = setup.config.patch
    height, width = (max(2, round(side / patch)) * patch for side in setup.frame_size)
    return height, width


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--views", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--window", type=int, default=8, help="times in a window")
    parser.add_argument("--overlap", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="the tiny network, to see that this runs")
    parser.add_argument("--busy", action="store_true", help="one thread, processor time")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    device = resolve_device(options.device)
    if options.busy:
        torch.set_num_threads(1)
    setup = choose(device, options.quick)
    model = build(setup, device)
    values = sum(parameter.numel() for parameter in model.parameters())
    print(f"{setup.name}, {values / 1e6:.1f} M random values, {setup.frame_size} frames, {setup.precision}, {device}")
    print(machine(device))
    dtype = torch.bfloat16 if setup.precision == "bfloat16" else torch.float32
    peak = matmul_flops(dtype, device, busy=options.busy)
    heads = ("all at once", f"windows of {options.window}", "the scene", "paper, A100")
    print(f"{'views x times':>14}  " + "  ".join(f"{head:>20}" for head in heads))
    rows: list[dict[str, Any]] = []

    def run(case: Case) -> Cost | None:
        if device.type == "cuda":
            return run_case(setup, case, device, model)
        with multiprocessing.get_context("spawn").Pool(1) as fresh:
            return fresh.apply(run_case, (setup, case, device))

    for views in options.views:
        for times in options.times:
            cases = [Case(views, times, window, options.overlap, options.busy) for window in (0, options.window)]
            costs = [run(case) for case in cases]
            told = ""
            if device.type == "cuda":
                paper = PAPER.get((views, times))
                told = str(Cost(*paper)) if paper else "out of memory"
            shown = "  ".join(f"{str(cost) if cost else 'out of memory':>20}" for cost in costs)
            kept = max((cost.result_gigabytes for cost in costs if cost), default=0.0)
            print(f"{f'{views} x {times}':>14}  {shown}  {f'{kept:.3f} GB':>20}  {told:>20}", flush=True)
            for case, cost in zip(cases, costs, strict=True):
                told_of = {"network": setup.name, **asdict(case), "flops": flops_of(setup, case), "peak_flops": peak}
                rows.append({**told_of, **(asdict(cost) if cost else {})})
            if options.json:
                write_rows(options.json, device, rows)  # after every case: the last ones take longest


if __name__ == "__main__":
    main()
