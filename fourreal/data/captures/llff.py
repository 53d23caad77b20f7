"""`poses_bounds.npy`, and the benchmarks that keep their cameras in it: LLFF and Neural 3D Video.

Each of its N rows holds a 3 x 5 matrix [rotation | centre | height, width, focal] and near and far
depth. Rows follow the sorted names of the files that are there.

Source: Mildenhall et al., "Local Light Field Fusion" (2019); Li et al., "Neural 3D Video Synthesis
from Multi-view Video" (2022).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.media import IMAGE_SUFFIXES
from fourreal.core.reading import read_array, reading
from fourreal.data.captures.capture import (
    ALL,
    CalibratedView,
    Capture,
    Selection,
    grid_of_rows,
    read_picture,
    read_video,
    require_count,
    require_folder,
)
from fourreal.data.captures.foreign_axes import from_llff, pinhole

MAX_BYTES = 64 << 20
LLFF_LICENCE = "research data of the LLFF project; the scenes carry no explicit licence"
NEURAL_3D_LICENCE = "CC-BY-NC-4.0"


def read_poses_bounds(path: str | Path) -> tuple[list[CalibratedView], Float[Tensor, "N 2"]]:
    """Cameras and (near, far) depths of a `poses_bounds.npy`.

    Raises:
        InputError: the file is missing, is no [N, 17] array, or holds NaN.
    """
    path = Path(path)
    with reading(path, "a NumPy array of finite numbers of shape [N, 17]"), path.open("rb") as file:
        rows = read_array(file, MAX_BYTES)
        if rows.ndim != 2 or rows.shape[1] != 17 or not np.isfinite(rows.astype(np.float64)).all():
            raise InputError(f"{path}: expected finite numbers of shape [N, 17]; got {list(rows.shape)}")
        rows = rows.astype(np.float64)
        matrices = rows[:, :15].reshape(-1, 3, 5)
        views = []
        for pose, (height, width, focal) in zip(from_llff(matrices[:, :, :4]), matrices[:, :, 4], strict=True):
            size = (round(height), round(width))
            views.append(CalibratedView(pose, pinhole(focal, focal, width / 2, height / 2), size))
        return views, torch.from_numpy(rows[:, 15:].copy()).float()


def read_llff(folder: str | Path, selection: Selection = ALL, *, images: str = "images") -> Capture:
    """A static LLFF scene as a V x 1 grid.

    Layout: `images/*.jpg` (or `images_4`, `images_8`, ... by `images`) and `poses_bounds.npy`.

    Raises:
        InputError: files are missing, or do not match the cameras in number.
    """
    folder = require_folder(folder)
    views, near_far = read_poses_bounds(folder / "poses_bounds.npy")
    files = sorted(p for p in require_folder(folder / images).iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    require_count(len(files), len(views), "images", folder / images)
    chosen = selection.of_views(range(len(files)), folder)
    read = [read_picture(files[i], views[i], selection.size) for i in chosen]
    grid = grid_of_rows([image[None] for image, _ in read], torch.zeros(1), [c for _, c in read], folder)
    names = tuple(files[i].stem for i in chosen)
    return Capture(
        grid=grid, name=folder.name, view_names=names, source="LLFF", licence=LLFF_LICENCE, near_far=near_far[chosen]
    )


def read_neural_3d_video(folder: str | Path, selection: Selection = ALL) -> Capture:
    """A Neural 3D Video scene: 18 to 21 synchronised cameras, 300 frames at 30 per second, 2028 x 2704.

    Layout: `cam00.mp4`, `cam01.mp4`, ... (some numbers missing) and `poses_bounds.npy`. View 0 is
    `cam00`, the benchmark's held-out view. Give a size and times: a whole scene does not fit in memory.

    Raises:
        InputError: files are missing, or do not match the cameras in number.
    """
    folder = require_folder(folder)
    views, near_far = read_poses_bounds(folder / "poses_bounds.npy")
    files = sorted(folder.glob("cam*.mp4"))
    require_count(len(files), len(views), "videos cam*.mp4", folder)
    chosen = selection.of_views(range(len(files)), folder)
    read = [read_video(files[i], views[i], selection) for i in chosen]
    grid = grid_of_rows([frames for frames, _, _ in read], read[0][1], [c for _, _, c in read], folder)
    names = tuple(files[i].stem for i in chosen)
    return Capture(
        grid=grid,
        name=folder.name,
        view_names=names,
        source="Neural 3D Video",
        licence=NEURAL_3D_LICENCE,
        near_far=near_far[chosen],
    )
