"""The most memory a stage held at once."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


class PeakMemory:
    """Peak of this process from `start` on: its resident memory, and what its tensors took on a GPU.

    Where the system cannot start a new measurement, the peak since the process began.
    """

    def start(self) -> None:
        # Not Linux, or not allowed: the peak since the beginning is then the best that is known.
        with contextlib.suppress(OSError):
            _CLEAR.write_text(_RESET_PEAK)
        if _cuda():
            import torch

            torch.cuda.reset_peak_memory_stats()

    def peak_mb(self) -> dict[str, float]:
        """Megabytes (10^6 bytes) of "memory", and of "gpu_memory" where there is one."""
        peaks = {"memory": _resident_peak() / 1e6}
        if _cuda():
            import torch

            peaks["gpu_memory"] = torch.cuda.max_memory_allocated() / 1e6
        return {name: round(value, 1) for name, value in peaks.items()}


def _resident_peak() -> float:
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
    except OSError:
        found = None
    if found:
        return int(found[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _cuda() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized()
