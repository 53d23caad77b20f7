"""The perceptual distance of a loss: LPIPS where the user has its weights, else another distance under its own name."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from fourreal.perception import laplacian_distance
from fourreal.perception.lpips import load_lpips
from fourreal.perception.needed_weights import MissingWeights
from fourreal.perception.st_lpips import load_st_lpips

PictureDistanceName = Literal["auto", "lpips-vgg", "lpips-alex", "st-lpips", "laplacian"]
"""auto: lpips-vgg where the user has its weights, else st-lpips.
lpips-vgg, lpips-alex: LPIPS, from the user's weights.
st-lpips: learned, comes with the package.
laplacian: no weights at all, and the fastest."""


@runtime_checkable
class PictureDistance(Protocol):
    """A differentiable distance between pictures in [0, 1]; `name` is the name of its numbers."""

    name: str

    def __call__(self, a: Float[Tensor, "N 3 H W"], b: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N"]: ...


class _Laplacian:
    name = laplacian_distance.NAME

    def __call__(self, a: Float[Tensor, "N 3 H W"], b: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N"]:
        return laplacian_distance.laplacian_distance(a, b)


def picture_distance(name: PictureDistanceName = "auto") -> PictureDistance:
    """A distance ready for a loss.

    Raises:
        MissingWeights: LPIPS was asked for by name and its weights are not there.
    """
    if name == "auto":
        try:
            return load_lpips("vgg")
        except MissingWeights:
            return load_st_lpips()
    if name == "lpips-vgg":
        return load_lpips("vgg")
    if name == "lpips-alex":
        return load_lpips("alex")
    return load_st_lpips() if name == "st-lpips" else _Laplacian()
