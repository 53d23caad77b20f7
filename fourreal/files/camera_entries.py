"""Cameras as entries of a nerfstudio `transforms.json`, the camera part of `cameras.json`.

nerfstudio poses are camera-to-world in OpenGL axes (+x right, +y up, +z back); ours are
world-to-camera in OpenCV axes (+x right, +y down, +z forward). The conversion happens here and
nowhere else. The world itself, and where pixel centres lie, are the same in both.

Source: nerfstudio documentation, "Data conventions".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.configs import Fields
from fourreal.core.errors import InputError
from fourreal.core.reading import reading

CONVENTION = (
    "transform_matrix is camera-to-world in OpenGL axes (+x right, +y up, +z back); fl_x fl_y cx cy in pixels, "
    "the centre of the top-left pixel is (0.5, 0.5)"
)
MAX_SIDE = 32768
_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")


def to_entries(cameras: Cameras) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The keys shared by all cameras of a flat batch, and one entry per camera.

    Intrinsics that all cameras share stand among the shared keys, others in each entry.
    """
    height, width = cameras.image_size
    poses = to_opengl(cameras.world_to_cam).tolist()
    intrinsics = [_intrinsics(matrix) for matrix in cameras.intrinsics.detach().double().cpu()]
    shared: dict[str, Any] = {"w": width, "h": height, "camera_model": "OPENCV"}
    entries: list[dict[str, Any]] = [{"transform_matrix": pose} for pose in poses]
    if all(each == intrinsics[0] for each in intrinsics):
        shared |= intrinsics[0]
    else:
        entries = [entry | own for entry, own in zip(entries, intrinsics, strict=True)]
    return shared, entries


def from_entries(shared: Fields, entries: Sequence[Fields]) -> Cameras:
    """The flat batch of cameras described by nerfstudio keys; an entry's own intrinsics win over shared ones.

    Raises:
        InputError: no entries, a key is missing or not a number, a pose is not rigid, a lens is distorted.
    """
    if not entries:
        raise InputError(f"{shared.where}: expected at least one camera, got none")
    image_size = read_image_size(shared)
    intrinsics = torch.tensor([_intrinsic_matrix(shared, entry) for entry in entries], dtype=torch.float64)
    world_to_cam = torch.stack([_from_opengl(entry) for entry in entries])
    with reading(shared.where):
        return Cameras(world_to_cam.float(), intrinsics.float(), image_size).validated()


def read_image_size(shared: Fields) -> tuple[int, int]:
    """(height, width)."""
    return shared.integer("h", 1, MAX_SIDE), shared.integer("w", 1, MAX_SIDE)


def to_opengl(world_to_cam: Float[Tensor, "N 4 4"]) -> Float[Tensor, "N 4 4"]:
    """Camera-to-world poses in OpenGL axes, in double precision.

    A true inverse, not the rigid one: float32 rotations are orthonormal to 1e-7 only, and this
    way the way back is exact to double precision.
    """
    return torch.linalg.inv(world_to_cam.detach().double().cpu()) @ _flip()


def _from_opengl(entry: Fields) -> Float[Tensor, "4 4"]:
    matrix = torch.tensor(entry.matrix("transform_matrix", 4, 4), dtype=torch.float64)
    rotation = matrix[:3, :3]
    off = float((rotation @ rotation.mT - torch.eye(3, dtype=torch.float64)).abs().max())
    # Written so that NaN, the product of absurdly large entries, is refused too.
    if not off <= 1e-3 or torch.linalg.det(rotation) < 0:
        raise InputError(
            f"{entry.where}.transform_matrix: expected a rotation and a translation; the rotation part is "
            f"off by {off:.3g} or mirrored"
        )
    if matrix[3].tolist() != [0, 0, 0, 1]:
        raise InputError(f"{entry.where}.transform_matrix: the last row must be 0 0 0 1, got {matrix[3].tolist()}")
    return torch.linalg.inv(matrix @ _flip())


def _flip() -> Float[Tensor, "4 4"]:
    return torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64))


def _intrinsics(matrix: Float[Tensor, "3 3"]) -> dict[str, float]:
    (fl_x, skew, cx), (_, fl_y, cy) = matrix[:2].tolist()
    values = {"fl_x": fl_x, "fl_y": fl_y, "cx": cx, "cy": cy}
    # nerfstudio knows no skew; the key is ours and is written only where there is one.
    return values | ({"skew": skew} if skew else {})


def _intrinsic_matrix(shared: Fields, entry: Fields) -> list[list[float]]:
    for key in _DISTORTION:
        if _value(shared, entry, key, 0.0) != 0.0:
            raise InputError(f"{entry.where}: lens distortion ({key}) is not read; undistort the images first")
    fl_x = _value(shared, entry, "fl_x")
    fl_y = _value(shared, entry, "fl_y", fl_x)
    cx, cy = _value(shared, entry, "cx"), _value(shared, entry, "cy")
    return [[fl_x, _value(shared, entry, "skew", 0.0), cx], [0.0, fl_y, cy], [0.0, 0.0, 1.0]]


def _value(shared: Fields, entry: Fields, key: str, default: float | None = None) -> float:
    holder = entry if key in entry else shared
    return holder.number(key) if default is None else holder.number(key, default)


def require_no_skew(cameras: Cameras, format: str) -> None:
    """Refuse cameras whose pixels are not rectangular, which `format` cannot say."""
    if bool((cameras.intrinsics[..., 0, 1] != 0).any()):
        raise InputError(f"{format} has no skew, and a camera's intrinsics do; resample the images first")
