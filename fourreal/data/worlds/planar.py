"""Vectors as [3, ...] tensors: components first, samples last.

Elementwise arithmetic on long contiguous rows is several times faster than on (..., 3) tensors, and
sums written out give the same bits for any number of samples, which matrix products do not.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def dot(a: Float[Tensor, "3 *n"], b: Float[Tensor, "3 *n"]) -> Float[Tensor, "*n"]:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def rotated(rows: Float[Tensor, "3 3 *n"], vector: Float[Tensor, "3 *n"]) -> Float[Tensor, "3 *n"]:
    """`rows @ vector`."""
    return rows[:, 0] * vector[0] + rows[:, 1] * vector[1] + rows[:, 2] * vector[2]


def rotated_back(rows: Float[Tensor, "3 3 *n"], vector: Float[Tensor, "3 *n"]) -> Float[Tensor, "3 *n"]:
    """`rows.T @ vector`."""
    return rows[0] * vector[0] + rows[1] * vector[1] + rows[2] * vector[2]
