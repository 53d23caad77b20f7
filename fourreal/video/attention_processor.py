"""Self-attention of a Wan block on view-time tokens, in any of the papers' patterns, with no parameter of its own."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.transformers.transformer_wan import WanAttnProcessor
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from fourreal.video.positions import AttentionPattern, TokenPlan
from fourreal.video.token_grid import TokenGrid
from fourreal.video.view_time_attention import Implementation, fused_attention

# Where views, times and tokens of a frame go: attention runs within what is called the sequence, the second group.
_SEQUENCE: dict[AttentionPattern, str] = {
    "across_times": "(b v) (t s)",
    "across_views": "(b t) (v s)",
}


class ViewTimeAttnProcessor(WanAttnProcessor):
    """Stock Wan self-attention up to and after the softmax; the softmax is over the tokens a `TokenPlan` names.

    The single-axis patterns and single videos go through diffusers' own dispatch and so follow
    `set_attention_backend`; the fused one has its own choice of implementations.
    """

    def __init__(self, implementation: Implementation = "auto") -> None:
        super().__init__()
        self.implementation: Implementation = implementation

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        attn: Any,
        hidden_states: Float[Tensor, "B L D"],
        encoder_hidden_states: None = None,
        attention_mask: None = None,
        rotary_emb: TokenPlan | None = None,
    ) -> Float[Tensor, "B L D"]:
        assert rotary_emb is not None, "view-time self-attention needs its token plan"
        if getattr(attn, "fused_projections", False):
            query, key, value = attn.to_qkv(hidden_states).chunk(3, dim=-1)
        else:
            query, key, value = attn.to_q(hidden_states), attn.to_k(hidden_states), attn.to_v(hidden_states)
        query, key = attn.norm_q(query), attn.norm_k(key)
        if rotary_emb.view_embedding is not None:
            query = _add_view(query, rotary_emb.view_embedding)
            key = _add_view(key, rotary_emb.view_embedding)
        query, key, value = (rearrange(x, "b l (a e) -> b l a e", a=attn.heads) for x in (query, key, value))
        query = rotate(query, rotary_emb.cos, rotary_emb.sin)
        key = rotate(key, rotary_emb.cos, rotary_emb.sin)
        out = self._attend(query, key, value, rotary_emb).flatten(2, 3).type_as(query)
        return attn.to_out[1](attn.to_out[0](out))

    def _attend(
        self,
        query: Float[Tensor, "B L A E"],
        key: Float[Tensor, "B L A E"],
        value: Float[Tensor, "B L A E"],
        plan: TokenPlan,
    ) -> Float[Tensor, "B L A E"]:
        grid = plan.grid
        if plan.pattern == "fused" and not grid.is_single_video:
            return fused_attention(query, key, value, grid, self.implementation)
        if plan.pattern == "fused":
            return dispatch_attention_fn(query, key, value, backend=self._attention_backend)
        sequence = _SEQUENCE[plan.pattern]
        sizes = _sizes(grid, query.shape[0])
        query, key, value = (rearrange(x, f"b (v t s) a e -> {sequence} a e", **sizes) for x in (query, key, value))
        out = dispatch_attention_fn(query, key, value, backend=self._attention_backend)
        return rearrange(out, f"{sequence} a e -> b (v t s) a e", **sizes)


def rotate(
    tokens: Float[Tensor, "B L A E"], cos: Float[Tensor, "1 L 1 E"], sin: Float[Tensor, "1 L 1 E"]
) -> Float[Tensor, "B L A E"]:
    """Rotate consecutive pairs of channels, in the tables' precision; the result has the tokens' type."""
    first, second = tokens.unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = cos[..., 0::2], sin[..., 1::2]
    pairs = torch.stack([first * cos - second * sin, first * sin + second * cos], dim=-1)
    return pairs.flatten(-2).type_as(tokens)


def _add_view(tokens: Float[Tensor, "B L D"], embedding: Float[Tensor, "V D"]) -> Float[Tensor, "B L D"]:
    by_view = rearrange(tokens, "b (v l) d -> b v l d", v=embedding.shape[0])
    return rearrange(by_view + embedding[:, None].type_as(tokens), "b v l d -> b (v l) d")


def _sizes(grid: TokenGrid, batch: int) -> dict[str, int]:
    return {"b": batch, "v": grid.views, "t": grid.times, "s": grid.frame_tokens}
