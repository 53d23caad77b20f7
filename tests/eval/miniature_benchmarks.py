"""Benchmarks of a few little frames in their real layouts, filmed from procedural worlds with their own cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.grid import VideoGrid
from fourreal.core.media import write_image, write_video
from fourreal.core.rotations import matrix_to_quat
from fourreal.data.worlds import WorldConfig, make_world, render_world

SIZE = (24, 32)


def filmed(views: int, times: int, seed: int = 900_000) -> VideoGrid:
    config = WorldConfig(
        views=views,
        frames=times,
        height=SIZE[0],
        width=SIZE[1],
        background="ground",
        rig="arc",
        arc_deg=(20.0, 30.0),
        antialias=False,
    )
    return render_world(make_world(config, seed)).grid


def nvidia(data: Path, scene: str = "Balloon1", views: int = 12, times: int = 5) -> VideoGrid:
    grid = filmed(views, times)
    for time in range(times):
        for view in range(views):
            write_image(data / scene / "mv_images" / f"{time:05d}" / f"cam{view + 1:02d}.png", grid.frames[view, time])
    write_poses_bounds(data / scene / "poses_bounds.npy", grid)
    return grid


def neural_3d(data: Path, scene: str = "coffee_martini", views: int = 6) -> VideoGrid:
    grid = filmed(views, 11)
    (data / scene).mkdir(parents=True)
    for view in range(views):
        write_video(data / scene / f"cam{view:02d}.mp4", grid.frames[view], 30)
    write_poses_bounds(data / scene / "poses_bounds.npy", grid)
    return grid


def llff(data: Path, scene: str = "fern", photos: int = 9) -> VideoGrid:
    grid = filmed(photos, 1)
    for view in range(photos):
        write_image(data / scene / "images" / f"IMG_{view:04d}.png", grid.frames[view, 0])
    write_poses_bounds(data / scene / "poses_bounds.npy", grid)
    return grid


def tanks(data: Path, scene: str = "Ballroom", photos: int = 9) -> VideoGrid:
    grid = filmed(photos, 1)
    cameras = per_view(grid)
    model = data / scene / "sparse" / "0"
    model.mkdir(parents=True)
    focal, cx, cy = (float(cameras.intrinsics[0][place]) for place in ((0, 0), (0, 2), (1, 2)))
    (model / "cameras.txt").write_text(f"1 SIMPLE_PINHOLE {SIZE[1]} {SIZE[0]} {focal} {cx} {cy}\n")
    quats = matrix_to_quat(cameras.world_to_cam[:, :3, :3])
    lines = []
    for view in range(photos):
        numbers = [*quats[view].tolist(), *cameras.world_to_cam[view, :3, 3].tolist()]
        lines += [f"{view + 1} {' '.join(map(str, numbers))} 1 {view:04d}.png", ""]
        write_image(data / scene / "images" / f"{view:04d}.png", grid.frames[view, 0])
    (model / "images.txt").write_text("\n".join(lines) + "\n")
    return grid


def realestate(data: Path, clip: str = "0a1b2c3d", frames: int = 7) -> VideoGrid:
    grid = filmed(frames, 1)
    cameras, lines = per_view(grid), ["https://example.org/video"]
    for view in range(frames):
        k = cameras.intrinsics[view]
        ratios = (k[0, 0] / SIZE[1], k[1, 1] / SIZE[0], k[0, 2] / SIZE[1], k[1, 2] / SIZE[0])
        numbers = [*map(float, ratios), 0, 0, *cameras.world_to_cam[view, :3].flatten().tolist()]
        lines.append(f"{100 + view} {' '.join(map(str, numbers))}")
        write_image(data / clip / f"{100 + view}.png", grid.frames[view, 0])
    (data / f"{clip}.txt").write_text("\n".join(lines) + "\n")
    return grid


def objects(data: Path, name: str = "object-00", views: int = 4, times: int = 4) -> VideoGrid:
    grid = filmed(views, times)
    write_view_folders(data / name, [f"view_{view}" for view in range(views)], grid)
    return grid


def consistent4d(data: Path, name: str = "aurorus", times: int = 4) -> VideoGrid:
    grid = filmed(5, times)
    write_view_folders(data / name, ["input", "eval_0", "eval_1", "eval_2", "eval_3"], grid)
    return grid


def pairs(data: Path, count: int, views: int = 3, times: int = 5) -> list[VideoGrid]:
    grids = [filmed(views, times, 900_000 + number) for number in range(count)]
    for number, grid in enumerate(grids):
        folder = data / f"{number:03d}"
        write_pictures(folder / "fixed", grid.frames[0])
        write_pictures(folder / "freeze", grid.frames[:, 0])
        (folder / "prompt.txt").write_text("things that move\n")
    return grids


def write_view_folders(folder: Path, names: list[str], grid: VideoGrid) -> None:
    for name, frames in zip(names, grid.frames, strict=True):
        write_pictures(folder / name, frames)


def write_pictures(folder: Path, frames: Tensor) -> None:
    for number, frame in enumerate(frames):
        write_image(folder / f"{number}.png", frame)


def per_view(grid: VideoGrid) -> Cameras:
    assert grid.cameras is not None
    return grid.cameras


def write_poses_bounds(path: Path, grid: VideoGrid) -> None:
    """LLFF's columns: down, right, back."""
    cameras = per_view(grid)
    rows = []
    for view in range(len(cameras)):
        pose = cameras.cam_to_world[view].double().numpy()
        focal = float(cameras.intrinsics[view, 0, 0])
        columns = [pose[:3, 1], pose[:3, 0], -pose[:3, 2], pose[:3, 3], np.array([*SIZE, focal])]
        rows.append(np.concatenate([np.stack(columns, 1).ravel(), [0.5, 9.0]]))
    np.save(path, np.array(rows))


def eight_bit(frames: Tensor) -> Tensor:
    """What a lossless picture keeps of frames."""
    return (frames * 255).round() / 255


def nearest_frames(grid: VideoGrid, frames: Tensor) -> bool:
    return bool((grid.frames - frames).abs().max() < 2 / 255) if grid.frames.shape == frames.shape else False


def as_grid(frames: Tensor) -> VideoGrid:
    return VideoGrid.complete(frames, torch.arange(frames.shape[1]) / 10)
