"""Camera axes of other conventions, turned into OpenCV world-to-camera.

OpenCV looks along +z with x right and y down. OpenGL and Blender look along -z with y up. LLFF
writes its columns as (down, right, backwards).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from fourreal.core.rotations import rigid, rigid_inverse


def from_opengl(cam_to_world: Float64[np.ndarray, "N 4 4"]) -> Float64[Tensor, "N 4 4"]:
    """OpenCV world-to-camera of OpenGL/Blender camera-to-world matrices. A uniform scale is divided out."""
    columns = cam_to_world[:, :3, :3] / np.linalg.norm(cam_to_world[:, :3, :3], axis=1, keepdims=True)
    return _world_to_cam(columns * np.array([1.0, -1.0, -1.0]), cam_to_world[:, :3, 3])


def from_llff(cam_to_world: Float64[np.ndarray, "N 3 4"]) -> Float64[Tensor, "N 4 4"]:
    """OpenCV world-to-camera of LLFF's 3 x 4 camera-to-world matrices."""
    down, right, backwards = np.moveaxis(cam_to_world[:, :, :3], -1, 0)
    return _world_to_cam(np.stack([right, down, -backwards], -1), cam_to_world[:, :, 3])


def pinhole(fx: float, fy: float, cx: float, cy: float) -> Float64[Tensor, "3 3"]:
    """The intrinsic matrix."""
    return torch.tensor([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]], dtype=torch.float64)


def _world_to_cam(rotation: Float[np.ndarray, "N 3 3"], centers: Float[np.ndarray, "N 3"]) -> Float64[Tensor, "N 4 4"]:
    return rigid_inverse(rigid(torch.from_numpy(np.ascontiguousarray(rotation)), torch.from_numpy(centers.copy())))
