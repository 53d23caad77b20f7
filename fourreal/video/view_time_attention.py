"""Fused view-time attention: a token attends to all tokens of its own view or its own time, in one softmax.

Four implementations of the same attention mask; they differ in speed and memory only.

Source: 4Real-Video-V2, section 3.1, Eq. 1. The equation multiplies logits by a 0/1 mask; taken literally a
masked key would keep the weight e^0, so masked logits are minus infinity here.
"""

from __future__ import annotations

import functools
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.video.attention_kernels import KERNELS, KernelName, kernel_for
from fourreal.video.flex_view_time import flex_view_time_attention
from fourreal.video.merged_attention import merged_attention
from fourreal.video.token_grid import TokenGrid

Implementation = Literal["auto", "dense", "merged", "flex", "gather"]
"""auto: chosen by `choose_implementation`. dense: one call with an L x L mask; the oracle, for small grids.
merged: row + column - own frame, three unmasked calls; fastest on large grids. flex: FlexAttention with a block
mask; CUDA, forward only on the CPU. gather: each row's keys copied together; plain autograd, any device and dtype."""

DENSE_UP_TO = 1024
"""Tokens up to which one masked call is about as fast as the merged ones, and simpler (benchmarks/attention.py)."""


def fused_attention(
    query: Float[Tensor, "B L A E"],
    key: Float[Tensor, "B L A E"],
    value: Float[Tensor, "B L A E"],
    grid: TokenGrid,
    implementation: Implementation = "auto",
    kernel: KernelName = "auto",
) -> Float[Tensor, "B L A E"]:
    """SoftMax(Q K^T / sqrt(E) where visible, else -inf) V over tokens of the same view or the same time.

    Args:
        query, key, value: tokens in the order (v t s), heads and head width last.
        grid: how the L tokens are laid out.
        kernel: the dense kernel behind "merged".

    Raises:
        InputError: an implementation is named that this device or dtype does not have.

    Source: 4Real-Video-V2, Eq. 1.
    """
    assert query.shape[1] == grid.tokens, f"{query.shape[1]} tokens for {grid}"
    if grid.is_single_video:
        return _plain(query, key, value)
    if implementation == "auto":
        implementation = choose_implementation(grid, query.device, query.dtype, query.shape[-1])
    if implementation == "dense":
        return _plain(query, key, value, view_time_mask(grid, query.device))
    if implementation == "flex":
        return flex_view_time_attention(query, key, value, grid)
    if implementation == "gather":
        return gathered_attention(query, key, value, grid)
    chosen = kernel_for(query.device, query.dtype, query.shape[-1]) if kernel == "auto" else KERNELS[kernel]
    if chosen is None:
        raise InputError(
            f"merged attention has no kernel for {query.dtype} with heads {query.shape[-1]} wide on "
            f"{query.device.type}; choose attention 'auto' or 'gather'"
        )
    return merged_attention(query, key, value, grid, chosen)


@torch.compiler.assume_constant_result
@functools.lru_cache(maxsize=64)
def choose_implementation(
    grid: TokenGrid, device: torch.device, dtype: torch.dtype, head_width: int
) -> Literal["dense", "merged", "gather"]:
    """The rule behind "auto".

    Up to `DENSE_UP_TO` tokens dense, above it merged, and gather where no kernel tells its log-sum-exp
    (float64 on CUDA, other devices).
    """
    if grid.tokens <= DENSE_UP_TO:
        return "dense"
    return "merged" if kernel_for(device, dtype, head_width) is not None else "gather"


@functools.lru_cache(maxsize=8)
def view_time_mask(grid: TokenGrid, device: torch.device | None = None) -> Bool[Tensor, "L L"]:
    """The mask M of Eq. 1: True where query and key share the view or the time. L x L, so for small grids."""
    frame = torch.arange(grid.tokens, device=device) // grid.frame_tokens
    view, time = frame // grid.times, frame % grid.times
    return (view[:, None] == view) | (time[:, None] == time)


def gathered_attention(
    query: Float[Tensor, "B L A E"],
    key: Float[Tensor, "B L A E"],
    value: Float[Tensor, "B L A E"],
    grid: TokenGrid,
) -> Float[Tensor, "B L A E"]:
    """Fused attention one view at a time, the visible frames' keys copied side by side; plain autograd."""
    by_frame = "b (f s) a e -> b f s a e"
    keys = rearrange(key, by_frame, s=grid.frame_tokens)
    values = rearrange(value, by_frame, s=grid.frame_tokens)
    queries = rearrange(query, "b (v t s) a e -> v (b t) s a e", v=grid.views, t=grid.times)
    rows = []
    for view, row in enumerate(queries):
        frames = _visible_frames(grid, view, query.device)
        side_by_side = "b t k s a e -> (b t) (k s) a e"
        rows.append(_plain(row, rearrange(keys[:, frames], side_by_side), rearrange(values[:, frames], side_by_side)))
    return rearrange(torch.stack(rows), "v (b t) s a e -> b (v t s) a e", t=grid.times)


def _visible_frames(grid: TokenGrid, view: int, device: torch.device) -> Int[Tensor, "T K"]:
    """Frame indices visible from each time of a view: its row, then its column without the own frame."""
    times = torch.arange(grid.times, device=device)
    others = torch.tensor([other for other in range(grid.views) if other != view], device=device, dtype=torch.long)
    row = (view * grid.times + times).expand(grid.times, -1)
    column = others * grid.times + times[:, None]
    return torch.cat([row, column], dim=1)


def _plain(
    query: Float[Tensor, "B L A E"],
    key: Float[Tensor, "B M A E"],
    value: Float[Tensor, "B M A E"],
    mask: Bool[Tensor, "L M"] | None = None,
) -> Float[Tensor, "B L A E"]:
    heads_first = [rearrange(tensor, "b l a e -> b a l e") for tensor in (query, key, value)]
    return rearrange(F.scaled_dot_product_attention(*heads_first, attn_mask=mask), "b a l e -> b l a e")
