"""Which device and number format to compute with."""

from __future__ import annotations

from typing import Literal

import torch

from fourreal.core.errors import InputError

DeviceName = Literal["auto", "cpu", "cuda"]
"""auto: a CUDA GPU when there is one, else the CPU."""


def resolve_device(name: str = "auto") -> torch.device:
    """The device a name means. Raises InputError for CUDA where there is none."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"unknown device '{name}'; expected auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise InputError("cuda was asked for but this machine has no usable CUDA GPU; use --device cpu")
        if device.index is not None and device.index >= torch.cuda.device_count():
            raise InputError(f"{name} was asked for but there are {torch.cuda.device_count()} CUDA GPUs")
    elif device.type != "cpu":
        raise InputError(f"device '{name}' is not supported; expected auto, cpu, cuda or cuda:N")
    return device
