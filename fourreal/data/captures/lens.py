"""Lens distortion: what bends the straight rays of a pinhole camera, and images without it.

The polynomials are OpenCV's. A `Lens` maps ideal to bent image-plane points, which is exactly what
resampling needs; nothing has to be inverted.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.cameras import Cameras


@dataclass(frozen=True)
class Lens:
    """Distortion coefficients, all zero for a pinhole.

    Attributes:
        radial: k1, k2, k3 of the numerator; with `fisheye`, k1 to k4 of the angle polynomial.
        tangential: p1, p2.
        denominator: k4, k5, k6 of OpenCV's rational model.
        fisheye: equidistant model, the polynomial is in the angle from the axis.
    """

    radial: tuple[float, ...] = ()
    tangential: tuple[float, float] = (0.0, 0.0)
    denominator: tuple[float, ...] = ()
    fisheye: bool = False

    @property
    def is_pinhole(self) -> bool:
        return not (self.fisheye or any(self.radial) or any(self.tangential) or any(self.denominator))

    def bend(self, plane: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch 2"]:
        """Where the point at (x, y, 1) before the camera really falls, on the plane at distance 1."""
        x, y = plane.unbind(-1)
        square = x * x + y * y
        if self.fisheye:
            radius = square.sqrt().clamp(min=1e-9)
            angle = torch.atan(radius)
            return plane * (angle * _polynomial(self.radial, angle * angle) / radius)[..., None]
        scale = _polynomial(self.radial, square) / _polynomial(self.denominator, square)
        p1, p2 = self.tangential
        dx = 2 * p1 * x * y + p2 * (square + 2 * x * x)
        dy = p1 * (square + 2 * y * y) + 2 * p2 * x * y
        return plane * scale[..., None] + torch.stack([dx, dy], -1)


PINHOLE = Lens()


def undistort(frames: Float[Tensor, "T 3 H W"], camera: Cameras, lens: Lens) -> Float[Tensor, "T 3 H W"]:
    """The frames a pinhole with `camera`'s intrinsics would have taken; the border is continued outwards."""
    if lens.is_pinhole:
        return frames
    height, width = camera.image_size
    ones = torch.ones(height, width, 1, dtype=camera.intrinsics.dtype)
    pixels = torch.cat([camera.pixel_centers(), ones], -1)
    plane = (pixels @ torch.linalg.inv(camera.intrinsics).mT)[..., :2]
    bent = torch.cat([lens.bend(plane), ones], -1) @ camera.intrinsics.mT
    place = 2 * bent[..., :2] / bent.new_tensor([width, height]) - 1
    place = place.to(frames).expand(len(frames), -1, -1, -1)
    return torch.nn.functional.grid_sample(frames, place, padding_mode="border", align_corners=False)


def _polynomial(coefficients: tuple[float, ...], square: Tensor) -> Tensor:
    """1 + k1 s + k2 s^2 + ..."""
    value, power = torch.ones_like(square), square
    for coefficient in coefficients:
        value, power = value + coefficient * power, power * square
    return value
