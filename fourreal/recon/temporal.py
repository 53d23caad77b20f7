"""The layers that connect times: what 4Real-Video-V2 adds to VGGT.

Frame and global attention stay within one time, so these layers are the only way from one time to
another. They start as the identity: their layer scales are zero and everything else is not, so the
first output equals plain VGGT's while the scales' gradient is alive. Time enters by rotary
positions, that is by differences alone, so any number of times works.

Source: 4Real-Video-V2, section 3.2 "Temporal Attention"; appendix C ("the same hyperparameters for
temporal attention as for global attention in VGGT").
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from fourreal.recon.block import Block
from fourreal.recon.config import ReconConfig
from fourreal.recon.rope import Rotary, grid_positions


class TemporalLayer(nn.Module):
    """Attention across times within one view."""

    def __init__(self, config: ReconConfig) -> None:
        super().__init__()
        self.scope = config.temporal_scope
        self.head_width = config.width // config.heads
        self.block = Block(config.width, config.heads, mlp_ratio=config.mlp_ratio, qk_norm=True, scale=0.0)

    def forward(self, tokens: Float[Tensor, "B V T L D"], rotary: Rotary) -> Float[Tensor, "B V T L D"]:
        """Args: rotary: from `temporal_rotary`, for these T times and L tokens."""
        views, times, places = tokens.shape[1:4]
        if self.scope == "place":
            mixed = self.block(rearrange(tokens, "b v t l d -> (b v l) t d"), rotary)
            return rearrange(mixed, "(b v l) t d -> b v t l d", v=views, l=places)
        mixed = self.block(rearrange(tokens, "b v t l d -> (b v) (t l) d"), rotary)
        return rearrange(mixed, "(b v) (t l) d -> b v t l d", v=views, t=times)


def temporal_rotary(config: ReconConfig, times: int, rows: int, columns: int, device: torch.device) -> Rotary:
    """Rotary tables of a temporal layer.

    Scope "place" turns the whole head width by the time step. Scope "view" also has to tell places
    apart: half the head width turns by the time, a quarter each by row and column.
    """
    steps = torch.arange(times, device=device, dtype=torch.float32)
    head_width = config.width // config.heads
    if config.temporal_scope == "place":
        return Rotary.at(steps[:, None], (head_width,))
    places = grid_positions(rows, columns, config.special_tokens, device)
    positions = torch.cat([steps.repeat_interleave(len(places))[:, None], places.repeat(times, 1)], 1)
    return Rotary.at(positions, (head_width // 2, head_width // 4, head_width // 4))
