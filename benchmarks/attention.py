"""How fast is fused view-time attention, each way of computing it, and how much memory does it take?

    python benchmarks/attention.py [--quick | --sweep] [--device cuda] [--busy] [--json FILE]

One table per grid: forward, forward + backward, peak memory beyond the inputs (and beyond the dense way's mask,
which is kept), the ratio to the dense mask, and the share of the device's measured matrix peak. The share counts
the products that Eq. 1 asks for; a way that computes more than those gets no credit. All ways of a table take turns.

--sweep takes more and more views and times of small frames, for a plot of cost against tokens.
--busy uses one thread and its processor time: on a machine that does other work the wall clock shows the others.
On the CPU in float32 against the goals: merged at most 0.40 of dense forward, 0.45 and 0.70 with backward, half the
memory. On CUDA in bfloat16, also with FlexAttention, with cuDNN and flash under the merged way, on 576-token frames
and for a block as wide as the papers' 11-billion model (hidden 4096, 32 heads).

Source: 4Real-Video-V2, Eq. 1 and Table 4.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from measuring import Call, best_seconds, machine, matmul_flops, peak_extra_bytes, write_rows
from torch import Tensor

from fourreal.core.devices import resolve_device
from fourreal.video.attention_kernels import KernelName
from fourreal.video.flex_view_time import flex_view_time_attention
from fourreal.video.token_grid import TokenGrid
from fourreal.video.view_time_attention import Implementation, fused_attention, view_time_mask

DENSE_BYTES = 8 * 2**30  # the dense way's mask, as the kernels expand it, may take this much


@dataclass(frozen=True)
class Case:
    grid: TokenGrid
    heads: int
    width: int

    def __str__(self) -> str:
        sizes = f"{self.grid.views} views x {self.grid.times} times x {self.grid.frame_tokens} tokens"
        return f"{sizes} = {self.grid.tokens}, {self.heads} heads of {self.width}"

    def flops(self) -> float:
        """Of the forward: two products over the visible pairs."""
        return 4 * self.grid.tokens**2 * (1 - self.grid.sparsity) * self.heads * self.width


CPU = (Case(TokenGrid(8, 8, 64), 6, 64), Case(TokenGrid(8, 4, 256), 6, 64))
CUDA = (
    Case(TokenGrid(8, 8, 64), 12, 128),
    Case(TokenGrid(8, 8, 576), 12, 128),
    Case(TokenGrid(8, 16, 576), 12, 128),
    Case(TokenGrid(8, 8, 576), 32, 128),
    Case(TokenGrid(8, 16, 576), 32, 128),
)
QUICK = (Case(TokenGrid(4, 4, 32), 2, 64),)
SWEEP = tuple(
    Case(TokenGrid(views, times, 64), 6, 64)
    for views, times in ((2, 8), (4, 8), (8, 8), (16, 8), (8, 2), (8, 4), (8, 16))
)


def ways(case: Case, tensors: list[Tensor]) -> dict[str, Call]:
    """Every way to compute it on this device."""
    query, key, value = tensors
    grid, device = case.grid, query.device

    def fused(implementation: Implementation, kernel: KernelName = "auto") -> Call:
        return lambda: fused_attention(query, key, value, grid, implementation, kernel)

    calls: dict[str, Call] = {}
    if grid.tokens**2 * 4 <= DENSE_BYTES:
        view_time_mask(grid, device)  # kept between calls, as it is between the layers of a model
        calls["dense"] = fused("dense")
    calls["gather"] = fused("gather")
    calls["merged"] = fused("merged")
    if device.type == "cuda":
        major = torch.cuda.get_device_capability(device)[0]
        calls["merged, flash"] = fused("merged", "flash")
        if major >= 9:
            calls["merged, cuDNN"] = fused("merged", "cudnn")
        calls["merged, compiled"] = torch.compile(fused("merged"))
        calls["flex"] = lambda: flex_view_time_attention(query, key, value, grid)
        calls["flex, no block mask"] = lambda: flex_view_time_attention(query, key, value, grid, block_mask=False)
    calls["all to all"] = lambda: fused_attention(query, key, value, TokenGrid(1, 1, grid.tokens))
    return calls


def with_backward(call: Call, tensors: list[Tensor]) -> Call:
    weight = torch.randn_like(tensors[0])

    def both() -> None:
        out = call()
        assert isinstance(out, Tensor)
        out.backward(weight)
        for tensor in tensors:
            tensor.grad = None

    return both


def forward_only(call: Call) -> Call:
    def forward() -> None:
        with torch.no_grad():
            call()

    return forward


def measure(case: Case, device: torch.device, repeats: int, *, busy: bool) -> list[dict[str, Any]]:
    """Print one table; its rows."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    shape = (1, case.grid.tokens, case.heads, case.width)
    tensors = [torch.randn(shape, device=device, dtype=dtype).requires_grad_() for _ in range(3)]
    calls = ways(case, tensors)
    forward = {name: forward_only(call) for name, call in calls.items()}
    both = {name: with_backward(call, tensors) for name, call in calls.items()}
    seconds = best_seconds(forward, repeats, device, busy=busy), best_seconds(both, repeats, device, busy=busy)
    memory = [{name: peak_extra_bytes(call, device) for name, call in group.items()} for group in (forward, both)]
    peak = matmul_flops(dtype, device, busy=busy)
    print(f"\n{case}; {dtype}, matrix peak {peak / 1e12:.2f} TFLOP/s")
    _compare(calls)
    print("| way | forward ms | of dense | of peak | MB | of dense | both ms | of dense | of peak | MB | of dense |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name in calls:
        cells = []
        # The backward has five products where the forward has two.
        for time, held, products in zip(seconds, memory, (1, 3.5), strict=True):
            share = products * case.flops() / time[name] / peak
            cells += [f"{time[name] * 1e3:.2f}", _ratio(time, name), f"{share:.2f}"]
            cells += [f"{held[name] / 1e6:.0f}", _ratio(held, name)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    if device.type == "cpu":
        _goals(case, seconds, memory)
    if device.type == "cpu":
        _goals(case, seconds, memory)
    told = {"views": case.grid.views, "times": case.grid.times, "frame_tokens": case.grid.frame_tokens}
    told |= {"heads": case.heads, "width": case.width, "flops": case.flops(), "peak_flops": peak}
    return [
        {
            **told,
            "way": name,
            "forward_seconds": seconds[0][name],
            "both_seconds": seconds[1][name],
            "forward_bytes": memory[0][name],
            "both_bytes": memory[1][name],
        }
        for name in calls
    ]


def _ratio(values: dict[str, float] | dict[str, int], name: str) -> str:
    return f"{values[name] / values['dense']:.2f}" if "dense" in values else "-"


@torch.no_grad()
def _compare(calls: dict[str, Call]) -> None:
    """Largest difference from the gathered result, which only uses public attention without a mask."""
    expected = calls["gather"]()
    assert isinstance(expected, Tensor)
    worst = {}
    for name, call in calls.items():
        out = call()
        assert isinstance(out, Tensor)
        worst[name] = float((out.float() - expected.float()).abs().max())
    print(
        "largest difference:", ", ".join(f"{n} {w:.0e}" for n, w in worst.items() if n not in ("gather", "all to all"))
    )


def _goals(case: Case, seconds: tuple[dict[str, float], ...], memory: list[dict[str, int]]) -> None:
    if case not in CPU:
        return
    limits = (0.40, (0.45, 0.70)[CPU.index(case)], 0.5, 0.5)
    found = [group["merged"] / group["dense"] for group in (*seconds, *memory)]
    names = ("forward", "forward + backward", "memory forward", "memory forward + backward")
    for name, ratio, limit in zip(names, found, limits, strict=True):
        print(f"merged / dense, {name}: {ratio:.2f}, goal {limit:.2f}: {'met' if ratio <= limit else 'MISSED'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small grid, once")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--sweep", action="store_true", help="more and more views and times, for the plots")
    parser.add_argument("--busy", action="store_true", help="one thread, processor time")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()
    device = resolve_device(arguments.device)
    if arguments.busy:
        torch.set_num_threads(1)
    torch.manual_seed(0)
    print(machine(device))
    cases = QUICK if arguments.quick else SWEEP if arguments.sweep else CUDA if device.type == "cuda" else CPU
    rows: list[dict[str, Any]] = []
    for case in cases:
        rows += measure(case, device, 1 if arguments.quick else 5, busy=arguments.busy)
    if arguments.json:
        write_rows(arguments.json, device, rows)


if __name__ == "__main__":
    main()
