"""The cross-view layer that earlier multi-view models add before each block of a video model.

Source: 4Real-Video-V2, section 3.1 "Sequential architecture" and Table 4, first column (about +50 % parameters).
"""

from __future__ import annotations

import torch
from diffusers.models.attention import FeedForward
from diffusers.models.normalization import FP32LayerNorm
from diffusers.models.transformers.transformer_wan import WanAttention
from jaxtyping import Float
from torch import Tensor, nn

from fourreal.video.attention_processor import ViewTimeAttnProcessor
from fourreal.video.positions import TokenPlan


class CrossViewLayer(nn.Module):
    """Self-attention over the views of one time, and a feed-forward of half the block's hidden width.

    Together exactly half the matrices of a Wan block (4 D^2 + D F of 8 D^2 + 2 D F), which is the paper's
    "approximately 50 %". Both output projections start at zero, so a fresh layer changes nothing; only one factor
    of each product is zero, so gradients flow.
    """

    def __init__(self, dim: int, ffn_dim: int, num_heads: int, eps: float) -> None:
        super().__init__()
        self.norm1 = FP32LayerNorm(dim, eps, elementwise_affine=False)
        self.attn = WanAttention(dim, num_heads, dim // num_heads, eps, processor=ViewTimeAttnProcessor())
        self.norm2 = FP32LayerNorm(dim, eps, elementwise_affine=False)
        self.ffn = FeedForward(dim, inner_dim=ffn_dim // 2, activation_fn="gelu-approximate")
        self.scale_shift_table = nn.Parameter(torch.empty(1, 6, dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.RMSNorm)):
                module.reset_parameters()
        nn.init.normal_(self.scale_shift_table, std=self.scale_shift_table.shape[-1] ** -0.5)
        for last in (self.attn.to_out[0], self.ffn.net[2]):
            assert isinstance(last, nn.Linear)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(
        self, tokens: Float[Tensor, "B L D"], time: Float[Tensor, "B *L 6 D"], plan: TokenPlan
    ) -> Float[Tensor, "B L D"]:
        """Args: time: modulation from the diffusion time, one for all tokens or one a token, as in the Wan block."""
        table = self.scale_shift_table + time.float()
        shift1, scale1, gate1, shift2, scale2, gate2 = (
            part if part.ndim == 3 else part.unsqueeze(1) for part in table.unbind(-2)
        )
        normed = (self.norm1(tokens.float()) * (1 + scale1) + shift1).type_as(tokens)
        tokens = (tokens.float() + self.attn(normed, None, None, plan) * gate1).type_as(tokens)
        normed = (self.norm2(tokens.float()) * (1 + scale2) + shift2).type_as(tokens)
        return (tokens.float() + self.ffn(normed) * gate2).type_as(tokens)
