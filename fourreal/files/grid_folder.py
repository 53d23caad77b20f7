"""The grid folder: a `VideoGrid` on disk, one video or picture folder per view and a `cameras.json`.

    cameras.json      poses, times, which cells are known; opens in nerfstudio when stored as png
    rgb/v000.mp4      one H.264 video per view, full colour resolution ("video"), or
    rgb/v000/t000.png lossless pictures ("png")
    depth/v000.npz    optional z-depth, float16
    SHA256SUMS        checksums of all these files

Frames of cells that are not known are not data: they are absent (png) or ignored (video) and
read back as zeros. Every key of `cameras.json` is described in `docs/formats.md`.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.atomic import atomic_folder
from fourreal.core.cameras import Cameras
from fourreal.core.checksums import verify_checksums, write_checksums
from fourreal.core.configs import Fields
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.media import read_clip, read_image, write_image, write_video
from fourreal.core.reading import reading, require_memory
from fourreal.files import camera_entries
from fourreal.files.depth_file import read_depth, write_depth
from fourreal.files.manifest import open_manifest

GRID_MANIFEST = "cameras.json"
VERSION = 1
MAX_CELLS = 100_000
Storage = Literal["video", "png"]
"""video: H.264 at about 40 dB, small. png: lossless, and what nerfstudio can open."""


@dataclass(frozen=True, eq=False, kw_only=True)
class GridRecord:
    """What a grid folder keeps beside the grid.

    Attributes:
        depth: z-depth of every pixel in world units, 0 or infinity where there is none. Kept as
            float16: relative error 5e-4, values over 65504 become infinity.
        caption: what is there and how it moves.
        source: where the frames come from.
        licence: under which terms, in words or as an SPDX identifier.
        metres_per_unit: size of the world's unit, when known.
    """

    depth: Float[Tensor, "V T H W"] | None = None
    caption: str = ""
    source: str = ""
    licence: str = ""
    metres_per_unit: float | None = None

    def __post_init__(self) -> None:
        if self.metres_per_unit is not None and not 0 < self.metres_per_unit < float("inf"):
            raise InputError(f"metres_per_unit must be positive and finite; got {self.metres_per_unit}")
        if self.depth is not None and (self.depth.isnan().any() or (self.depth < 0).any()):
            raise InputError("depth must not be negative or NaN; use 0 or infinity where there is none")


@dataclass(frozen=True, eq=False)
class StoredGrid:
    """A grid and its record, as they stand in a grid folder."""

    grid: VideoGrid
    record: GridRecord


NO_RECORD = GridRecord()


def save_grid(
    folder: str | os.PathLike[str],
    grid: VideoGrid,
    *,
    record: GridRecord = NO_RECORD,
    storage: Storage = "video",
    overwrite: bool = False,
) -> None:
    """Write a grid folder; it appears whole or not at all.

    Raises:
        InputError: the depth does not fit the grid, the folder exists and is not to be
            overwritten, or it cannot be written.
    """
    folder = Path(folder)
    expected = (*grid.known.shape, *grid.image_size)
    if record.depth is not None and tuple(record.depth.shape) != expected:
        raise InputError(f"depth must have shape {list(expected)} like the grid; got {list(record.depth.shape)}")
    with atomic_folder(folder, overwrite=overwrite) as partial:
        for view in range(grid.num_views):
            _write_view(partial, grid, view, storage)
            if record.depth is not None:
                write_depth(partial / _depth_name(view), record.depth[view])
        text = json.dumps(_manifest(grid, record, storage), indent=1, allow_nan=False)
        (partial / GRID_MANIFEST).write_text(text + "\n", encoding="utf-8")
        write_checksums(partial)


def load_grid(folder: str | os.PathLike[str], *, verify: bool = False) -> StoredGrid:
    """Read a grid folder.

    Args:
        verify: compare its files with the recorded checksums first.

    Raises:
        InputError: anything is missing, damaged, or at odds with `cameras.json`; the message names it.
    """
    folder = Path(folder)
    manifest = open_manifest(folder, GRID_MANIFEST, "grid", VERSION)
    if verify:
        verify_checksums(folder)
    storage = manifest.choice("storage", ("video", "png"))
    image_size = camera_entries.read_image_size(manifest)
    cells, known = _read_cells(manifest)
    views, times = known.shape
    seconds = _read_seconds(manifest, cells, times)
    cameras = _read_cameras(manifest, cells, views, times)
    files = {cell: entry.file("file_path", folder) for cell, entry in cells.items() if known[cell]}
    require_memory(views * times * 3 * image_size[0] * image_size[1] * 4, f"{manifest.where}: its frames")
    frames = torch.zeros(views, times, 3, *image_size)
    for view in range(views):
        row = {time: files[view, time] for time in range(times) if (view, time) in files}
        read = _read_video_row if storage == "video" else _read_png_row
        for time, frame in read(row, times, image_size).items():
            frames[view, time] = frame
    with reading(manifest.where):
        grid = VideoGrid(frames, known, seconds, cameras).validated()
        return StoredGrid(grid, _read_record(manifest, folder, grid))


# ---- writing ----------------------------------------------------------------------------------


def _write_view(folder: Path, grid: VideoGrid, view: int, storage: Storage) -> None:
    known_times = torch.nonzero(grid.known[view]).flatten().tolist()
    if storage == "png":
        for time in known_times:
            write_image(folder / _frame_name(view, time, storage), grid.frames[view, time])
    elif known_times:
        # Players refuse extreme rates; the true times stand in cameras.json.
        rate = min(max(grid.fps, 1.0), 120.0)
        write_video(folder / _frame_name(view, 0, storage), grid.frames[view], rate, "faithful")


def _manifest(grid: VideoGrid, record: GridRecord, storage: Storage) -> dict[str, Any]:
    views, times = grid.known.shape
    seconds = grid.seconds.detach().double().tolist()
    height, width = grid.image_size
    shared: dict[str, Any] = {"w": width, "h": height}
    poses: list[dict[str, Any]] = [{}] * (views * times)
    per = None
    if grid.cameras is not None:
        per = "view" if len(grid.cameras.batch_shape) == 1 else "cell"
        cameras = grid.cameras if per == "cell" else grid.cameras.reshape(views, 1).expand(views, times)
        shared, poses = camera_entries.to_entries(cameras.reshape(views * times))
    frames, unknown = [], []
    for view in range(views):
        for time in range(times):
            entry = {"view_index": view, "time_index": time, "seconds": seconds[time]} | poses[view * times + time]
            if grid.known[view, time]:
                frames.append({"file_path": _frame_name(view, time, storage)} | entry)
            else:
                unknown.append(entry)
    return {
        "format": "fourreal-grid",
        "format_version": VERSION,
        "convention": camera_entries.CONVENTION,
        "storage": storage,
        "views": views,
        "times": times,
        "caption": record.caption,
        "source": record.source,
        "license": record.licence,
        "metres_per_unit": record.metres_per_unit,
        "depth": None if record.depth is None else [{"file_path": _depth_name(view)} for view in range(views)],
        "cameras_per": per,
        **shared,
        "frames": frames,
        "unknown_frames": unknown,
    }


def _frame_name(view: int, time: int, storage: Storage) -> str:
    return f"rgb/v{view:03d}.mp4" if storage == "video" else f"rgb/v{view:03d}/t{time:03d}.png"


def _depth_name(view: int) -> str:
    return f"depth/v{view:03d}.npz"


# ---- reading ----------------------------------------------------------------------------------


def _read_cells(manifest: Fields) -> tuple[dict[tuple[int, int], Fields], Bool[Tensor, "V T"]]:
    """The entry of every cell by (view, time), and which of them are known."""
    views, times = manifest.integer("views", 1, MAX_CELLS), manifest.integer("times", 1, MAX_CELLS)
    frames, unknown = manifest.objects("frames"), manifest.objects("unknown_frames", optional=True)
    if len(frames) + len(unknown) != views * times:
        raise InputError(
            f"{manifest.where}: expected {views} views x {times} times = {views * times} cells, "
            f"got {len(frames)} frames and {len(unknown)} unknown_frames"
        )
    cells: dict[tuple[int, int], Fields] = {}
    known = torch.zeros(views, times, dtype=torch.bool)
    for index, entry in enumerate(frames + unknown):
        cell = entry.integer("view_index", 0, views - 1), entry.integer("time_index", 0, times - 1)
        if cell in cells:
            raise InputError(f"{entry.where}: view {cell[0]}, time {cell[1]} is listed twice")
        cells[cell] = entry
        known[cell] = index < len(frames)
    return cells, known


def _read_seconds(manifest: Fields, cells: dict[tuple[int, int], Fields], times: int) -> Float[Tensor, "T"]:
    seconds = [cells[0, time].number("seconds") for time in range(times)]
    for (_, time), entry in cells.items():
        if entry.number("seconds") != seconds[time]:
            raise InputError(
                f"{entry.where}.seconds: all views share the time of a column; expected {seconds[time]}, "
                f"got {entry.number('seconds')}"
            )
    return torch.tensor(seconds, dtype=torch.float64).float()


def _read_cameras(manifest: Fields, cells: dict[tuple[int, int], Fields], views: int, times: int) -> Cameras | None:
    per = manifest.choice("cameras_per", (None, "view", "cell"))
    if per is None:
        return None
    entries = [cells[view, time] for view in range(views) for time in range(times)]
    cameras = camera_entries.from_entries(manifest, entries).reshape(views, times)
    if per == "cell":
        return cameras
    for values, name in ((cameras.world_to_cam, "poses"), (cameras.intrinsics, "intrinsics")):
        moving = torch.nonzero((values != values[:, :1]).flatten(2).any(-1))
        if len(moving):
            view, time = moving[0].tolist()
            raise InputError(
                f"{cells[view, time].where}: cameras_per is 'view', but the {name} of view {view} differ "
                f"between times 0 and {time}; set cameras_per to 'cell' if the camera moves"
            )
    return cameras[:, 0]


def _read_video_row(
    files: dict[int, Path], times: int, image_size: tuple[int, int]
) -> dict[int, Float[Tensor, "3 H W"]]:
    wanted: dict[Path, list[int]] = defaultdict(list)
    for time, path in files.items():
        wanted[path].append(time)
    frames = {}
    for path, columns in wanted.items():
        clip = read_clip(path)
        _require_size(clip.image_size, image_size, path)
        if len(clip.frames) != times:
            raise InputError(f"{path}: expected {times} frames, one per time, got {len(clip.frames)}")
        frames |= {time: clip.frames[time] for time in columns}
    return frames


def _read_png_row(files: dict[int, Path], times: int, image_size: tuple[int, int]) -> dict[int, Float[Tensor, "3 H W"]]:
    frames = {}
    for time, path in files.items():
        frames[time] = read_image(path)
        _require_size((frames[time].shape[1], frames[time].shape[2]), image_size, path)
    return frames


def _require_size(came: tuple[int, int], expected: tuple[int, int], path: Path) -> None:
    if came != expected:
        raise InputError(f"{path}: expected frames of (height, width) {expected} as in {GRID_MANIFEST}, got {came}")


def _read_record(manifest: Fields, folder: Path, grid: VideoGrid) -> GridRecord:
    depth = None
    if "depth" in manifest:
        entries = manifest.objects("depth")
        if len(entries) != grid.num_views:
            raise InputError(
                f"{manifest.where}.depth: expected {grid.num_views} files, one per view, got {len(entries)}"
            )
        shape = (grid.num_times, *grid.image_size)
        depth = torch.stack([read_depth(entry.file("file_path", folder), shape) for entry in entries])
    return GridRecord(
        depth=depth,
        caption=manifest.text("caption", ""),
        source=manifest.text("source", ""),
        licence=manifest.text("license", ""),
        metres_per_unit=manifest.number("metres_per_unit") if "metres_per_unit" in manifest else None,
    )
