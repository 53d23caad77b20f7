"""The patch encoder: DINOv2 with registers, one token per patch of one frame.

Source: Oquab et al. 2023 (DINOv2), Darcet et al. 2024 (registers); key names as released with VGGT.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from fourreal.recon.block import Block
from fourreal.recon.config import ReconConfig

# Mean and standard deviation of sRGB values over ImageNet.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


class PatchProjection(nn.Module):
    """One linear map from a patch's pixels to a token."""

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)

    def forward(self, frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N L D"]:
        return rearrange(self.proj(frames), "n d h w -> n (h w) d")


class PatchEncoder(nn.Module):
    """Vision transformer over the patches of one frame, with a class and register tokens inside."""

    def __init__(self, config: ReconConfig) -> None:
        super().__init__()
        width, side = config.width, config.native_size // config.patch
        self.patch, self.side, self.registers = config.patch, side, config.registers
        self.patch_embed = PatchProjection(config.patch, width)
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * 1e-6)
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + side * side, width) * 0.02)
        self.register_tokens = nn.Parameter(torch.randn(1, config.registers, width) * 1e-6)
        # Used by DINOv2's own training alone; kept so that released weights load strictly.
        self.mask_token = nn.Parameter(torch.zeros(1, width), requires_grad=False)
        self.blocks = nn.ModuleList(
            Block(width, config.heads, mlp_ratio=config.mlp_ratio, scale=1.0, epsilon=1e-6)
            for _ in range(config.encoder_depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N L D"]:
        """Tokens of frames with values in [0, 1]; H and W are multiples of the patch size."""
        rows, columns = frames.shape[-2] // self.patch, frames.shape[-1] // self.patch
        mean, deviation = frames.new_tensor(MEAN)[:, None, None], frames.new_tensor(DEVIATION)[:, None, None]
        patches = self.patch_embed((frames - mean) / deviation)
        count = len(patches)
        positions = self._positions(rows, columns).to(patches.dtype)
        tokens = torch.cat([self.cls_token.expand(count, -1, -1), patches], 1) + positions
        registers = self.register_tokens.expand(count, -1, -1)
        tokens = torch.cat([tokens[:, :1], registers, tokens[:, 1:]], 1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)[:, 1 + self.registers :]

    def _positions(self, rows: int, columns: int) -> Float[Tensor, "1 _ D"]:
        """The learned position table, resampled (bicubic, antialiased) for other image sizes."""
        if (rows, columns) == (self.side, self.side):
            return self.pos_embed
        table = rearrange(self.pos_embed[:, 1:].float(), "one (h w) d -> one d h w", h=self.side)
        table = nn.functional.interpolate(table, size=(rows, columns), mode="bicubic", antialias=True)
        return torch.cat([self.pos_embed[:, :1].float(), rearrange(table, "one d h w -> one (h w) d")], 1)
