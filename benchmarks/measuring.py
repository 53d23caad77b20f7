"""Seconds and bytes of a call, on the CPU and on CUDA, for the benchmarks beside this file."""

from __future__ import annotations

import json
import math
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from fourreal.core.atomic import atomic_file

Call = Callable[[], object]
LOAD_BEFORE = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
"""What the machine was busy with before this process began."""


def best_seconds(calls: Mapping[str, Call], repeats: int, device: torch.device, *, busy: bool) -> dict[str, float]:
    """Least time of each call; they take turns, so that all meet the same weather.

    Args:
        busy: count this thread's processor time instead of the wall's; for one thread on a machine that also does
            other work.
    """
    for call in calls.values():
        call()
    best = dict.fromkeys(calls, math.inf)
    for _ in range(repeats):
        for name, call in calls.items():
            best[name] = min(best[name], _seconds(call, device, busy))
    return best


def _seconds(call: Call, device: torch.device, busy: bool) -> float:
    if device.type == "cuda":
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize(device)
        start.record()
        call()
        stop.record()
        torch.cuda.synchronize(device)
        return start.elapsed_time(stop) / 1e3
    clock = time.process_time if busy else time.perf_counter
    started = clock()
    call()
    return clock() - started


def peak_extra_bytes(call: Call, device: torch.device) -> int:
    """Most memory the call held at once beyond what was held before it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        call()
    # Every allocation and release of the process's tensors, buffers inside operators included.
    assert recorded.profiler is not None
    assert recorded.profiler.kineto_results is not None
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()  # pyright: ignore[reportAttributeAccessIssue]
        peak = max(peak, held)
    return peak


def counted_flops(call: Call) -> float:
    """Operations of the products, convolutions and attentions in a call, by their shapes; nothing is computed.

    The call has to make its tensors itself.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

    def attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return sdpa_flop_count(query, key, value)

    # The CPU's attention is missing from torch's own list.
    extra = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention}
    with FakeTensorMode(), FlopCounterMode(display=False, custom_mapping=extra) as counter, torch.no_grad():
        call()
    return counter.get_total_flops()


def matmul_flops(dtype: torch.dtype, device: torch.device, *, busy: bool) -> float:
    """Floating-point operations a second of one large matrix product: the peak that this device shows."""
    side = 8192 if device.type == "cuda" else 1024
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    seconds = best_seconds({"matmul": lambda: left @ right}, 10, device, busy=busy)["matmul"]
    return 2 * side**3 / seconds


def write_rows(path: Path, device: torch.device, rows: Sequence[Mapping[str, Any]]) -> None:
    """The rows of a benchmark's tables and what they were measured on, for `docs/write_speed.py`."""
    said = {
        "command": shlex.join(["python", *sys.argv]),
        "machine": machine(device),
        "device": device.type,
        "load_before": round(LOAD_BEFORE, 2),
        "date": datetime.now(UTC).date().isoformat(),
        "rows": list(rows),
    }
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def machine(device: torch.device) -> str:
    """One line on what the figures were measured on."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    threads = f"{torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}"
    return f"{os.cpu_count()} CPU cores, {threads}, load {LOAD_BEFORE:.1f} before, torch {torch.__version__}"
