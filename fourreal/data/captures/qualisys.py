"""Qualisys calibrations (`.qca.txt`) and Pose2Sim's demos: a few synchronised cameras round a person.

    DEMO/calibration/Calib.qca.txt    XML; one <camera> each with its size, lens and place
    DEMO/videos/cam01.mp4 ...         one video a camera, in the cameras' natural order

Qualisys writes the camera-to-world rotation with the camera's own y and z axes turned by half a turn
about x, the place in millimetres, and intrinsics in 64ths of a pixel.

Source: the Pose2Sim package (BSD-3-Clause), whose videos are a test of this reader.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.media import natural_order, probe_clip
from fourreal.core.reading import read_bytes, reading
from fourreal.core.rotations import rigid, rigid_inverse
from fourreal.data.captures.capture import (
    ALL,
    CalibratedView,
    Capture,
    Selection,
    grid_of_rows,
    read_video,
    require_count,
    require_folder,
)
from fourreal.data.captures.foreign_axes import pinhole
from fourreal.data.captures.lens import Lens

SUBPIXELS = 64.0
MILLIMETRES = 1000.0
CODEC_BLOCK = 16
LICENCE = "BSD-3-Clause (Pose2Sim demo data)"


def read_qualisys(path: str | Path) -> list[tuple[str, CalibratedView]]:
    """Serial number and camera of each view of a `.qca.txt`, in the file's order; the world is in metres, z-up.

    Raises:
        InputError: the file is missing, no XML, or lacks a number.
    """
    path = Path(path)
    with reading(path, "a Qualisys calibration (.qca.txt), which is XML"):
        content = read_bytes(path)
        if b"<!ENTITY" in content:
            raise ValueError("it declares entities")
        cameras = ElementTree.fromstring(content).findall("cameras/camera")
        if not cameras:
            raise InputError(f"{path} lists no cameras; expected a Qualisys calibration")
        return [(camera.get("serial", ""), _view(camera)) for camera in cameras]


def read_pose2sim(folder: str | Path, selection: Selection = ALL) -> Capture:
    """A Pose2Sim demo folder as a V x T grid with undistorted frames.

    Some videos are 1080 columns wide where the calibration says 1088, a multiple of 16: the padding
    was on the right. (Registering the background of the two demos, one of each width, gives 0.6 px
    of horizontal offset on average, where padding on both sides would give 4.)

    Raises:
        InputError: files are missing, or videos do not match the cameras in number, size or length.
    """
    folder = require_folder(folder)
    calibrations = sorted((folder / "calibration").glob("*.qca.txt"))
    if len(calibrations) != 1:
        raise InputError(f"{folder / 'calibration'} holds {len(calibrations)} .qca.txt files; expected one")
    cameras = read_qualisys(calibrations[0])
    videos = natural_order(list((folder / "videos").glob("*.mp4")))
    require_count(len(videos), len(cameras), "videos", folder / "videos")
    chosen = selection.of_views(range(len(videos)), folder)
    read = [read_video(videos[i], _unpadded(cameras[i][1], videos[i]), selection) for i in chosen]
    grid = grid_of_rows([frames for frames, _, _ in read], read[0][1], [c for _, _, c in read], folder)
    names = tuple(cameras[i][0] or videos[i].stem for i in chosen)
    return Capture(grid=grid, name=folder.name, view_names=names, source="Pose2Sim demo", licence=LICENCE)


def _unpadded(view: CalibratedView, video: Path) -> CalibratedView:
    height, width = probe_clip(video).image_size
    padded = height == view.image_size[0] and 0 < view.image_size[1] - width < CODEC_BLOCK
    return replace(view, image_size=(height, width)) if padded else view


def _view(camera: ElementTree.Element) -> CalibratedView:
    def number(tag: str, key: str) -> float:
        with reading(f"camera {camera.get('serial', '?')}: <{tag} {key}>", "a number"):
            return float(camera.findall(tag)[0].attrib[key])

    left, top = number("fov_video", "left"), number("fov_video", "top")
    width = round(number("fov_video", "right") - left) + 1
    height = round(number("fov_video", "bottom") - top) + 1
    fx, fy = number("intrinsic", "focalLengthU") / SUBPIXELS, number("intrinsic", "focalLengthV") / SUBPIXELS
    cx = number("intrinsic", "centerPointU") / SUBPIXELS - left
    cy = number("intrinsic", "centerPointV") / SUBPIXELS - top
    lens = Lens(
        (number("intrinsic", "radialDistortion1"), number("intrinsic", "radialDistortion2")),
        (number("intrinsic", "tangentalDistortion1"), number("intrinsic", "tangentalDistortion2")),
    )
    rotation = torch.tensor(
        [[number("transform", f"r{i}{j}") for j in (1, 2, 3)] for i in (1, 2, 3)], dtype=torch.float64
    )
    place = torch.tensor([number("transform", axis) for axis in "xyz"], dtype=torch.float64) / MILLIMETRES
    return CalibratedView(_opencv(rotation, place), pinhole(fx, fy, cx, cy), (height, width), lens)


def _opencv(rows: Float64[Tensor, "3 3"], place_m: Float64[Tensor, "3"]) -> Float64[Tensor, "4 4"]:
    """World-to-camera. The file's rows r1, r2, r3 are the camera's axes in the world, y and z turned."""
    axes = rows * torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)[:, None]
    return rigid_inverse(rigid(axes.mT, place_m))
