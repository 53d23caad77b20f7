"""The slow, obvious twin of `fourreal.splat`: every Gaussian on every pixel, float64, plain autograd.

Written from the formulas of the papers, sharing no code with the package: matrices are multiplied
out, inverses are inverses, harmonics come from Legendre polynomials.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from numpy.polynomial import legendre, polynomial


@dataclass
class DenseRendering:
    color: torch.Tensor  # [3 H W]
    alpha: torch.Tensor  # [H W]
    depth: torch.Tensor  # [H W]
    features: torch.Tensor  # [F H W]
    decided: torch.Tensor  # [H W], False where rounding could flip a threshold
    means2d: torch.Tensor  # [kept 2], of the Gaussians at `kept`
    kept: torch.Tensor


@dataclass
class DenseScene:
    """Float64 leaves; one camera."""

    means: torch.Tensor
    quats_wxyz: torch.Tensor
    scales: torch.Tensor
    opacities: torch.Tensor
    sh: torch.Tensor
    features: torch.Tensor
    background: torch.Tensor


def render_dense(scene, world_to_cam, intrinsics, image_size, *, antialiased=False, degree=None, near=0.01, far=1e10):
    height, width = image_size
    rotation, translation = world_to_cam[:3, :3], world_to_cam[:3, 3]
    p = scene.means @ rotation.T + translation
    keep = ((p[:, 2] >= near) & (p[:, 2] <= far)).nonzero()[:, 0]
    keep = keep[p[keep, 2].argsort(stable=True)]
    p = p[keep]

    fx, skew, cx, fy, cy = intrinsics[0, 0], intrinsics[0, 1], intrinsics[0, 2], intrinsics[1, 1], intrinsics[1, 2]
    means2d = torch.stack([(fx * p[:, 0] + skew * p[:, 1]) / p[:, 2] + cx, fy * p[:, 1] / p[:, 2] + cy], -1)
    margin_x, margin_y = 0.3 * 0.5 * width / fx, 0.3 * 0.5 * height / fy
    tx = p[:, 2] * torch.minimum((width - cx) / fx + margin_x, torch.maximum(-cx / fx - margin_x, p[:, 0] / p[:, 2]))
    ty = p[:, 2] * torch.minimum((height - cy) / fy + margin_y, torch.maximum(-cy / fy - margin_y, p[:, 1] / p[:, 2]))
    zero = torch.zeros_like(tx)
    jacobian = torch.stack(
        [
            torch.stack([fx / p[:, 2], skew / p[:, 2], -(fx * tx + skew * ty) / p[:, 2] ** 2], -1),
            torch.stack([zero, fy / p[:, 2], -fy * ty / p[:, 2] ** 2], -1),
        ],
        -2,
    )
    turn = _rotation(scene.quats_wxyz[keep])
    covariance = turn @ torch.diag_embed(scene.scales[keep] ** 2) @ turn.mT
    covariance2d = jacobian @ rotation @ covariance @ rotation.T @ jacobian.mT
    blurred = covariance2d + 0.3 * torch.eye(2, dtype=torch.float64)
    opacities = scene.opacities[keep]
    if antialiased:
        opacities = opacities * torch.sqrt(torch.det(covariance2d) / torch.det(blurred))

    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    offset = torch.stack([x, y], -1).double() - means2d[:, None, None]
    sigma = 0.5 * torch.einsum("nhwi,nij,nhwj->nhw", offset, torch.inverse(blurred), offset)
    raw = opacities[:, None, None] * torch.exp(-sigma)
    alpha = torch.where(raw >= 1 / 255, raw.clamp(max=0.999), 0)
    after = torch.cumprod(1 - alpha, 0)
    alpha_used = torch.where(after > 1e-4, alpha, 0)
    light = torch.cat([torch.ones_like(alpha[:1]), torch.cumprod(1 - alpha_used, 0)])
    weight = alpha_used * light[:-1]
    decided = ~((raw * 255 - 1).abs() < 1e-4).any(0) & ~((after / 1e-4 - 1).abs() < 1e-3).any(0)

    degree = math.isqrt(scene.sh.shape[1]) - 1 if degree is None else degree
    center = -rotation.T @ translation
    colors = harmonics_color(scene.sh[keep], scene.means[keep] - center, degree)
    total = 1 - light[-1]
    blended_depth = torch.einsum("nhw,n->hw", weight, p[:, 2])
    return DenseRendering(
        color=torch.einsum("nhw,nc->chw", weight, colors) + light[-1] * scene.background[:, None, None],
        alpha=total,
        depth=torch.where(total > 0, blended_depth / total.clamp(min=1e-12), 0),
        features=torch.einsum("nhw,nf->fhw", weight, scene.features[keep]),
        decided=decided.detach(),
        means2d=means2d,
        kept=keep,
    )


def harmonics_color(sh, directions, degree):
    return torch.einsum("nk,nkc->nc", harmonics(directions, degree), sh[:, : (degree + 1) ** 2]).add(0.5).clamp(min=0)


def harmonics(directions, degree):
    """Real spherical harmonics with the Condon-Shortley phase, order m = -l .. l, any degree."""
    x, y, z = (directions / directions.norm(dim=-1, keepdim=True)).unbind(-1)
    values = []
    for band in range(degree + 1):
        for order in range(-band, band + 1):
            m = abs(order)
            derivative = (
                polynomial.polyder(legendre.leg2poly([0] * band + [1]), m) if m else legendre.leg2poly([0] * band + [1])
            )
            along_z = sum(float(c) * z**power for power, c in enumerate(derivative))
            around = torch.complex(x, y) ** m
            norm = math.sqrt((2 * band + 1) / (4 * math.pi) * math.factorial(band - m) / math.factorial(band + m))
            if m:
                norm *= math.sqrt(2) * (-1) ** m
            values.append(norm * along_z * (around.imag if order < 0 else around.real))
    return torch.stack(values, -1)


def _rotation(quats_wxyz):
    """Columns are the turned axes: q e q* by Hamilton's rules, written as v + 2 w (u x v) + 2 u x (u x v)."""
    quats = quats_wxyz / quats_wxyz.norm(dim=-1, keepdim=True)
    w, u = quats[:, :1], quats[:, 1:]
    columns = []
    for axis in torch.eye(3, dtype=torch.float64):
        v = axis.expand_as(u)
        columns.append(v + 2 * w * torch.linalg.cross(u, v) + 2 * torch.linalg.cross(u, torch.linalg.cross(u, v)))
    return torch.stack(columns, -1)
