"""What a device can do: memory, and how fast it multiplies matrices."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from fourreal.core.devices import resolve_device
from fourreal.core.errors import InputError

DATA_SHEET_SHARE, MEASURED_SHARE = 0.4, 0.45


@dataclass(frozen=True)
class DeviceSpec:
    """A device to plan for.

    Attributes:
        memory_gb: 10^9 bytes.
        tflops: 10^12 operations a second in matrix products; bfloat16 on GPUs, float32 on CPUs.
        share: of that which a transformer reaches.
    """

    name: str
    memory_gb: float
    tflops: float
    share: float = DATA_SHEET_SHARE
    is_cpu: bool = False


# Dense bfloat16 with float32 accumulation, from the makers' data sheets.
GPUS = {
    "rtx-3090": DeviceSpec("rtx-3090", 24, 71),
    "rtx-4090": DeviceSpec("rtx-4090", 24, 165),
    "rtx-5090": DeviceSpec("rtx-5090", 32, 210),
    "a6000": DeviceSpec("a6000", 48, 155),
    "l40s": DeviceSpec("l40s", 48, 362),
    "a100-40gb": DeviceSpec("a100-40gb", 40, 312),
    "a100-80gb": DeviceSpec("a100-80gb", 80, 312),
    "h100": DeviceSpec("h100", 80, 989),
    "h200": DeviceSpec("h200", 141, 989),
}


def device_spec(name: str = "auto") -> DeviceSpec:
    """A GPU by name, or this machine's device, measured.

    Args:
        name: one of `GPUS`, or auto, cpu, cuda or cuda:N for this machine.

    Raises:
        InputError: an unknown name, or CUDA where there is none.
    """
    if name.lower() in GPUS:
        return GPUS[name.lower()]
    try:
        device = resolve_device(name)
    except InputError as error:
        raise InputError(f"{error}; or plan for one of {', '.join(GPUS)}") from error
    return DeviceSpec(
        name=_device_name(device),
        memory_gb=memory_gb(device),
        tflops=measured_tflops(device),
        share=MEASURED_SHARE,
        is_cpu=device.type == "cpu",
    )


def memory_gb(device: torch.device) -> float:
    """All memory of a GPU; for the CPU the machine's, or what the process's group may use."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory / 1e9
    import psutil

    total = psutil.virtual_memory().total
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        total = min(total, int(text))
    return total / 1e9


def measured_tflops(device: torch.device) -> float:
    """Rate of one large matrix product, the best of a few; about 0.2 s on a small CPU."""
    size, dtype = (8192, torch.bfloat16) if device.type == "cuda" else (1536, torch.float32)
    a = torch.randn(size, size, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(4):
        started = time.perf_counter()
        (a @ a)[0, 0].item()
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best / 1e12


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"this CPU ({torch.get_num_threads()} threads)"
