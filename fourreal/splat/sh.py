"""View-dependent colour by real spherical harmonics, degrees 0 to 3.

The order and signs of the basis are those of 3DGS and gsplat (and so of every .ply of splats): for
degree 1 it is (-y, z, -x), and so on.

Source: 3D Gaussian Splatting (Kerbl et al. 2023), section 4; constants from the definition of the
real harmonics.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor


def _norm(rational: float) -> float:
    return math.sqrt(rational / math.pi)


_C0 = _norm(1 / 4)
_C1 = _norm(3 / 4)
_C2_CROSS, _C2_ZONAL, _C2_DIFFERENCE = _norm(15 / 4), _norm(5 / 16), _norm(15 / 16)
_C3_CUBE, _C3_CROSS, _C3_SIDE, _C3_ZONAL = _norm(35 / 32), _norm(105 / 4), _norm(21 / 32), _norm(7 / 16)


def sh_basis(directions: Float[Tensor, "*batch 3"], degree: int) -> Float[Tensor, "*batch K"]:
    """Values of the K = (degree + 1)^2 basis functions in unit directions."""
    x, y, z = directions.unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    values = [torch.full_like(x, _C0)]
    if degree >= 1:
        values += [-_C1 * y, _C1 * z, -_C1 * x]
    if degree >= 2:
        values += [
            _C2_CROSS * x * y,
            -_C2_CROSS * y * z,
            _C2_ZONAL * (3 * zz - 1),
            -_C2_CROSS * x * z,
            _C2_DIFFERENCE * (xx - yy),
        ]
    if degree >= 3:
        values += [
            -_C3_CUBE * y * (3 * xx - yy),
            _C3_CROSS * x * y * z,
            -_C3_SIDE * y * (5 * zz - 1),
            _C3_ZONAL * z * (5 * zz - 3),
            -_C3_SIDE * x * (5 * zz - 1),
            _C3_CROSS / 2 * z * (xx - yy),
            -_C3_CUBE * x * (xx - 3 * yy),
        ]
    return torch.stack(values, -1)


def view_colors(
    sh: Float[Tensor, "N K 3"], means: Float[Tensor, "N 3"], centers: Float[Tensor, "*batch 3"], degree: int
) -> Float[Tensor, "*batch N 3"]:
    """Colour of every Gaussian seen from camera `centers`: `max(0, 0.5 + harmonics)`, not clipped above."""
    used = sh[:, : (degree + 1) ** 2]
    if degree == 0:
        color = (_C0 * used[:, 0]).expand(*centers.shape[:-1], -1, -1)
    else:
        directions = torch.nn.functional.normalize(means - centers[..., None, :], dim=-1)
        color = torch.einsum("...nk,nkd->...nd", sh_basis(directions, degree), used)
    return (color + 0.5).clamp(min=0)
