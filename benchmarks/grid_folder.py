"""How long grids take to save and load, as videos and as pictures.

python benchmarks/grid_folder.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch

from fourreal.core.camera_paths import orbit
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.grid import VideoGrid
from fourreal.files.grid_folder import GridRecord, Storage, load_grid, save_grid

SIZES = ((8, 13, 128), (4, 4, 448))
STORAGES: tuple[Storage, ...] = ("video", "png")


def example(views: int, times: int, side: int) -> tuple[VideoGrid, GridRecord]:
    """A grid with rough colour patches, cameras and depth."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(views * times, 3, side // 8, side // 8, generator=generator)
    frames = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
    frames = frames.reshape(views, times, 3, side, side)
    poses = orbit(torch.zeros(3), 4.0, torch.linspace(0, 90, views), 20.0)
    cameras = Cameras(poses, intrinsics_from_fov(50.0, (side, side)).expand(views, 3, 3), (side, side))
    depth = torch.rand(views, times, side, side, generator=generator) + 1
    return VideoGrid.complete(frames, torch.arange(times) / 24, cameras), GridRecord(depth=depth)


def best_load(folder: Path) -> tuple[float, VideoGrid]:
    """The quickest of three, and what was read."""
    runs = []
    for _ in range(3):
        start = time.perf_counter()
        grid = load_grid(folder).grid
        runs.append((time.perf_counter() - start, grid))
    return min(runs, key=lambda run: run[0])


def main() -> None:
    print("| grid | storage | save s | load s | MB | PSNR dB |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for views, times, side in SIZES:
            grid, record = example(views, times, side)
            for storage in STORAGES:
                target = Path(folder) / f"{views}x{times}_{storage}"
                start = time.perf_counter()
                save_grid(target, grid, record=record, storage=storage)
                saved = time.perf_counter()
                load_s, back = best_load(target)
                megabytes = sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) / 1e6
                psnr = float(-10 * (back.frames - grid.frames).square().mean().log10())
                name = f"{views} x {times} at {side} x {side}"
                print(f"| {name} | {storage} | {saved - start:.2f} | {load_s:.2f} | {megabytes:.1f} | {psnr:.1f} |")


if __name__ == "__main__":
    main()
