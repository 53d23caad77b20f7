"""Cameras with the names of the images they took: what nerfstudio and COLMAP files hold."""

from __future__ import annotations

from dataclasses import dataclass

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError


@dataclass(frozen=True)
class PosedImages:
    """A flat batch of cameras and one image name each, relative to the file's image folder.

    Raises:
        InputError: the numbers of cameras and names differ, or there are none.
    """

    cameras: Cameras
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.cameras.batch_shape != (len(self.names),):
            raise InputError(
                f"one camera per image expected; got cameras of shape {list(self.cameras.batch_shape)} "
                f"and {len(self.names)} names"
            )
        if not self.names:
            raise InputError("expected at least one camera; got none")


def require_no_skew(cameras: Cameras, format: str) -> None:
    """Refuse cameras whose pixels are not rectangular, which `format` cannot say."""
    if bool((cameras.intrinsics[..., 0, 1] != 0).any()):
        raise InputError(f"{format} has no skew, and a camera's intrinsics do; resample the images first")
