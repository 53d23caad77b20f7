"""Write the cameras of a grid or a scene, with the grid's images, for nerfstudio or COLMAP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import torch

from fourreal.core.atomic import atomic_folder
from fourreal.core.errors import InputError
from fourreal.core.gaussians import GaussianSequence
from fourreal.core.grid import VideoGrid
from fourreal.core.media import write_image
from fourreal.files.colmap import write_colmap
from fourreal.files.nerfstudio import write_nerfstudio
from fourreal.files.posed_images import PosedImages

CameraFormat = Literal["nerfstudio", "colmap"]
"""nerfstudio: transforms.json and images/. colmap: sparse/0/*.txt and images/, as 3DGS trainers expect."""


def export_cameras(
    source: VideoGrid | GaussianSequence,
    target: str | os.PathLike[str],
    format: CameraFormat,
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
    if isinstance(source, VideoGrid):
        posed, cells = _grid_images(source, time)
        points = colors = None
    else:
        posed, cells = PosedImages(source.cameras, tuple(f"v{view:03d}.png" for view in range(len(source.cameras)))), []
        step = source.steps[_index(0 if time is None else time, len(source.steps))]
        points, colors = step.means, step.base_colors
    with atomic_folder(Path(target), overwrite=overwrite) as partial:
        for name, frame in cells:
            write_image(partial / "images" / name, frame)
        if format == "nerfstudio":
            paths = tuple(f"images/{name}" for name in posed.names)
            write_nerfstudio(partial / "transforms.json", PosedImages(posed.cameras, paths))
        else:
            write_colmap(partial / "sparse" / "0", posed, points=points, colors=colors)


def _grid_images(grid: VideoGrid, time: int | None) -> tuple[PosedImages, list[tuple[str, torch.Tensor]]]:
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
    return PosedImages(cameras[wanted], tuple(names)), list(zip(names, frames, strict=True))


def _index(time: int, times: int) -> int:
    if not 0 <= time < times:
        raise InputError(f"time {time} was asked for; there are times 0 to {times - 1}")
    return time
