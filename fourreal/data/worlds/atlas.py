"""Band-limited texture look-up: all mip levels of all textures in one image.

A look-up averages two trilinear samples along the longer axis of the pixel's footprint, each from the
level that matches half that length, so a floor stays sharp sideways and does not alias to the horizon.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fourreal.data.worlds.patterns import SIZE
from fourreal.data.worlds.textures import LIBRARY, PROCEDURAL, texture_image

LEVELS = SIZE.bit_length()  # 256 ... 1
BORDER = 1  # texels wrapped round every level, so that bilinear taps never leave it
TAPS = 2


def mip_levels(image: Float[np.ndarray, "3 S S"]) -> list[Float[np.ndarray, "3 s s"]]:
    """The image and its successive 2x2 means, down to a single texel."""
    levels = [image]
    while levels[-1].shape[-1] > 1:
        size = levels[-1].shape[-1] // 2
        levels.append(levels[-1].reshape(3, size, 2, size, 2).mean((2, 4)))
    return levels


@dataclass(frozen=True)
class Atlas:
    """Textures side by side in one image.

    Attributes:
        texels: every used texture's levels, each with its wrapped border.
        corner: (x, y) of each level's first texel, per library entry.
    """

    texels: Float[Tensor, "1 3 A B"]
    corner: Float[Tensor, "S M 2"]

    def sample(
        self,
        slot: Int[Tensor, "N"],
        uv: Float[Tensor, "2 N"],
        across: Float[Tensor, "2 N"],
        down: Float[Tensor, "2 N"],
    ) -> Float[Tensor, "3 N"]:
        """Filtered texture values.

        Args:
            slot: which library entry.
            uv: where, in periods.
            across, down: how uv changes from one pixel to the next, to the right and downwards.
        """
        a, b = (across * across).sum(0), (down * down).sum(0)
        longer = torch.where(a >= b, across, down)
        length = torch.maximum(torch.minimum(a, b), torch.maximum(a, b) / TAPS**2)
        level = (0.5 * torch.log2(length.clamp(min=1e-12)) + (LEVELS - 1)).clamp(0, LEVELS - 1)
        fine = level.floor().clamp(max=LEVELS - 2)
        blend = level - fine
        fine = fine.long()
        total = torch.zeros((3, uv.shape[1]), dtype=uv.dtype, device=uv.device)
        for tap in range(TAPS):
            shifted = uv + ((tap + 0.5) / TAPS - 0.5) * longer
            shifted = shifted - shifted.floor()
            total += (1 - blend) * self._bilinear(slot, fine, shifted) + blend * self._bilinear(slot, fine + 1, shifted)
        return total / TAPS

    def _bilinear(
        self, slot: Int[Tensor, "N"], level: Int[Tensor, "N"], uv: Float[Tensor, "2 N"]
    ) -> Float[Tensor, "3 N"]:
        corner = self.corner.reshape(-1, 2).index_select(0, slot * LEVELS + level).T
        size = torch.bitwise_left_shift(torch.ones_like(level), LEVELS - 1 - level).to(uv)
        extent = torch.tensor(self.texels.shape[:1:-1], dtype=uv.dtype, device=uv.device)[:, None]
        grid = (corner + uv * size) * (2 / extent) - 1
        texels = torch.nn.functional.grid_sample(
            self.texels.to(uv.dtype), grid.T[None, None], mode="bilinear", align_corners=False
        )
        return texels[0, :, 0]


@functools.lru_cache(maxsize=4)
def build_atlas(photographs: bool, device: torch.device) -> Atlas:
    """The atlas of the whole library.

    Every texture has one place whether or not the photographs are there, so that look-ups round alike
    whatever a world is rendered with.
    """
    height, width = SIZE + 16 + 2 * BORDER * LEVELS, SIZE + SIZE // 2 + 4 * BORDER
    columns = math.ceil(math.sqrt(len(LIBRARY)))
    rows = math.ceil(len(LIBRARY) / columns)
    texels = np.zeros((3, rows * height, columns * width), dtype=np.float32)
    corners = np.zeros((len(LIBRARY), LEVELS, 2), dtype=np.float32)
    for slot in range(len(LIBRARY if photographs else PROCEDURAL)):
        left, top = (slot % columns) * width, (slot // columns) * height
        y = top
        for level, image in enumerate(mip_levels(texture_image(slot))):
            x = left if level == 0 else left + SIZE + 2 * BORDER
            padded = np.pad(image, ((0, 0), (BORDER, BORDER), (BORDER, BORDER)), mode="wrap")
            size = padded.shape[-1]
            texels[:, y : y + size, x : x + size] = padded
            corners[slot, level] = x + BORDER, y + BORDER
            y = top if level == 0 else y + size
    return Atlas(torch.from_numpy(texels)[None].to(device), torch.from_numpy(corners).to(device))
