"""Weights and inputs that depend on names and shapes alone, so that anyone can rebuild them.

A pretrained checkpoint need not be downloaded to check that this network computes what the released
one does: `data/vggt_1b_golden.safetensors` holds what the released code answers with exactly these
weights and inputs. Every tensor is normal noise seeded by the CRC-32 of its name, then scaled by
kind; `data/vggt_1b_keys.tsv` lists the released names and shapes.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

DATA = Path(__file__).parent / "data"


def weight(name: str, shape: tuple[int, ...]) -> Tensor:
    """Layer scales near 0.5, norm weights near 1, matrices over sqrt(fan in), the rest small."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, dtype=np.float32)
    kind = name.rpartition(".")[2]
    if kind == "gamma":
        noise = 0.5 + 0.1 * noise
    elif kind == "weight" and len(shape) == 1:
        noise = 1.0 + 0.1 * noise
    elif kind in ("weight", "in_proj_weight") and len(shape) > 1:
        noise = noise / np.sqrt(int(np.prod(shape[1:])), dtype=np.float32)
    else:
        noise = 0.1 * noise
    return torch.from_numpy(noise.astype(np.float32))


def weights_like(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight(name, tuple(value.shape)) for name, value in state_dict.items()}


def picture(name: str, shape: tuple[int, ...]) -> Tensor:
    """Values in [0, 1)."""
    return torch.from_numpy(np.random.default_rng(zlib.crc32(name.encode())).random(shape, dtype=np.float32))


def released_shapes() -> dict[str, tuple[int, ...]]:
    """Name to shape of every tensor of the released VGGT-1B."""
    rows = [line.split("\t") for line in (DATA / "vggt_1b_keys.tsv").read_text().splitlines()]
    return {name: tuple(int(side) for side in shape.split("x")) for name, shape, *_ in rows}


def relative_error(answer: Tensor, truth: Tensor) -> float:
    return float((answer - truth).norm() / truth.norm())
