"""Rotations and rigid motions. Quaternions are wxyz everywhere in this package.

Leading dimensions are free and broadcast. The laws these functions obey (inverse, composition,
double cover) are tests in `tests/core/test_rotations.py`.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def quat_to_matrix(quats_wxyz: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrix of a quaternion; the quaternion need not be unit, but not zero."""
    w, x, y, z = torch.nn.functional.normalize(quats_wxyz, dim=-1).unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def matrix_to_quat(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """Unit quaternion (wxyz, w >= 0) of a rotation matrix.

    Four algebraically equal candidates exist, each dividing by one component; the one with the
    largest divisor is taken, so the result is accurate at every angle, 180 degrees included.
    """
    m = matrix
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    squares = torch.stack([1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz], -1)
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    candidates = torch.stack(
        [
            torch.stack([squares[..., 0], a, b, c], -1),
            torch.stack([a, squares[..., 1], d, e], -1),
            torch.stack([b, d, squares[..., 2], f], -1),
            torch.stack([c, e, f, squares[..., 3]], -1),
        ],
        -2,
    )
    best = squares.argmax(-1)[..., None, None].expand(*squares.shape[:-1], 1, 4)
    quat = torch.nn.functional.normalize(candidates.gather(-2, best).squeeze(-2), dim=-1)
    return torch.where(quat[..., :1] < 0, -quat, quat)


def quat_multiply(a_wxyz: Float[Tensor, "*#batch 4"], b_wxyz: Float[Tensor, "*#batch 4"]) -> Float[Tensor, "*batch 4"]:
    """The rotation that applies `b` first, then `a` (Hamilton product)."""
    aw, ax, ay, az = a_wxyz.unbind(-1)
    bw, bx, by, bz = b_wxyz.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        -1,
    )


def quat_slerp(
    a_wxyz: Float[Tensor, "*batch 4"], b_wxyz: Float[Tensor, "*batch 4"], fraction: float | Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch 4"]:
    """Constant-speed interpolation along the shorter way from `a` (fraction 0) to `b` (1)."""
    fraction = torch.as_tensor(fraction, dtype=a_wxyz.dtype, device=a_wxyz.device)[..., None]
    cosine = (a_wxyz * b_wxyz).sum(-1, keepdim=True)
    b_near = torch.where(cosine < 0, -b_wxyz, b_wxyz)
    angle = torch.arccos(cosine.abs().clamp(max=1))
    sine = torch.sin(angle)
    # Below 1e-4 rad the sine ratio loses digits while the straight line is exact to float32.
    straight = sine < 1e-4
    sine = torch.where(straight, torch.ones_like(sine), sine)
    weight_a = torch.where(straight, 1 - fraction, torch.sin((1 - fraction) * angle) / sine)
    weight_b = torch.where(straight, fraction, torch.sin(fraction * angle) / sine)
    return torch.nn.functional.normalize(weight_a * a_wxyz + weight_b * b_near, dim=-1)


def axis_angle_to_matrix(axis_angle: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation by `|axis_angle|` radians about its direction (right-hand rule)."""
    half = axis_angle.norm(dim=-1, keepdim=True) / 2
    # sin(x)/x written with torch.sinc (whose argument is in units of pi), so that 0 is not special.
    vector = axis_angle / 2 * torch.sinc(half / torch.pi)
    return quat_to_matrix(torch.cat([torch.cos(half), vector], -1))


def rigid(
    rotation: Float[Tensor, "*#batch 3 3"], translation: Float[Tensor, "*#batch 3"]
) -> Float[Tensor, "*batch 4 4"]:
    """4x4 matrix of `x -> rotation @ x + translation`."""
    batch = torch.broadcast_shapes(rotation.shape[:-2], translation.shape[:-1])
    upper = torch.cat([rotation.expand(*batch, 3, 3), translation.expand(*batch, 3)[..., None]], -1)
    bottom = upper.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*batch, 1, 4)
    return torch.cat([upper, bottom], -2)


def rigid_inverse(matrix: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 4 4"]:
    """Inverse of a rigid 4x4 by transposition: exact where a general inverse would round."""
    rotation = matrix[..., :3, :3].mT
    return rigid(rotation, -(rotation @ matrix[..., :3, 3:]).squeeze(-1))


def rotation_angle_deg(a: Float[Tensor, "*#batch 3 3"], b: Float[Tensor, "*#batch 3 3"]) -> Float[Tensor, "*batch"]:
    """Angle in degrees of the rotation that takes `a` to `b`.

    By atan2 of the sine and cosine parts: arccos of the trace alone cannot see angles below 0.02
    degrees in float32.
    """
    relative = a.mT @ b
    skew = relative - relative.mT
    sine = torch.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], -1).norm(dim=-1) / 2
    cosine = (relative.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    return torch.rad2deg(torch.atan2(sine, cosine))
