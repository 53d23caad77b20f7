"""`transforms.json` of nerfstudio, instant-ngp, Blender renders and DL3DV: photos of a static scene.

Camera-to-world matrices in OpenGL axes; intrinsics shared or per frame. DL3DV keeps the pixel sizes
of its full images but ships smaller ones in `images_4` or `images_8`; cameras follow the stored size.

Source: the data format page of nerfstudio; Ling et al., "DL3DV-10K" (2024).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from fourreal.core.configs import Fields, read_fields
from fourreal.core.media import probe_clip
from fourreal.core.reading import inside, reading
from fourreal.data.captures.capture import (
    ALL,
    CalibratedView,
    Capture,
    Selection,
    grid_of_rows,
    read_picture,
    require_folder,
)
from fourreal.data.captures.foreign_axes import from_opengl, pinhole
from fourreal.data.captures.lens import Lens

DL3DV_LICENCE = "DL3DV terms of use and CC-BY-NC-4.0; no onward sharing"


def read_transforms(
    folder: str | Path,
    selection: Selection = ALL,
    *,
    images: str | None = None,
    follow_links: bool = False,
    source: str = "nerfstudio",
    licence: str = "unknown",
) -> Capture:
    """A static scene as a V x 1 grid, frames in the file's order.

    Args:
        images: folder that replaces the one in the file's paths, such as `images_4` for DL3DV.
        follow_links: read pictures that are links to files outside the folder.
        source: written into the capture, for example "DL3DV".
        licence: likewise; `DL3DV_LICENCE` for DL3DV.

    Raises:
        InputError: a key is missing or not a number, a matrix is no pose, an image is missing.
    """
    folder = require_folder(folder)
    path = folder / "transforms.json"
    document = read_fields(path)
    rows, cameras, names = [], [], []
    for frame in selection.of_views(document.objects("frames"), path):
        name = frame.text("file_path")
        # Blender's synthetic scenes leave the suffix out.
        name = str(Path(images) / Path(name).name if images else Path(name)) + ("" if Path(name).suffix else ".png")
        file = inside(folder, name, f"{frame.where}.file_path", follow_links=follow_links)
        with reading(frame.where, "a pinhole or OpenCV camera"):
            view = _view(document.overlaid(frame), file)
        image, camera = read_picture(file, view, selection.size)
        rows.append(image[None])
        cameras.append(camera)
        names.append(file.stem)
    grid = grid_of_rows(rows, torch.zeros(1), cameras, folder)
    return Capture(grid=grid, name=folder.name, view_names=tuple(names), source=source, licence=licence)


def _view(entry: Fields, file: Path) -> CalibratedView:
    """The camera of one frame; `entry` is the document overlaid by the frame's own keys."""
    size = _size(entry, file)
    if "fl_x" in entry:
        fx = entry.number("fl_x")
        fy = entry.number("fl_y", fx)
    else:
        fx = fy = size[1] / 2 / math.tan(entry.number("camera_angle_x") / 2)
    k1, k2, k3, k4, p1, p2 = (entry.number(key, 0.0) for key in ("k1", "k2", "k3", "k4", "p1", "p2"))
    # The last row of a matrix says nothing and may be left out.
    raw = entry.raw("transform_matrix")
    matrix = np.array(entry.matrix("transform_matrix", 3 if isinstance(raw, list) and len(raw) == 3 else 4, 4))
    full = np.vstack([matrix[:3], [0.0, 0.0, 0.0, 1.0]])
    fisheye = "FISHEYE" in entry.text("camera_model", "").upper()
    lens = Lens((k1, k2, k3, k4) if fisheye else (k1, k2, k3), (p1, p2), fisheye=fisheye)
    center = entry.number("cx", size[1] / 2), entry.number("cy", size[0] / 2)
    return CalibratedView(from_opengl(full[None])[0], pinhole(fx, fy, *center), size, lens)


def _size(entry: Fields, file: Path) -> tuple[int, int]:
    if "h" not in entry or "w" not in entry:
        return probe_clip(file).image_size
    return round(entry.number("h")), round(entry.number("w"))
