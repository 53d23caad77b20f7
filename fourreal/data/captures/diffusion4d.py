"""Objaverse renders in Diffusion4D's layout: a fixed-view, a freeze-time and a diagonal video of one object.

    OBJECT/front_frame{t}.png         view 0 at every time          front.json
    OBJECT/multi_static_frame{v}.png  every view at time 0          static{v}.json
    OBJECT/multi_frame{i}.png         view i at time i, optional    multi{i}.json

Together they are the first row, the first column and the diagonal of a grid; its other cells are
not known. The .json files hold Blender camera-to-world matrices and fields of view. The orbit ends
where it began, so the last view repeats the first one's place.

Source: Liang et al., "Diffusion4D" (2024), rendering scripts.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from fourreal.core.cameras import Cameras, stack
from fourreal.core.configs import read_fields
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.media import natural_order, probe_clip
from fourreal.core.reading import reading
from fourreal.data.captures.capture import ALL, CalibratedView, Capture, Selection, read_picture, require_folder
from fourreal.data.captures.foreign_axes import from_opengl, pinhole

LICENCE = "ODC-By 1.0 for the Objaverse collection; each object has its own terms, some non-commercial"


def read_diffusion4d(folder: str | Path, selection: Selection = ALL, *, fps: float = 8.0) -> Capture:
    """An object as a V x T grid whose row, column and (where rendered) diagonal are known.

    Raises:
        InputError: a frame or camera file is missing or damaged; the front camera is not the first view's.
    """
    folder = require_folder(folder)
    fronts = natural_order(list(folder.glob("front_frame*.png")))
    statics = natural_order(list(folder.glob("multi_static_frame*.png")))
    if not fronts or not statics:
        raise InputError(f"{folder} lacks front_frame*.png or multi_static_frame*.png; it is no Diffusion4D object")
    views = [_camera_file(folder / f"static{v}.json", file) for v, file in enumerate(statics)]
    front = _camera_file(folder / "front.json", fronts[0])
    if (front.world_to_cam - views[0].world_to_cam).abs().max() > 1e-3:
        raise InputError(f"{folder}: the front camera is not the first static one's; render both at one elevation")
    column = [read_picture(file, view, selection.size) for file, view in zip(statics, views, strict=True)]
    frames = torch.zeros(len(statics), len(fronts), *column[0][0].shape)
    known = torch.zeros(frames.shape[:2], dtype=torch.bool)
    for index in range(min(frames.shape[:2])):
        file = folder / f"multi_frame{index}.png"
        if file.is_file():
            frames[index, index], known[index, index] = read_picture(file, views[index], selection.size)[0], True
    for time, file in enumerate(fronts):
        frames[0, time], known[0, time] = read_picture(file, views[0], selection.size)[0], True
    for view, (image, _) in enumerate(column):
        frames[view, 0], known[view, 0] = image, True
    cameras: list[Cameras] = [camera for _, camera in column if camera is not None]
    grid = VideoGrid(frames, known, torch.arange(len(fronts)) / fps, stack(cameras)).validated()
    chosen = selection.of_views(range(len(statics)), folder)
    grid = grid.select(chosen, selection.of_times(range(len(fronts)), folder))
    names = tuple(f"static{view}" for view in chosen)
    return Capture(
        grid=grid, name=folder.name, view_names=names, source="Objaverse, rendered as Diffusion4D", licence=LICENCE
    )


def _camera_file(path: Path, image: Path) -> CalibratedView:
    entry = read_fields(path)
    height, width = probe_clip(image).image_size
    with reading(path, "a camera of a Diffusion4D render, with matrix_world, x_fov and y_fov"):
        matrix = np.asarray(entry.raw("matrix_world"), dtype=np.float64).reshape(4, 4)
        fx, fy = (side / 2 / math.tan(entry.number(key) / 2) for side, key in ((width, "x_fov"), (height, "y_fov")))
        return CalibratedView(from_opengl(matrix[None])[0], pinhole(fx, fy, width / 2, height / 2), (height, width))
