"""COLMAP's text model: `cameras.txt`, `images.txt` and `points3D.txt`.

COLMAP poses are world-to-camera in OpenCV axes with wxyz quaternions, and the centre of the
top-left pixel is (0.5, 0.5): the same conventions as ours.

Source: COLMAP documentation, "Output Format", text format.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.atomic import atomic_folder
from fourreal.core.cameras import Cameras
from fourreal.core.rotations import matrix_to_quat
from fourreal.files.camera_entries import require_no_skew


def write_colmap(
    folder: str | Path,
    cameras: Cameras,
    names: Sequence[str],
    *,
    points: Float[Tensor, "N 3"] | None = None,
    colors: Float[Tensor, "N 3"] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a COLMAP text model folder; it appears whole or not at all.

    Args:
        cameras: a flat batch.
        names: of their images, relative to the image folder.
        points: world points to start a reconstruction from; none when left out.
        colors: their sRGB colours in [0, 1]; grey when left out.

    Raises:
        InputError: intrinsics with skew, or the folder exists or cannot be written.
    """
    require_no_skew(cameras, "COLMAP")
    height, width = cameras.image_size
    lenses: dict[tuple[float, ...], int] = {}
    quats = matrix_to_quat(cameras.world_to_cam[:, :3, :3].detach().double())
    camera_lines, image_lines = [], []
    for index, name in enumerate(names):
        matrix = cameras.intrinsics[index].detach().double()
        lens = tuple(matrix[row, column].item() for row, column in ((0, 0), (1, 1), (0, 2), (1, 2)))
        if lens not in lenses:
            lenses[lens] = len(lenses) + 1
            camera_lines.append(f"{lenses[lens]} PINHOLE {width} {height} {_join(lens)}")
        pose = _join((*quats[index].tolist(), *cameras.world_to_cam[index, :3, 3].double().tolist()))
        # The second line of an image lists its features; there are none.
        image_lines += [f"{index + 1} {pose} {lenses[lens]} {name}", ""]
    with atomic_folder(folder, overwrite=overwrite) as partial:
        _write_lines(partial / "cameras.txt", "CAMERA_ID MODEL WIDTH HEIGHT fx fy cx cy", camera_lines)
        _write_lines(partial / "images.txt", "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME", image_lines)
        _write_lines(partial / "points3D.txt", "POINT3D_ID X Y Z R G B ERROR TRACK[]", _point_lines(points, colors))


def _point_lines(points: Float[Tensor, "N 3"] | None, colors: Float[Tensor, "N 3"] | None) -> list[str]:
    if points is None:
        return []
    colors = torch.full_like(points, 0.5) if colors is None else colors
    bytes_ = (colors.detach().clamp(0, 1) * 255).round().int().tolist()
    rows = zip(points.detach().double().tolist(), bytes_, strict=True)
    return [f"{index + 1} {_join(xyz)} {r} {g} {b} 0" for index, (xyz, (r, g, b)) in enumerate(rows)]


def _join(values: tuple[float, ...] | list[float]) -> str:
    return " ".join(map(repr, values))


def _write_lines(path: Path, header: str, lines: list[str]) -> None:
    path.write_text("\n".join([f"# {header}", *lines]) + "\n", encoding="utf-8")
