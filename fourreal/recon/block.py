"""The pre-norm transformer block that every part of the network is made of, with the released names.

Source: DINOv2 and VGGT (layer scale on both branches; in VGGT also normalised queries and keys).
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from fourreal.recon.rope import Rotary

# CUDA attention kernels put the batch on a grid axis that ends at 65,535.
_LARGEST_BATCH = 32_768


class Attention(nn.Module):
    """Multi-head self-attention; `qk_norm` normalises queries and keys per head."""

    def __init__(self, width: int, heads: int, *, qk_norm: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm = nn.LayerNorm(width // heads) if qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(width // heads) if qk_norm else nn.Identity()
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "B L D"], rotary: Rotary | None = None) -> Float[Tensor, "B L D"]:
        qkv = rearrange(self.qkv(tokens), "b l (three a e) -> three b a l e", three=3, a=self.heads)
        queries, keys, values = self.q_norm(qkv[0]), self.k_norm(qkv[1]), qkv[2]
        if rotary is not None:
            queries, keys = rotary.rotate(queries), rotary.rotate(keys)
        # Under autocast the norms give float32 while the values stay bfloat16.
        parts = [part.to(values.dtype).split(_LARGEST_BATCH) for part in (queries, keys, values)]
        mixed = torch.cat([scaled_dot_product_attention(*part) for part in zip(*parts, strict=True)])
        return self.proj(rearrange(mixed, "b a l e -> b l (a e)"))


class Mlp(nn.Module):
    """Two linear layers with a GELU between."""

    def __init__(self, width: int, hidden: int, out: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, out)

    def forward(self, tokens: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch C"]:
        return self.fc2(self.act(self.fc1(tokens)))


class LayerScale(nn.Module):
    """A learned factor per channel."""

    def __init__(self, width: int, start: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), start))

    def forward(self, tokens: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        return tokens * self.gamma


class Block(nn.Module):
    """Attention and an MLP, each behind a norm and added through a layer scale.

    Args:
        mlp_ratio: hidden width of the MLP over `width`.
        scale: first value of the layer scales; 0 makes the block an identity whose gradient lives.
        epsilon: of the two norms; DINOv2 uses 1e-6, VGGT's own blocks 1e-5.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        mlp_ratio: float = 4.0,
        qk_norm: bool = False,
        scale: float = 0.01,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=epsilon)
        self.attn = Attention(width, heads, qk_norm=qk_norm)
        self.ls1 = LayerScale(width, scale)
        self.norm2 = nn.LayerNorm(width, eps=epsilon)
        self.mlp = Mlp(width, int(width * mlp_ratio), width)
        self.ls2 = LayerScale(width, scale)

    def forward(self, tokens: Float[Tensor, "B L D"], rotary: Rotary | None = None) -> Float[Tensor, "B L D"]:
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens), rotary))
        return tokens + self.ls2(self.mlp(self.norm2(tokens)))
