"""`transforms.json` of nerfstudio, instant-ngp, Blender renders and DL3DV: photos of a static scene.

Camera-to-world matrices in OpenGL axes; intrinsics shared or per frame. DL3DV keeps the pixel sizes
of its full images but ships smaller ones in `images_4` or `images_8`; cameras follow the stored size.

Source: the data format page of nerfstudio; Ling et al., "DL3DV-10K" (2024).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fourreal.core.errors import InputError
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
    source: str = "nerfstudio",
    licence: str = "unknown",
) -> Capture:
    """A static scene as a V x 1 grid, frames in the file's order.

    Args:
        images: folder that replaces the one in the file's paths, such as `images_4` for DL3DV.
        source: written into the capture, for example "DL3DV".
        licence: likewise; `DL3DV_LICENCE` for DL3DV.

    Raises:
        InputError: a key is missing or not a number, a matrix is no pose, an image is missing.
    """
    folder = require_folder(folder)
    path = folder / "transforms.json"
    try:
        document = json.loads(path.read_text())
        frames = document["frames"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is missing, no JSON, or has no 'frames'") from error
    chosen = selection.of_views(frames, path)
    rows, cameras, names = [], [], []
    for number, frame in enumerate(chosen):
        where = f"{path}: chosen frame {number}"
        file = _image_file(folder, frame, images, where)
        image, camera = read_picture(file, _view(document | frame, file, where), selection.size)
        rows.append(image[None])
        cameras.append(camera)
        names.append(file.stem)
    grid = grid_of_rows(rows, torch.zeros(1), cameras, folder)
    return Capture(grid=grid, name=folder.name, view_names=tuple(names), source=source, licence=licence)


def _image_file(folder: Path, frame: dict[str, Any], images: str | None, where: str) -> Path:
    stated = frame.get("file_path")
    if not isinstance(stated, str):
        raise InputError(f"{where}: 'file_path' is missing")
    file = folder / (Path(images) / Path(stated).name if images else stated)
    # Blender's synthetic scenes leave the suffix out.
    return file if file.suffix else file.with_suffix(".png")


def _view(entry: dict[str, Any], file: Path, where: str) -> CalibratedView:
    """The camera of one frame; `entry` is the document overlaid by the frame's own keys."""
    try:
        matrix = np.asarray(entry["transform_matrix"], dtype=np.float64)
        size = _size(entry, file)
        if "fl_x" in entry:
            fx = float(entry["fl_x"])
            fy = float(entry.get("fl_y", fx))
        else:
            fx = fy = size[1] / 2 / math.tan(float(entry["camera_angle_x"]) / 2)
        cx, cy = float(entry.get("cx", size[1] / 2)), float(entry.get("cy", size[0] / 2))
        k1, k2, k3, k4, p1, p2 = (float(entry.get(key, 0)) for key in ("k1", "k2", "k3", "k4", "p1", "p2"))
    except KeyError as error:
        raise InputError(f"{where}: {error} is missing") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: a number was expected ({error})") from error
    if matrix.shape not in ((4, 4), (3, 4)) or not np.isfinite(matrix).all():
        raise InputError(f"{where}: transform_matrix must be 4 x 4 and finite; got shape {list(matrix.shape)}")
    full = np.vstack([matrix[:3], [0.0, 0.0, 0.0, 1.0]])
    fisheye = "FISHEYE" in str(entry.get("camera_model", "")).upper()
    lens = Lens((k1, k2, k3, k4) if fisheye else (k1, k2, k3), (p1, p2), fisheye=fisheye)
    return CalibratedView(from_opengl(full[None])[0], pinhole(fx, fy, cx, cy), size, lens)


def _size(entry: dict[str, Any], file: Path) -> tuple[int, int]:
    if "h" in entry and "w" in entry:
        return int(entry["h"]), int(entry["w"])
    from fourreal.core.media import probe_clip

    return probe_clip(file).image_size
