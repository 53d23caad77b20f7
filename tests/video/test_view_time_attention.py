"""Fused attention: every implementation against softmax written out, forward and gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask

from fourreal.core.errors import InputError
from fourreal.video.attention_kernels import KERNELS, kernel_for
from fourreal.video.flex_view_time import _pair_is_visible, flex_view_time_attention, view_time_block_mask
from fourreal.video.merged_attention import merged_attention
from fourreal.video.token_grid import TokenGrid
from fourreal.video.view_time_attention import (
    DENSE_UP_TO,
    choose_implementation,
    fused_attention,
    gathered_attention,
    view_time_mask,
)

GRIDS = [
    TokenGrid(3, 9, 2),
    TokenGrid(3, 4, 6),
    TokenGrid(2, 3, 35),
    TokenGrid(5, 1, 8),
    TokenGrid(1, 5, 8),
    TokenGrid(2, 2, 1),
]


def written_out(query: Tensor, key: Tensor, value: Tensor, grid: TokenGrid) -> Tensor:
    """Eq. 1 token by token: no shared code with the package."""
    cells = [(v, t) for v in range(grid.views) for t in range(grid.times) for _ in range(grid.frame_tokens)]
    hidden = torch.tensor([[v != w and t != u for w, u in cells] for v, t in cells])
    logits = torch.einsum("blae,bmae->balm", query, key) / query.shape[-1] ** 0.5
    weights = logits.masked_fill(hidden, -torch.inf).softmax(-1)
    return torch.einsum("balm,bmae->blae", weights, value)


def tokens(grid: TokenGrid, *, dtype: torch.dtype = torch.float64, device: str = "cpu") -> list[Tensor]:
    return [torch.randn(2, grid.tokens, 3, 8, dtype=dtype, device=device, requires_grad=True) for _ in range(3)]


def with_gradients(out: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype, device=out.device).view_as(out)
    return [out.detach(), *torch.autograd.grad((out * weights).sum(), inputs)]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("implementation", ["auto", "dense", "merged", "gather"])
def test_output_and_gradients_equal_the_written_out_softmax(grid: TokenGrid, implementation: str) -> None:
    inputs = tokens(grid)
    expected = with_gradients(written_out(*inputs, grid), inputs)
    got = with_gradients(fused_attention(*inputs, grid, implementation), inputs)
    for ours, reference in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, reference, rtol=0, atol=1e-12)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("block_mask", [True, False])
def test_flex_equals_the_written_out_softmax(grid: TokenGrid, block_mask: bool) -> None:
    inputs = tokens(grid)
    with torch.no_grad():
        got = flex_view_time_attention(*inputs, grid, block_mask=block_mask)
        torch.testing.assert_close(got, written_out(*inputs, grid), rtol=0, atol=1e-12)


def test_flex_refuses_gradients_on_the_cpu() -> None:
    grid = TokenGrid(2, 2, 4)
    with pytest.raises(InputError, match="no backward on the CPU"):
        fused_attention(*tokens(grid), grid, "flex")


@pytest.mark.parametrize("grid", [TokenGrid(3, 4, 6), TokenGrid(2, 3, 100), TokenGrid(2, 2, 128)], ids=str)
def test_block_mask_equals_the_one_flex_builds_from_all_pairs(grid: TokenGrid) -> None:
    ours = view_time_block_mask(grid, torch.device("cpu"))
    theirs = create_block_mask(
        _pair_is_visible(grid), None, None, grid.tokens, grid.tokens, "cpu", BLOCK_SIZE=ours.BLOCK_SIZE
    )
    assert torch.equal(ours.to_dense(), theirs.to_dense())
    for name in ("kv_num_blocks", "full_kv_num_blocks", "q_num_blocks", "full_q_num_blocks"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_sparsity_is_the_masked_share_of_all_pairs(grid: TokenGrid) -> None:
    hidden = 1 - view_time_mask(grid).double().mean().item()
    assert hidden == pytest.approx(1 - (grid.views + grid.times - 1) / (grid.views * grid.times), abs=1e-12)
    assert grid.sparsity == pytest.approx(hidden, abs=1e-12)


def test_one_view_is_plain_attention() -> None:
    grid = TokenGrid(1, 4, 5)
    inputs = tokens(grid)
    plain = torch.nn.functional.scaled_dot_product_attention(*(x.transpose(1, 2) for x in inputs)).transpose(1, 2)
    assert torch.equal(fused_attention(*inputs, grid, "merged"), plain)


def test_merging_survives_logits_that_dwarf_each_other() -> None:
    grid = TokenGrid(3, 3, 4)
    query, _, value = tokens(grid, dtype=torch.float32)
    # Every token prefers itself by far: Z_row, Z_column and Z_own agree to rounding.
    key = (query * 12).detach()
    exact = written_out(query.double(), key.double(), value.double(), grid)
    error = (merged_attention(query, key, value, grid, KERNELS["cpu"]) - exact).abs().max()
    # The rounding of a log-sum-exp as large as the largest logit, and no more.
    largest_logit = float(torch.einsum("blae,bmae->balm", query.detach(), key).max()) / query.shape[-1] ** 0.5
    assert error < 8 * torch.finfo(torch.float32).eps * largest_logit


def test_merged_backward_takes_an_expanded_gradient_and_strided_inputs() -> None:
    grid = TokenGrid(2, 3, 4)
    packed = torch.randn(1, grid.tokens, 3, 8, 3, dtype=torch.float64, requires_grad=True)
    (got,) = torch.autograd.grad(fused_attention(*packed.unbind(-1), grid, "merged").sum(), packed)
    (expected,) = torch.autograd.grad(written_out(*packed.unbind(-1), grid).sum(), packed)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


def test_half_precision_stays_near_float32() -> None:
    grid = TokenGrid(3, 3, 16)
    inputs = tokens(grid, dtype=torch.float32)
    halves = [x.detach().bfloat16().requires_grad_() for x in inputs]
    expected = with_gradients(written_out(*(x.float() for x in halves), grid), halves)
    for ours, reference in zip(with_gradients(fused_attention(*halves, grid, "merged"), halves), expected, strict=True):
        assert ours.dtype == torch.bfloat16
        torch.testing.assert_close(ours.float(), reference.float(), rtol=0.03, atol=0.03)


def test_auto_is_dense_below_the_limit_and_merged_above() -> None:
    cpu, meta = torch.device("cpu"), torch.device("meta")
    assert choose_implementation(TokenGrid(4, 4, DENSE_UP_TO // 16), cpu, torch.float32, 8) == "dense"
    assert choose_implementation(TokenGrid(4, 4, DENSE_UP_TO // 16 + 1), cpu, torch.float32, 8) == "merged"
    assert choose_implementation(TokenGrid(4, 4, DENSE_UP_TO), meta, torch.float32, 8) == "gather"


def test_merged_says_when_it_has_no_kernel() -> None:
    grid = TokenGrid(2, 2, 4)
    with pytest.raises(InputError, match="no kernel for"):
        fused_attention(*tokens(grid, device="meta"), grid, "merged")


@pytest.mark.parametrize(("major", "half"), [(9, "cudnn"), (8, "flash")])
def test_auto_kernel_on_cuda_follows_dtype_and_capability(
    monkeypatch: pytest.MonkeyPatch, major: int, half: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (major, 0))
    choose, cuda = kernel_for.__wrapped__, torch.device("cuda")
    assert choose(cuda, torch.bfloat16, 64).name == half
    assert choose(cuda, torch.bfloat16, 256).name == "flash"
    assert choose(cuda, torch.float32, 64).name == "efficient"
    assert choose(cuda, torch.float64, 64) is None
    assert choose(cuda, torch.bfloat16, 12) is None


@pytest.mark.parametrize("name", ["flash", "cudnn", "efficient"])
def test_cuda_kernels_call_their_operators_with_the_right_arguments(name: str) -> None:
    """On the meta device: operators check argument count and kinds, results have the inputs' shapes."""
    grid = TokenGrid(2, 3, 5)
    inputs = [torch.empty(1, grid.tokens, 2, 64, device="meta", dtype=torch.float16) for _ in range(3)]
    kernel = KERNELS[name]
    pieces = [x.transpose(1, 2) for x in inputs]
    out, logsumexp, state = kernel.forward(*pieces)
    assert out.shape == pieces[0].shape
    assert logsumexp.shape == pieces[0].shape[:-1]
    gradients = kernel.backward(out, tuple(pieces), out, logsumexp, state)
    assert [g.shape for g in gradients] == [x.shape for x in pieces]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize(
    ("implementation", "kernel", "dtype"),
    [
        ("merged", "efficient", torch.float32),
        ("merged", "flash", torch.bfloat16),
        ("merged", "cudnn", torch.bfloat16),
        ("flex", "auto", torch.bfloat16),
        ("gather", "auto", torch.float64),
    ],
)
def test_on_cuda_each_equals_the_written_out_softmax(implementation: str, kernel: str, dtype: torch.dtype) -> None:
    if kernel == "cudnn" and torch.cuda.get_device_capability()[0] < 9:
        pytest.skip("cuDNN attention needs compute capability 9")
    grid = TokenGrid(3, 4, 48)
    inputs = [torch.randn(1, grid.tokens, 2, 64, dtype=dtype, device="cuda", requires_grad=True) for _ in range(3)]
    doubles = [x.detach().double().cpu().requires_grad_() for x in inputs]
    expected = with_gradients(written_out(*doubles, grid), doubles)
    got = with_gradients(fused_attention(*inputs, grid, implementation, kernel), inputs)
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-4, torch.bfloat16: 4e-2}[dtype]
    for ours, reference in zip(got, expected, strict=True):
        scale = reference.abs().max()
        torch.testing.assert_close(ours.cpu().double() / scale, reference / scale, rtol=0, atol=tolerance)


def test_gather_lists_each_visible_frame_once() -> None:
    grid = TokenGrid(3, 3, 2)
    query = torch.zeros(1, grid.tokens, 1, 8)
    # With equal logits the output is the mean of the visible values: frame f holds the value f.
    value = (torch.arange(grid.tokens) // grid.frame_tokens).float()[None, :, None, None].expand(1, -1, 1, 8)
    out = gathered_attention(query, query, value.contiguous(), grid)[0, :, 0, 0]
    row_and_column = [0 + 1 + 2 + 3 + 6, 0 + 1 + 2 + 4 + 7]
    assert out[:4].tolist() == pytest.approx([row_and_column[0] / 5] * 2 + [row_and_column[1] / 5] * 2)
