"""COLMAP models, text and binary: Tanks and Temples, MVImgNet, Mip-NeRF 360 and most others.

    images/*.jpg
    sparse/0/{cameras,images,points3D}.{bin,txt}

COLMAP is OpenCV already: world-to-camera, quaternions wxyz, pixel centres at +0.5.

Source: the "Output Format" page of COLMAP's documentation; Schoenberger and Frahm (2016).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.reading import inside, read_text, reading
from fourreal.core.rotations import quat_to_matrix, rigid
from fourreal.data.captures.capture import (
    ALL,
    CalibratedView,
    Capture,
    Selection,
    grid_of_rows,
    read_picture,
    require_folder,
)
from fourreal.data.captures.foreign_axes import pinhole
from fourreal.data.captures.lens import Lens

# COLMAP's numbers of its camera models, with how many parameters each has.
_MODELS = {
    0: ("SIMPLE_PINHOLE", 3),
    1: ("PINHOLE", 4),
    2: ("SIMPLE_RADIAL", 4),
    3: ("RADIAL", 5),
    4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8),
    6: ("FULL_OPENCV", 12),
    8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5),
}
_PARAMETERS = dict(_MODELS.values())
MAX_NAME_BYTES = 4096


def read_colmap(
    folder: str | Path,
    selection: Selection = ALL,
    *,
    images: str = "images",
    model: str = "sparse/0",
    follow_links: bool = False,
    source: str = "COLMAP",
    licence: str = "unknown",
) -> Capture:
    """A static scene as a V x 1 grid, views by image name; `points` are the model's.

    Args:
        images: folder of the pictures; smaller copies (`images_4`) are fine.
        model: folder of the model, binary or text.
        follow_links: read pictures that are links to files outside the folder.

    Raises:
        InputError: a file is missing or damaged, a picture lies outside the folder, or a camera model is not supported.
    """
    folder = require_folder(folder)
    registered, points = read_colmap_model(folder / model)
    chosen = selection.of_views(registered, folder)
    place = f"{folder / model}: an image's name"
    paths = [inside(folder / images, name, place, follow_links=follow_links) for name, _ in chosen]
    read = [read_picture(path, view, selection.size) for path, (_, view) in zip(paths, chosen, strict=True)]
    grid = grid_of_rows([image[None] for image, _ in read], torch.zeros(1), [c for _, c in read], folder)
    names = tuple(name for name, _ in chosen)
    return Capture(grid=grid, name=folder.name, view_names=names, source=source, licence=licence, points=points)


def read_colmap_model(folder: str | Path) -> tuple[list[tuple[str, CalibratedView]], Float[Tensor, "N 3"]]:
    """Name and camera of each image, sorted by name, and the sparse points (none without a points3D file).

    Raises:
        InputError: as `read_colmap`.
    """
    folder = require_folder(folder)
    suffix = ".bin" if (folder / "cameras.bin").is_file() else ".txt"
    files = [folder / f"{part}{suffix}" for part in ("cameras", "images", "points3D")]
    for file in files[:2]:
        if not file.is_file():
            raise InputError(f"{file} does not exist; a COLMAP model has cameras and images as .bin or .txt")
    readers = (_cameras_bin, _images_bin, _points_bin) if suffix == ".bin" else (_cameras_txt, _images_txt, _points_txt)
    with reading(folder, "a whole COLMAP model; this one is damaged or truncated"):
        cameras = readers[0](files[0])
        poses = readers[1](files[1])
        points = readers[2](files[2]) if files[2].is_file() else []
        images = [(name, _view(cameras[camera], pose)) for name, camera, pose in sorted(poses)]
        return images, torch.tensor(points, dtype=torch.float32).reshape(-1, 3)


_Camera = tuple[str, int, int, tuple[float, ...]]
_Image = tuple[str, int, tuple[float, ...]]


def _view(camera: _Camera, pose: tuple[float, ...]) -> CalibratedView:
    model, width, height, p = camera
    if model.startswith(("SIMPLE", "RADIAL")):
        (f, cx, cy), rest = p[:3], p[3:]
        intrinsics = pinhole(f, f, cx, cy)
    else:
        intrinsics, rest = pinhole(p[0], p[1], p[2], p[3]), p[4:]
    if model in ("OPENCV", "FULL_OPENCV"):
        lens = Lens((rest[0], rest[1], *rest[4:5]), (rest[2], rest[3]), tuple(rest[5:]))
    else:
        lens = Lens(tuple(rest), fisheye="FISHEYE" in model)
    if len(pose) != 7:
        raise ValueError(f"a pose has 4 + 3 numbers, got {len(pose)}")
    numbers = torch.tensor(pose, dtype=torch.float64)
    if not abs(float(numbers[:4].norm()) - 1) < 1e-2:
        raise InputError("a pose's quaternion is not unit")
    return CalibratedView(rigid(quat_to_matrix(numbers[:4]), numbers[4:]), intrinsics, (height, width), lens)


# ---- text -------------------------------------------------------------------------------------


def _lines(file: Path) -> list[str]:
    return [line for line in read_text(file).splitlines() if not line.startswith("#")]


def _cameras_txt(file: Path) -> dict[int, _Camera]:
    cameras = {}
    for line in _lines(file):
        if not line.strip():
            continue
        number, model, width, height, *parameters = line.split()
        _require_model(model, len(parameters), file)
        cameras[int(number)] = (model, int(width), int(height), tuple(map(float, parameters)))
    return cameras


def _images_txt(file: Path) -> list[_Image]:
    # Two lines an image; the second lists its points and may be empty.
    images = []
    for line in _lines(file)[::2]:
        if not line.strip():
            continue
        _, *pose, camera, name = line.split(maxsplit=9)
        images.append((name.strip(), int(camera), tuple(map(float, pose))))
    return images


def _points_txt(file: Path) -> list[tuple[float, ...]]:
    return [tuple(map(float, line.split()[1:4])) for line in _lines(file) if line.strip()]


def _require_model(model: str, parameters: int, file: Path) -> None:
    if model not in _PARAMETERS:
        raise InputError(f"{file}: camera model {model} is not supported; expected {', '.join(_PARAMETERS)}")
    if parameters != _PARAMETERS[model]:
        raise InputError(f"{file}: {model} has {_PARAMETERS[model]} parameters; got {parameters}")


# ---- binary -----------------------------------------------------------------------------------


def _take(stream: BinaryIO, layout: str) -> tuple:
    return struct.unpack("<" + layout, stream.read(struct.calcsize("<" + layout)))


def _cameras_bin(file: Path) -> dict[int, _Camera]:
    cameras = {}
    with file.open("rb") as stream:
        for _ in range(_take(stream, "Q")[0]):
            number, model, width, height = _take(stream, "iiQQ")
            if model not in _MODELS:
                raise InputError(f"{file}: camera model number {model} is not supported")
            name, count = _MODELS[model]
            cameras[number] = (name, width, height, _take(stream, f"{count}d"))
    return cameras


def _images_bin(file: Path) -> list[_Image]:
    images = []
    with file.open("rb") as stream:
        for _ in range(_take(stream, "Q")[0]):
            _, *pose, camera = _take(stream, "i7di")
            name = b""
            while (character := stream.read(1)) != b"\0":
                if not character or len(name) >= MAX_NAME_BYTES:
                    raise ValueError(f"{file.name} is truncated")
                name += character
            stream.seek(24 * _take(stream, "Q")[0], 1)
            images.append((name.decode(), camera, tuple(pose)))
    return images


def _points_bin(file: Path) -> list[tuple[float, ...]]:
    points = []
    with file.open("rb") as stream:
        for _ in range(_take(stream, "Q")[0]):
            _, x, y, z, _, _, _, _, track = _take(stream, "Q3d3BdQ")
            stream.seek(8 * track, 1)
            points.append((x, y, z))
    return points
