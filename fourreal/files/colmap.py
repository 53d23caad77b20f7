"""COLMAP's text model: `cameras.txt`, `images.txt` and `points3D.txt`.

COLMAP poses are world-to-camera in OpenCV axes with wxyz quaternions, and the centre of the
top-left pixel is (0.5, 0.5): the same conventions as ours.

Source: COLMAP documentation, "Output Format", text format.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.atomic import atomic_folder
from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.rotations import matrix_to_quat, quat_to_matrix
from fourreal.files.camera_entries import MAX_SIDE
from fourreal.files.manifest import describe, located
from fourreal.files.posed_images import PosedImages, require_no_skew

# Parameters of each model: positions of fx, fy, cx, cy; whatever follows is distortion.
_MODELS = {
    "SIMPLE_PINHOLE": (0, 0, 1, 2),
    "PINHOLE": (0, 1, 2, 3),
    "SIMPLE_RADIAL": (0, 0, 1, 2),
    "RADIAL": (0, 0, 1, 2),
    "OPENCV": (0, 1, 2, 3),
}


def write_colmap(
    folder: str | Path,
    posed: PosedImages,
    *,
    points: Float[Tensor, "N 3"] | None = None,
    colors: Float[Tensor, "N 3"] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a COLMAP text model folder; it appears whole or not at all.

    Args:
        points: world points to start a reconstruction from; none when left out.
        colors: their sRGB colours in [0, 1]; grey when left out.

    Raises:
        InputError: intrinsics with skew, or the folder exists or cannot be written.
    """
    cameras = posed.cameras
    require_no_skew(cameras, "COLMAP")
    height, width = cameras.image_size
    lenses: dict[tuple[float, ...], int] = {}
    quats = matrix_to_quat(cameras.world_to_cam[:, :3, :3].detach().double())
    camera_lines, image_lines = [], []
    for index, name in enumerate(posed.names):
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


def read_colmap(folder: str | Path) -> PosedImages:
    """Read `cameras.txt` and `images.txt` of a COLMAP text model, images in the order listed.

    Raises:
        InputError: a file is missing or malformed, images differ in size, lenses are distorted.
    """
    folder = Path(folder)
    lenses = dict(_read_lens(line, where) for line, where in _lines(folder / "cameras.txt"))
    names, quats, positions, intrinsics, sizes = [], [], [], [], set()
    lines = _lines(folder / "images.txt", keep_empty=True)
    for line, where in lines:
        if not line:
            continue
        next(lines, None)  # the features of this image
        words = line.split(maxsplit=9)
        if len(words) != 10:
            raise InputError(f"{where}: expected IMAGE_ID, 4 + 3 pose values, CAMERA_ID and NAME, got {describe(line)}")
        pose = _numbers(words[1:8], where)
        if words[8] not in lenses:
            raise InputError(f"{where}: the camera {describe(words[8])} is not in cameras.txt")
        size, matrix = lenses[words[8]]
        names.append(words[9])
        quats.append(pose[:4])
        positions.append(pose[4:])
        intrinsics.append(matrix)
        sizes.add(size)
    if not names:
        raise InputError(f"{folder / 'images.txt'} lists no images")
    if len(sizes) > 1:
        raise InputError(f"{folder}: images of one (height, width) expected, got {sorted(sizes)}")
    with located(folder):
        return PosedImages(_cameras(quats, positions, intrinsics, sizes.pop()), tuple(names))


def _cameras(
    quats: list[list[float]], positions: list[list[float]], intrinsics: list[list[list[float]]], size: tuple[int, int]
) -> Cameras:
    wxyz = torch.tensor(quats, dtype=torch.float64)
    if not bool(((wxyz.norm(dim=-1) - 1).abs() < 1e-2).all()):
        raise InputError("a pose's quaternion is not unit")
    world_to_cam = torch.eye(4, dtype=torch.float64).repeat(len(quats), 1, 1)
    world_to_cam[:, :3, :3] = quat_to_matrix(wxyz)
    world_to_cam[:, :3, 3] = torch.tensor(positions, dtype=torch.float64)
    return Cameras(world_to_cam.float(), torch.tensor(intrinsics, dtype=torch.float64).float(), size).validated()


def _read_lens(line: str, where: str) -> tuple[str, tuple[tuple[int, int], list[list[float]]]]:
    words = line.split()
    if len(words) < 5 or words[1] not in _MODELS:
        raise InputError(f"{where}: expected a camera of model {', '.join(_MODELS)}, got {describe(line)}")
    width, height, *values = _numbers(words[2:], where)
    places = _MODELS[words[1]]
    if len(values) <= max(places):
        raise InputError(f"{where}: a {words[1]} camera has more parameters than {len(values)}")
    if any(values[max(places) + 1 :]):
        raise InputError(f"{where}: lens distortion is not read; undistort the images first")
    if not all(side == int(side) and 1 <= side <= MAX_SIDE for side in (width, height)):
        raise InputError(f"{where}: expected a width and height from 1 to {MAX_SIDE}, got {width:g} {height:g}")
    fx, fy, cx, cy = (values[place] for place in places)
    return words[0], ((int(height), int(width)), [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def _lines(path: Path, *, keep_empty: bool = False) -> Iterator[tuple[str, str]]:
    """Stripped lines without comments, each with its place for error messages."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read; expected a file of a COLMAP text model") from error
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line.startswith("#") and (line or keep_empty):
            yield line, f"{path}, line {number}"


def _numbers(words: list[str], where: str) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise InputError(f"{where}: expected numbers, got {describe(' '.join(words))}") from error
    if not all(map(math.isfinite, values)):
        raise InputError(f"{where}: expected finite numbers, got {describe(' '.join(words))}")
    return values


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
