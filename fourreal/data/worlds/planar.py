"""Vectors as [3, ...] tensors: components first, samples last, and arithmetic with reproducible bits.

Elementwise arithmetic on long contiguous rows is several times faster than on (..., 3) tensors, and
sums written out give the same bits for any number of samples, which matrix products do not. Nor do
PyTorch's atan2 and pow on a CPU: they compute the last few elements of a tensor by another routine than
the rest. Arctangent, exp and log do not, so `angle` and `power` are built from them.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def dot(a: Float[Tensor, "3 *#n"], b: Float[Tensor, "3 *#n"]) -> Float[Tensor, "*n"]:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def rotated(rows: Float[Tensor, "3 3 *#n"], vector: Float[Tensor, "3 *#n"]) -> Float[Tensor, "3 *n"]:
    """`rows @ vector`."""
    return rows[:, 0] * vector[0] + rows[:, 1] * vector[1] + rows[:, 2] * vector[2]


def rotated_back(rows: Float[Tensor, "3 3 *#n"], vector: Float[Tensor, "3 *#n"]) -> Float[Tensor, "3 *n"]:
    """`rows.T @ vector`."""
    return rows[0] * vector[0] + rows[1] * vector[1] + rows[2] * vector[2]


def angle(y: Float[Tensor, "*#n"], x: Float[Tensor, "*#n"]) -> Float[Tensor, "*n"]:
    """atan2(y, x); 0 where both are 0."""
    steep = y.abs() > x.abs()
    below = torch.where(steep, y, x)
    part = torch.atan(torch.where(steep, x, y) / torch.where(below == 0, 1.0, below))
    half_turn = torch.pi * torch.where(y < 0, -torch.ones_like(y), torch.ones_like(y))
    return torch.where(steep, half_turn / 2 - part, part + half_turn * (x < 0))


def power(base: Float[Tensor, "*n"], exponent: float | Float[Tensor, "*#n"]) -> Float[Tensor, "*n"]:
    """base ** exponent for positive bases."""
    return torch.exp(torch.log(base) * exponent)
