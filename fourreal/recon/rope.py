"""Rotary positions on any number of axes: places in an image, steps in time.

The angle between two tokens depends on the difference of their positions alone, so any image size
and any number of times is covered without a table of learned positions.

Source: VGGT (2-D rotary embedding of patch rows and columns, base 100).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

BASE = 100.0


@dataclass(frozen=True)
class Rotary:
    """Cosines and sines of L tokens, one pair per axis.

    Attributes:
        cosines, sines: per axis `[L, W / 2]`, where W is the share of the head width that axis turns.
    """

    cosines: tuple[Float[Tensor, "L _"], ...]
    sines: tuple[Float[Tensor, "L _"], ...]

    @classmethod
    def at(cls, positions: Float[Tensor, "L axes"], widths: tuple[int, ...], base: float = BASE) -> Rotary:
        """Tables for tokens at `positions`; axis k turns `widths[k]` channels (even), in this order."""
        assert len(widths) == positions.shape[1]
        assert all(width % 2 == 0 for width in widths)
        angles = []
        for axis, width in enumerate(widths):
            exponents = torch.arange(0, width, 2, dtype=positions.dtype, device=positions.device) / width
            angles.append(positions[:, axis, None] * base**-exponents)
        return cls(tuple(angle.cos() for angle in angles), tuple(angle.sin() for angle in angles))

    def repeat(self, times: int) -> Rotary:
        """The same positions for `times` copies of the sequence, one after the other."""
        return Rotary(
            tuple(table.repeat(times, 1) for table in self.cosines),
            tuple(table.repeat(times, 1) for table in self.sines),
        )

    def rotate(self, heads: Float[Tensor, "B A L E"]) -> Float[Tensor, "B A L E"]:
        """Turn queries or keys. Channel c of an axis pairs with channel c + W / 2."""
        turned, start = [], 0
        for cosine, sine in zip(self.cosines, self.sines, strict=True):
            half = cosine.shape[1]
            first, second = heads[..., start : start + half], heads[..., start + half : start + 2 * half]
            cosine, sine = cosine.to(heads.dtype), sine.to(heads.dtype)
            turned += [first * cosine - second * sine, second * cosine + first * sine]
            start += 2 * half
        return torch.cat(turned, -1)


def grid_positions(rows: int, columns: int, special: int, device: torch.device | str = "cpu") -> Float[Tensor, "L 2"]:
    """(row, column) of the tokens of one frame: `special` ones at (0, 0), then the patches from (1, 1) on."""
    patches = torch.cartesian_prod(torch.arange(rows, device=device), torch.arange(columns, device=device)) + 1
    return torch.cat([patches.new_zeros(special, 2), patches]).float()
