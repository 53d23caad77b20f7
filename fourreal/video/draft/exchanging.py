"""Layers in which two frames' features look at each other, so that alike places are told apart by what is around them
and by how the rest of the frame has moved.

Source: Xu et al., "GMFlow: Learning Optical Flow via Global Matching" (2022), section 3.1 ("Feature enhancement");
Su et al., "RoFormer" (2021), section 3.2 (positions as rotations).
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

LONGEST_WAVE = 64.0
"""In places of the feature map; angles of the slowest rotation."""


class Exchange(nn.Module):
    """Attention within a frame and to the other one, then a network a place.

    Args:
        width: channels.
        heads: of either attention, `width / heads` wide and divisible by 4.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.within_norm, self.across_norm, self.place_norm = (nn.LayerNorm(width) for _ in range(3))
        self.layers = nn.ModuleList(
            [
                nn.Linear(width, 3 * width),
                nn.Linear(width, width),
                nn.Linear(width, width),
                nn.Linear(width, 2 * width),
                nn.Linear(width, width),
                nn.Linear(width, 3 * width),
                nn.Linear(3 * width, width),
            ]
        )
        for last in (1, 4, 6):
            nn.init.zeros_(self.layers[last].weight)  # pyright: ignore[reportArgumentType]

    def forward(self, both: Float[Tensor, "M P C"], turns: Float[Tensor, "P E"]) -> Float[Tensor, "M P C"]:
        """First frames of all pairs, then second ones."""
        read = self.layers
        query, key, value = read[0](self.within_norm(both)).chunk(3, -1)
        both = both + read[1](self._attended(query, key, value, turns))
        normed = self.across_norm(both)
        other = torch.cat(normed.chunk(2)[::-1])
        key, value = read[3](other).chunk(2, -1)
        both = both + read[4](self._attended(read[2](normed), key, value, turns))
        return both + read[6](functional.gelu(read[5](self.place_norm(both))))

    def _attended(
        self, query: Float[Tensor, "M P C"], key: Float[Tensor, "M P C"], value: Float[Tensor, "M P C"], turns: Tensor
    ) -> Float[Tensor, "M P C"]:
        query, key, value = (rearrange(x, "m p (a e) -> (m a) p e", a=self.heads) for x in (query, key, value))
        # Two products and a softmax: on a CPU much quicker than the fused kernel for maps of a few hundred places.
        alike = turned(query * query.shape[-1] ** -0.5, turns) @ turned(key, turns).mT
        return rearrange(alike.softmax(-1).to(value.dtype) @ value, "(m a) p e -> m p (a e)", a=self.heads)


def place_angles(size: tuple[int, int], width: int) -> Float[Tensor, "P E"]:
    """Angles of the places of a map, row by row: the first half of E = width / 2 turns with x, the rest with y."""
    waves = torch.logspace(0, 1, width // 4, base=LONGEST_WAVE)
    y, x = torch.meshgrid(torch.arange(size[0]).float(), torch.arange(size[1]).float(), indexing="ij")
    return 2 * torch.pi * torch.cat([x.reshape(-1, 1) / (2 * waves), y.reshape(-1, 1) / (2 * waves)], -1)


def turned(x: Float[Tensor, "M P D"], angles: Float[Tensor, "P E"]) -> Float[Tensor, "M P D"]:
    """Pairs of values turned by their place's angles, so that products tell how far places are apart."""
    cos, sin = angles.cos().to(x), angles.sin().to(x)
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)
