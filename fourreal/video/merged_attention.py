"""Fused view-time attention as three dense calls: row + column - own frame.

A token's keys are those of its row (its view at all times) and its column (all views at its time); the
tokens of its own frame lie in both. With Z the log-sum-exp over a set of keys,

    exp Z = exp Z_row + exp Z_column - exp Z_own
    out   = e^(Z_row - Z) out_row + e^(Z_column - Z) out_column - e^(Z_own - Z) out_own

Because the own frame is part of both, Z is at least the larger of Z_row and Z_column: no weight exceeds 1 and
nothing blows up by cancellation. The backward gives each dense kernel the *merged* out and Z, which makes it
return its keys' share of the whole softmax's gradient; the own frame's share is subtracted once.

Source: 4Real-Video-V2, Eq. 1, computed exactly; the decomposition is ours.
"""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from fourreal.video.attention_kernels import AttentionKernel
from fourreal.video.token_grid import TokenGrid

# Piece, its sign in the sum, and where views, times and tokens of a frame go: batch or sequence.
_PIECES = (
    ("column", 1, "(b t) a (v s)"),
    ("row", 1, "(b v) a (t s)"),
    ("own", -1, "(b v t) a s"),
)


def merged_attention(
    query: Float[Tensor, "B L A E"],
    key: Float[Tensor, "B L A E"],
    value: Float[Tensor, "B L A E"],
    grid: TokenGrid,
    kernel: AttentionKernel,
) -> Float[Tensor, "B L A E"]:
    """Exact fused view-time attention; gradients by a hand-written backward."""
    # The kernels read the head width with stride 1, whatever they are given.
    query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
    return _Merged.apply(query, key, value, grid, kernel)  # pyright: ignore[reportReturnType]


class _Merged(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, grid: TokenGrid, kernel: AttentionKernel
    ) -> Tensor:
        outputs, logsumexps, states = [], [], []
        for _, _, layout in _PIECES:
            pieces = [_split(tensor, layout, grid) for tensor in (query, key, value)]
            output, logsumexp, state = kernel.forward(*pieces)
            outputs.append(_join(output, layout, grid))
            logsumexps.append(_join(logsumexp.unsqueeze(-1), layout, grid))
            states.extend(state)
        merged, logsumexp = _merge(outputs, logsumexps)
        ctx.save_for_backward(query, key, value, merged, logsumexp, *states)
        ctx.grid, ctx.kernel = grid, kernel
        return merged

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, merged, logsumexp, *states = ctx.saved_tensors
        per_piece = len(states) // len(_PIECES)
        gradient = gradients[0].contiguous()
        totals: list[Tensor] = []
        for index, (_, sign, layout) in enumerate(_PIECES):
            split = [_split(t, layout, ctx.grid) for t in (gradient, query, key, value, merged, logsumexp)]
            state = tuple(states[index * per_piece : (index + 1) * per_piece])
            shares = ctx.kernel.backward(split[0], tuple(split[1:4]), split[4], split[5].squeeze(-1), state)
            joined = [_join(share, layout, ctx.grid) for share in shares]
            if not totals:
                # A fresh tensor in the inputs' own layout, to add the other pieces' shares to in place.
                totals = [share.contiguous() for share in joined]
            else:
                for total, share in zip(totals, joined, strict=True):
                    total.add_(share, alpha=sign)
        return (*totals, None, None)


def _split(tensor: Float[Tensor, "B L A E"], layout: str, grid: TokenGrid) -> Tensor:
    return rearrange(tensor, f"b (v t s) a e -> {layout} e", v=grid.views, t=grid.times)


def _join(tensor: Tensor, layout: str, grid: TokenGrid) -> Float[Tensor, "B L A E"]:
    sizes = {"v": grid.views, "t": grid.times, "s": grid.frame_tokens}
    # einops needs exactly the sizes it cannot infer: all of a group but one.
    named = {name: size for name, size in sizes.items() if name in layout}
    return rearrange(tensor, f"{layout} e -> b (v t s) a e", **named)


def _merge(outputs: list[Tensor], logsumexps: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The union's output and log-sum-exp `[B L A 1]` from those of column, row and own frame."""
    largest = torch.maximum(logsumexps[0], logsumexps[1])
    column, row, own = (logsumexp.sub(largest).exp() for logsumexp in logsumexps)
    # At least 1 in exact arithmetic (see above); rounding may say a little less.
    total = (column + row - own).clamp(min=1)
    # Divided by their sum, not exponentiated again: rounding in a large log-sum-exp would scale the output.
    merged = _weighted(outputs[0], column / total)
    merged += _weighted(outputs[1], row / total)
    merged -= _weighted(outputs[2], own / total)
    return merged.to(outputs[0].dtype).contiguous(), largest + total.log()


def _weighted(output: Tensor, weight: Tensor) -> Tensor:
    """`output` times a weight, in the weight's precision; in place where that is its own."""
    return output.mul_(weight) if output.dtype == weight.dtype else output * weight
