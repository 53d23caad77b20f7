"""z-depth of one view as a compressed float16 array, `depth/v000.npz` of a grid folder."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.reading import read_array, reading


def write_depth(path: Path, depth: Float[Tensor, "T H W"]) -> None:
    """Write z-depth; values over 65504, the largest float16, become infinity."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, z=depth.detach().cpu().half().numpy())


def read_depth(path: Path, shape: tuple[int, int, int]) -> Float[Tensor, "T H W"]:
    """Read z-depth of the given shape as float32; no more memory than that is used, whatever the file declares.

    Raises:
        InputError: the file is damaged, or holds another shape or kind of numbers, or NaN.
    """
    with reading(path, "depth in a whole .npz"), zipfile.ZipFile(path) as archive, archive.open("z.npy") as file:
        values = read_array(file, 4 * math.prod(shape))
        if values.shape != shape or values.dtype not in (np.float16, np.float32):
            raise InputError(
                f"{path}: expected floating point depth {list(shape)}, got {values.dtype} {list(values.shape)}"
            )
        return torch.from_numpy(values).float()
