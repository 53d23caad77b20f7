"""Write the cameras of a grid or a scene, with the grid's images, for nerfstudio or COLMAP."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from fourreal.core.atomic import atomic_folder
from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.gaussians import GaussianSequence
from fourreal.core.grid import VideoGrid
from fourreal.core.media import write_image
from fourreal.files.colmap import write_colmap
from fourreal.files.formats import CAMERA_FORMATS
from fourreal.files.nerfstudio import write_nerfstudio


def export_cameras(
    source: VideoGrid | GaussianSequence,
    target: str | os.PathLike[str],
    format: str,
    *,
    time: int | None = None,
    overwrite: bool = False,
) -> None:
    """Create the folder `target` with the cameras and what images and points there are.

    A grid gives one camera and one PNG per known cell. A scene gives one camera per view, no
    images, and (colmap) the Gaussians' centres at `time`, or the first time, as points.

    Args:
        time: only this column of a grid; all when left out. Both programs expect a world that
            stands still, so give one for anything that moves.

    Raises:
        InputError: there are no cameras or no known cells, or the folder exists or cannot be written.
    """
    if format not in CAMERA_FORMATS:
        raise InputError(f"there is no camera format '{format}'; expected {', '.join(CAMERA_FORMATS)}")
    if isinstance(source, VideoGrid):
        cameras, names, frames = _grid_images(source, time)
        points = colors = None
    else:
        cameras, names, frames = source.cameras, [f"v{view:03d}.png" for view in range(len(source.cameras))], []
        step = source.steps[_index(0 if time is None else time, len(source.steps))]
        points, colors = step.means, step.base_colors
    if not names:
        raise InputError("expected at least one camera; got none")
    with atomic_folder(Path(target), overwrite=overwrite) as partial:
        for name, frame in zip(names, frames, strict=bool(frames)):
            write_image(partial / "images" / name, frame)
        if format == "nerfstudio":
            write_nerfstudio(partial / "transforms.json", cameras, [f"images/{name}" for name in names])
        else:
            write_colmap(partial / "sparse" / "0", cameras, names, points=points, colors=colors)


def _grid_images(grid: VideoGrid, time: int | None) -> tuple[Cameras, list[str], list[torch.Tensor]]:
    if grid.cameras is None:
        raise InputError("this grid has no cameras to export; reconstruct it first, or import it with known cameras")
    cameras = grid.cameras
    if len(cameras.batch_shape) == 1:
        cameras = cameras.reshape(grid.num_views, 1).expand(grid.num_views, grid.num_times)
    wanted = grid.known.clone()
    if time is not None:
        wanted[:, torch.arange(grid.num_times) != _index(time, grid.num_times)] = False
    picked = torch.nonzero(wanted).tolist()
    if not picked:
        raise InputError("no cell of this grid is known there, so there is no image to export a camera for")
    names = [f"v{view:03d}_t{column:03d}.png" for view, column in picked]
    frames = [grid.frames[view, column] for view, column in picked]
    return cameras[wanted], names, frames


def _index(time: int, times: int) -> int:
    if not 0 <= time < times:
        raise InputError(f"time {time} was asked for; there are times 0 to {times - 1}")
    return time
