"""The backbone: frames to tokens, by alternating attention within frames and across views.

Every frame carries a camera token and register tokens; those of the first view differ from those of
all others, which is how the first view defines the world's coordinates. Frame and global
attention never leave one time; only the temporal layers do.

Source: VGGT, section 3.2 (alternating attention); 4Real-Video-V2, section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fourreal.recon.block import Block
from fourreal.recon.config import ReconConfig
from fourreal.recon.encoder import PatchEncoder
from fourreal.recon.rope import Rotary, grid_positions
from fourreal.recon.temporal import TemporalLayer, temporal_rotary


@dataclass(frozen=True)
class Tokens:
    """What the backbone hands to the heads; never leaves this room.

    Attributes:
        layers: tokens after the pairs asked for, frame and global halves side by side on channels;
            per frame the camera token, the registers, then the patches row by row.
        last: the same after the last pair.
    """

    layers: tuple[Float[Tensor, "B V T L D2"], ...]
    last: Float[Tensor, "B V T L D2"]

    @property
    def cameras(self) -> Float[Tensor, "B V T D2"]:
        """The camera tokens after the blocks."""
        return self.last[:, :, :, 0]


class Aggregator(nn.Module):
    """Patch encoder, frame blocks, global blocks and temporal layers.

    Attributes:
        checkpointing: recompute blocks in the backward pass instead of keeping their activations.
    """

    def __init__(self, config: ReconConfig) -> None:
        super().__init__()
        self.config = config
        self.checkpointing = False
        self.patch_embed = PatchEncoder(config)
        self.camera_token = nn.Parameter(torch.randn(1, 2, 1, config.width) * config.token_init_std)
        self.register_token = nn.Parameter(torch.randn(1, 2, config.registers, config.width) * config.token_init_std)
        self.frame_blocks = self._blocks()
        self.global_blocks = self._blocks()
        layers = {"none": 0, "pair": config.depth, "block": 2 * config.depth}[config.temporal]
        self.temporal_blocks = nn.ModuleList(TemporalLayer(config) for _ in range(layers))

    def _blocks(self) -> nn.ModuleList:
        config = self.config
        blocks = [
            Block(config.width, config.heads, mlp_ratio=config.mlp_ratio, qk_norm=True, scale=config.layer_scale)
            for _ in range(config.depth)
        ]
        for block in blocks:
            for norm, gain in ((block.attn.q_norm, config.query_gain), (block.attn.k_norm, config.key_gain)):
                assert isinstance(norm, nn.LayerNorm)
                nn.init.constant_(norm.weight, gain)
        return nn.ModuleList(blocks)

    def forward(
        self, frames: Float[Tensor, "B V T 3 H W"], keep: Sequence[int] | None = None, *, with_temporal: bool = True
    ) -> Tokens:
        """Tokens of a grid.

        Args:
            frames: sRGB in [0, 1]; H and W are multiples of the patch size.
            keep: pairs whose tokens are wanted; the dense heads' when left out.
            with_temporal: run the temporal layers; without them the backbone is as it was before they were added.
        """
        config = self.config
        batch, views, times = frames.shape[:3]
        rows, columns = frames.shape[-2] // config.patch, frames.shape[-1] // config.patch
        places = Rotary.at(
            grid_positions(rows, columns, config.special_tokens, frames.device),
            (config.width // config.heads // 2,) * 2,
        )
        everywhere = places.repeat(views)
        moments = temporal_rotary(config, times, rows, columns, frames.device)
        temporal = iter(self.temporal_blocks)
        tokens = self._first_tokens(frames)
        kept: dict[int, Tensor] = {}
        wanted = config.head_layers if keep is None else tuple(keep)
        for index in range(config.depth):
            within = rearrange(tokens, "b v t l d -> (b v t) l d")
            within = self._run(self.frame_blocks[index], within, places)
            within = rearrange(within, "(b v t) l d -> b v t l d", b=batch, v=views)
            if with_temporal and config.temporal == "block":
                within = self._run(next(temporal), within, moments)
            across = rearrange(within, "b v t l d -> (b t) (v l) d")
            across = self._run(self.global_blocks[index], across, everywhere)
            tokens = rearrange(across, "(b t) (v l) d -> b v t l d", b=batch, v=views)
            if with_temporal and config.temporal != "none":
                tokens = self._run(next(temporal), tokens, moments)
            if index in wanted or index == config.depth - 1:
                kept[index] = torch.cat([within, tokens], -1)
        return Tokens(tuple(kept[index] for index in wanted), kept[config.depth - 1])

    def _first_tokens(self, frames: Float[Tensor, "B V T 3 H W"]) -> Float[Tensor, "B V T L D"]:
        batch, views, times = frames.shape[:3]
        patches = self.patch_embed(rearrange(frames, "b v t c h w -> (b v t) c h w"))
        patches = rearrange(patches, "(b v t) l d -> b v t l d", b=batch, v=views)
        special = torch.cat([self.camera_token, self.register_token], 2)[0]
        kinds = torch.tensor([0] + [1] * (views - 1), device=frames.device)
        special = special[kinds][None, :, None].expand(batch, -1, times, -1, -1)
        return torch.cat([special.to(patches.dtype), patches], 3)

    def _run(self, block: nn.Module, tokens: Tensor, rotary: Rotary) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(block, tokens, rotary, use_reentrant=False)
        return block(tokens, rotary)
