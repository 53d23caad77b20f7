"""Fused view-time attention by FlexAttention and a block mask: the paper's own implementation.

The block mask is built from frames instead of from all L x L pairs, so it costs next to nothing at any size.

Source: 4Real-Video-V2, section 3.1 ("efficiently implemented using FlexAttention") and Table 4, last two columns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from fourreal.core.errors import InputError
from fourreal.video.token_grid import TokenGrid


def flex_view_time_attention(
    query: Float[Tensor, "B L A E"],
    key: Float[Tensor, "B L A E"],
    value: Float[Tensor, "B L A E"],
    grid: TokenGrid,
    *,
    block_mask: bool = True,
) -> Float[Tensor, "B L A E"]:
    """Exact fused view-time attention with FlexAttention.

    Args:
        block_mask: skip blocks of tokens that no query in a block may see. Without, every pair is computed and
            then masked (Table 4, "wo Block Mask").

    Raises:
        InputError: gradients are wanted on the CPU, where FlexAttention has none.
    """
    tensors = (query, key, value)
    if query.device.type == "cpu":
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            raise InputError("FlexAttention has no backward on the CPU; choose attention 'auto', 'merged' or 'gather'")
        tensors = tuple(tensor.detach() for tensor in tensors)
    heads_first = [rearrange(tensor, "b l a e -> b a l e") for tensor in tensors]
    if block_mask:
        out = _flex(query.device.type)(*heads_first, block_mask=view_time_block_mask(grid, query.device))
    else:
        out = _flex(query.device.type)(*heads_first, score_mod=_masked_score(grid))
    return rearrange(out, "b a l e -> b l a e")


@functools.lru_cache(maxsize=32)
def view_time_block_mask(grid: TokenGrid, device: torch.device) -> BlockMask:
    """The mask of Eq. 1 as blocks that are full, empty, or partial and then checked pair by pair.

    Blocks of 128 tokens where they tile a frame, else of 64.
    """
    size = 128 if grid.frame_tokens % 128 == 0 else 64
    visible, full = _block_kinds(grid, size)
    partial_count, partial_index = _as_lists(visible & ~full)
    full_count, full_index = _as_lists(full)
    tensors = [t[None, None].to(device) for t in (partial_count, partial_index, full_count, full_index)]
    return BlockMask.from_kv_blocks(
        *tensors, BLOCK_SIZE=size, mask_mod=_pair_is_visible(grid), seq_lengths=(grid.tokens, grid.tokens)
    )


def _block_kinds(grid: TokenGrid, size: int) -> tuple[Bool[Tensor, "K K"], Bool[Tensor, "K K"]]:
    """For every pair of blocks: does any pair of tokens see each other, and do all."""
    frames = grid.views * grid.times
    blocks = -(-grid.tokens // size)
    frame_of_token = torch.arange(blocks * size) // grid.frame_tokens
    # Tokens beyond the end belong to an extra frame that sees nothing, so their blocks are never full.
    frame_of_token = frame_of_token.clamp(max=frames)
    holds = torch.zeros(blocks, frames + 1)
    holds[torch.arange(blocks).repeat_interleave(size), frame_of_token] = 1
    view, time = torch.arange(frames) // grid.times, torch.arange(frames) % grid.times
    sees = torch.zeros(frames + 1, frames + 1)
    sees[:-1, :-1] = ((view[:, None] == view) | (time[:, None] == time)).float()
    seen_pairs = holds @ sees @ holds.T
    all_pairs = holds.sum(1)[:, None] * holds.sum(1)
    return seen_pairs > 0, seen_pairs == all_pairs


def _as_lists(blocks: Bool[Tensor, "K K"]) -> tuple[Tensor, Tensor]:
    """Per row: how many columns are set, and their indices first."""
    order = torch.argsort(blocks.int(), dim=1, descending=True, stable=True)
    return blocks.sum(1).to(torch.int32), order.to(torch.int32)


# Lambdas below: FlexAttention traces these callables, and a shape checker wrapped around them cannot be traced.
def _pair_is_visible(grid: TokenGrid) -> Callable[..., Any]:
    times, tokens = grid.times, grid.frame_tokens
    return lambda batch, head, query, key: (
        (query // (times * tokens) == key // (times * tokens)) | (query // tokens % times == key // tokens % times)
    )


@functools.lru_cache(maxsize=32)
def _masked_score(grid: TokenGrid) -> Callable[..., Any]:
    visible = _pair_is_visible(grid)
    return lambda score, batch, head, query, key: torch.where(visible(batch, head, query, key), score, -torch.inf)


@functools.cache
def _flex(device_type: str) -> Callable[..., Any]:
    # Compiled only where there is a fused kernel to gain; eager materialises the scores, which small CPU grids bear.
    return torch.compile(flex_attention, dynamic=False) if device_type == "cuda" else flex_attention
