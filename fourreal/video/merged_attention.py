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

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, autograd

from fourreal.video.attention_kernels import AttentionKernel
from fourreal.video.token_grid import TokenGrid

# Where batch, views, times and tokens of a frame go in each piece. Only columns have to be copied together.
_ROW, _COLUMN, _OWN = "(b v) a (t s)", "(b t) a (v s)", "(b v t) a s"

CHUNKS = 4
"""Columns are independent of each other, and so are frames; what they need beside the inputs is held for so small a
share of them at a time."""


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


class _Merged(autograd.Function):
    """Inside, tensors are views `[b v t s a e]` of flat sequences, or of what a kernel returned."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, grid: TokenGrid, kernel: AttentionKernel
    ) -> Tensor:
        inputs = [_unflatten(tensor, grid) for tensor in (query, key, value)]
        row, row_logsumexp, *row_state = _attend(kernel, inputs, _ROW)
        own, own_logsumexp, *own_state = _attend(kernel, inputs, _OWN)
        states = [*row_state, *own_state]
        for times in _chunks(grid.times):
            column, column_logsumexp, *state = _attend(kernel, [x[:, :, times] for x in inputs], _COLUMN)
            states += state
            outputs = (row[:, :, times], column, own[:, :, times])
            logsumexps = (row_logsumexp[:, :, times], column_logsumexp, own_logsumexp[:, :, times])
            # From here on `row` holds the merged result.
            row[:, :, times], row_logsumexp[:, :, times] = _merge(outputs, logsumexps)
        merged, logsumexp = _flatten(row), _flatten(row_logsumexp)
        ctx.save_for_backward(query, key, value, merged, logsumexp, *states)
        ctx.grid, ctx.kernel = grid, kernel
        return merged

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        grid, kernel = ctx.grid, ctx.kernel
        query, key, value, merged, logsumexp, *states = ctx.saved_tensors
        flat = (gradients[0].contiguous(), query, key, value, merged, logsumexp)
        tensors = [_unflatten(tensor, grid) for tensor in flat]
        columns = _chunks(grid.times)
        per_call = len(states) // (2 + len(columns))
        row_state, own_state, *column_states = (
            tuple(states[call * per_call : (call + 1) * per_call]) for call in range(2 + len(columns))
        )
        totals = _attend_backward(kernel, tensors, _ROW, row_state)
        for views in _chunks(grid.views):
            part = [total[:, views] for total in totals]
            _add(part, _attend_backward(kernel, [x[:, views] for x in tensors], _OWN, own_state), sign=-1)
        for times, state in zip(columns, column_states, strict=True):
            part = [total[:, :, times] for total in totals]
            _add(part, _attend_backward(kernel, [x[:, :, times] for x in tensors], _COLUMN, state), sign=1)
        return (*(_flatten(total) for total in totals), None, None)


def _attend(kernel: AttentionKernel, inputs: list[Tensor], layout: str) -> tuple[Tensor, ...]:
    """Output and log-sum-exp `[b v t s a 1]` of one piece, and the kernel's random state."""
    output, logsumexp, state = kernel.forward(*(_piece(tensor, layout) for tensor in inputs))
    return _whole(output, layout, inputs[0]), _whole(logsumexp.unsqueeze(-1), layout, inputs[0]), *state


def _attend_backward(
    kernel: AttentionKernel, tensors: list[Tensor], layout: str, state: tuple[Tensor, ...]
) -> list[Tensor]:
    """One piece's share of the gradients of query, key and value."""
    gradient, query, key, value, merged, logsumexp = (_piece(tensor, layout) for tensor in tensors)
    shares = kernel.backward(gradient, (query, key, value), merged, logsumexp.squeeze(-1), state)
    return [_whole(share, layout, tensors[0]) for share in shares]


def _add(totals: list[Tensor], shares: list[Tensor], sign: int) -> None:
    for total, share in zip(totals, shares, strict=True):
        total.add_(share, alpha=sign)


def _merge(outputs: tuple[Tensor, ...], logsumexps: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Output and log-sum-exp of the union, from those of row, column and own frame."""
    largest = logsumexps[0].maximum(logsumexps[1])
    row, column, own = (logsumexp.sub(largest).exp() for logsumexp in logsumexps)
    # At least 1 in exact arithmetic (see above); rounding may say a little less.
    total = (row + column - own).clamp(min=1)
    # Divided by their sum, not exponentiated again: rounding in a large log-sum-exp would scale the output.
    merged = outputs[0] * (row / total)
    merged += outputs[1] * (column / total)
    merged -= outputs[2] * (own / total)
    return merged, largest + total.log()


def _chunks(length: int) -> list[slice]:
    size = -(-length // CHUNKS)
    return [slice(start, start + size) for start in range(0, length, size)]


def _unflatten(tensor: Tensor, grid: TokenGrid) -> Tensor:
    return rearrange(tensor, "b (v t s) a e -> b v t s a e", v=grid.views, t=grid.times)


def _flatten(tensor: Tensor) -> Tensor:
    return rearrange(tensor, "b v t s a e -> b (v t s) a e").contiguous()


def _piece(tensor: Tensor, layout: str) -> Tensor:
    return rearrange(tensor, f"b v t s a e -> {layout} e")


def _whole(tensor: Tensor, layout: str, like: Tensor) -> Tensor:
    """The inverse of `_piece`, always a view."""
    sizes = dict(zip("bvts", like.shape[:4], strict=True))
    return rearrange(tensor, f"{layout} e -> b v t s a e", **sizes)
