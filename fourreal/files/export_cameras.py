"""Write the cameras of a grid or a scene, with the grid's images, for nerfstudio or COLMAP."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from fourreal.core.atomic import atomic_folder
from fourreal.core.errors import InputError
from fourreal.core.gaussians import GaussianSequence
from fourreal.core.grid import VideoGrid
from fourreal.core.media import write_image
from fourreal.files.formats import FORMATS
from fourreal.files.posed_images import PosedImages


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
        format: a name in `FORMATS`; nerfstudio and colmap hold cameras.
        time: only this column of a grid; all when left out. Both programs expect a world that
            stands still, so give one for anything that moves.

    Raises:
        InputError: there are no cameras or no known cells, or the folder exists or cannot be written.
    """
    if isinstance(source, VideoGrid):
        posed, frames = _grid_images(source, time)
    else:
        step = source.steps[_index(0 if time is None else time, len(source.steps))]
        names = tuple(f"v{view:03d}.png" for view in range(len(source.cameras)))
        posed, frames = PosedImages(source.cameras, names, step.means, step.base_colors), []
    with atomic_folder(Path(target), overwrite=overwrite) as partial:
        for name, frame in zip(posed.names, frames, strict=False):
            write_image(partial / "images" / name, frame)
        FORMATS[format].load_writer()(partial, posed)


def _grid_images(grid: VideoGrid, time: int | None) -> tuple[PosedImages, list[torch.Tensor]]:
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
    return PosedImages(cameras[wanted], tuple(names)), frames


def _index(time: int, times: int) -> int:
    if not 0 <= time < times:
        raise InputError(f"time {time} was asked for; there are times 0 to {times - 1}")
    return time
