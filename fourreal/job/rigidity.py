"""How much of the motion between two pictures no motion of the camera explains.

Two pictures of a scene that stands still obey one fundamental matrix. It is found by random sampling of eight
matches at a time, and what does not obey it has moved by itself. Motion along the epipolar lines goes unseen.

Source: Hartley and Zisserman, "Multiple View Geometry", sections 11.2 (eight-point algorithm), 11.4.3 (Sampson
distance) and 11.6 (random sampling).
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

TRIALS, SAMPLE = 200, 8
REFINEMENTS = 3
OBEYS_PX, STRAYS_PX = 0.4, 1.0


def straying_share(
    places: Float[Tensor, "N 2"], matches: Float[Tensor, "N 2"], side: int, generator: torch.Generator
) -> float:
    """Share of matches farther than a pixel from the one fundamental matrix that most of them obey.

    Args:
        places, matches: (x, y) in pixels, in the first and in the second picture; at least 8.
        side: of the pictures in pixels; conditions the equations.
    """
    middle = side / 2
    p, q = (places - middle) / middle, (matches - middle) / middle
    chosen = torch.randint(len(p), (TRIALS, SAMPLE), generator=generator)
    candidates = _fundamental(p[chosen], q[chosen])
    obeying = (_sampson(candidates, p, q) * middle < OBEYS_PX).sum(-1)
    best = candidates[obeying.argmax()]
    for _ in range(REFINEMENTS):
        inliers = _sampson(best, p, q) * middle < OBEYS_PX
        if int(inliers.sum()) < SAMPLE:
            break
        best = _fundamental(p[inliers], q[inliers])
    return float((_sampson(best, p, q) * middle > STRAYS_PX).float().mean())


def _fundamental(p: Float[Tensor, "*batch N 2"], q: Float[Tensor, "*batch N 2"]) -> Float[Tensor, "*batch 3 3"]:
    """Least squares over the matches, then the nearest matrix of rank two."""
    equations = rearrange(_homogeneous(q)[..., :, None] * _homogeneous(p)[..., None, :], "... n i j -> ... n (i j)")
    _, _, right = torch.linalg.svd(equations, full_matrices=True)
    u, sizes, v = torch.linalg.svd(rearrange(right[..., -1, :], "... (i j) -> ... i j", i=3))
    sizes = sizes * torch.tensor([1.0, 1.0, 0.0])
    return u @ torch.diag_embed(sizes) @ v


def _sampson(
    matrix: Float[Tensor, "*batch 3 3"], p: Float[Tensor, "N 2"], q: Float[Tensor, "N 2"]
) -> Float[Tensor, "*batch N"]:
    """First-order distance of each match from obeying the matrix."""
    ahead, back = _homogeneous(p) @ matrix.mT, _homogeneous(q) @ matrix
    residual = (_homogeneous(q) * ahead).sum(-1).abs()
    slope = ahead[..., :2].square().sum(-1) + back[..., :2].square().sum(-1)
    return residual / slope.sqrt().clamp(min=1e-12)


def _homogeneous(points: Float[Tensor, "*batch N 2"]) -> Float[Tensor, "*batch N 3"]:
    return torch.cat([points, torch.ones_like(points[..., :1])], -1)
