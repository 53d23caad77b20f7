"""z-depth of one view as a compressed float16 array, `depth/v000.npz` of a grid folder."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError


def write_depth(path: Path, depth: Float[Tensor, "T H W"]) -> None:
    """Write z-depth; values over 65504, the largest float16, become infinity."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, z=depth.detach().cpu().half().numpy())


def read_depth(path: Path, shape: tuple[int, int, int]) -> Float[Tensor, "T H W"]:
    """Read z-depth of the given shape as float32.

    Raises:
        InputError: the file is damaged, or holds another shape or kind of numbers, or NaN.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            values = archive["z"]
    except (OSError, ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} cannot be read as depth ({error}); it is truncated or damaged") from error
    if values.shape != shape or values.dtype not in (np.float16, np.float32):
        raise InputError(
            f"{path}: expected floating point depth {list(shape)}, got {values.dtype} {list(values.shape)}"
        )
    return torch.from_numpy(values).float()
