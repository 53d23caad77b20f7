"""Cameras with the names of the images they took: what nerfstudio and COLMAP files hold."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError


@dataclass(frozen=True)
class PosedImages:
    """A flat batch of cameras and one image name each, relative to the folder of images.

    Attributes:
        points: world points to start a reconstruction from, where there are any.
        colors: their sRGB colours in [0, 1]; grey when left out.

    Raises:
        InputError: the numbers of cameras and names differ, or there are none.
    """

    cameras: Cameras
    names: tuple[str, ...]
    points: Float[Tensor, "N 3"] | None = None
    colors: Float[Tensor, "N 3"] | None = None

    def __post_init__(self) -> None:
        if not self.names or self.cameras.batch_shape != (len(self.names),):
            raise InputError(
                f"expected at least one camera and one image for each; got cameras of shape "
                f"{list(self.cameras.batch_shape)} and {len(self.names)} names"
            )

    def require_no_skew(self, format: str) -> None:
        """Refuse cameras whose pixels are not rectangular, which `format` cannot say. Raises InputError."""
        if bool((self.cameras.intrinsics[..., 0, 1] != 0).any()):
            raise InputError(f"{format} has no skew, and a camera's intrinsics do; resample the images first")
