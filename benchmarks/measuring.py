"""Seconds and bytes of a call, on the CPU and on CUDA, for the benchmarks beside this file."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping

import torch
from torch.profiler import ProfilerActivity, profile

Call = Callable[[], object]


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


def matmul_flops(dtype: torch.dtype, device: torch.device, *, busy: bool) -> float:
    """Floating-point operations a second of one large matrix product: the peak that this device shows."""
    side = 8192 if device.type == "cuda" else 1024
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    seconds = best_seconds({"matmul": lambda: left @ right}, 10, device, busy=busy)["matmul"]
    return 2 * side**3 / seconds


def machine(device: torch.device) -> str:
    """One line on what the figures were measured on."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{os.cpu_count()} CPU cores, {torch.get_num_threads()} threads{load}, torch {torch.__version__}"
