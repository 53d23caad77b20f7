"""Optimisers by config, the learning rate of every step, and the running average of the weights."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fourreal.train.muon import Muon
from fourreal.train.recipe import OptimiserConfig

SMALLEST_MATRIX = 16
FINAL_SHARE = 0.01
_IN_A_BLOCK = re.compile(r"(^|\.)(\w*blocks?|layers|trunk|cross_view)\.\d+\.")


@dataclass(frozen=True)
class Optimisers:
    """The optimisers of a stage, each parameter in one of them, by name."""

    parts: tuple[torch.optim.Optimizer, ...]
    base_lrs: tuple[float, ...]
    names: dict[Tensor, str]

    def step(self) -> None:
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def set_lr(self, share: float) -> None:
        """Use this share of every optimiser's own learning rate."""
        for part, lr in zip(self.parts, self.base_lrs, strict=True):
            for group in part.param_groups:
                group["lr"] = lr * share

    def tensors(self) -> dict[str, Tensor]:
        """All state as `name/key`; there is none before the first step."""
        return {
            f"{self.names[parameter]}/{key}": value
            for part in self.parts
            for parameter, state in part.state.items()
            for key, value in state.items()
        }


def build_optimisers(parameters: Mapping[str, nn.Parameter], config: OptimiserConfig) -> Optimisers:
    """One AdamW, or Muon for the blocks' matrices and AdamW for everything else."""
    shapes = (2, 4) if config.convolutions else (2,)
    matrices = {
        name: p for name, p in parameters.items() if config.kind == "muon" and _is_block_matrix(name, p, shapes)
    }
    others = [p for name, p in parameters.items() if name not in matrices]
    parts: list[torch.optim.Optimizer] = []
    lrs: list[float] = []
    if matrices:
        parts.append(Muon(matrices.values(), config.muon_lr, config.momentum, config.weight_decay))
        lrs.append(config.muon_lr)
    if others:
        parts.append(torch.optim.AdamW(others, config.lr, config.betas, weight_decay=config.weight_decay))
        lrs.append(config.lr)
    return Optimisers(tuple(parts), tuple(lrs), {p: name for name, p in parameters.items()})


def _is_block_matrix(name: str, parameter: nn.Parameter, dimensions: tuple[int, ...]) -> bool:
    smallest = min(parameter.shape[:2]) if parameter.ndim >= 2 else 0
    return parameter.ndim in dimensions and smallest >= SMALLEST_MATRIX and bool(_IN_A_BLOCK.search(name))


def lr_scale(config: OptimiserConfig, step: int, steps: int) -> float:
    """Share of the full learning rate at a step of a stage: rises linearly, stays, falls along a cosine."""
    share = min(1.0, (step + 1) / max(config.warmup, 1))
    decaying = round(config.decay * steps)
    if decaying and step >= steps - decaying:
        progress = min(1.0, (step - (steps - decaying)) / decaying)
        share *= FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * progress))
    return share


class RunningAverage:
    """An exponential average of some parameters.

    Early on the average is young: its decay is at most `(1 + updates) / (10 + updates)`, so that it forgets the
    random start.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.values = {name: p.detach().clone() for name, p in parameters.items()} if decay > 0 else {}

    @torch.no_grad()
    def update(self, parameters: Mapping[str, nn.Parameter]) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in self.values.items():
            value.lerp_(parameters[name].detach(), 1 - decay)

    @contextlib.contextmanager
    def in_place(self, parameters: Mapping[str, nn.Parameter]) -> Iterator[None]:
        """Have the model use the average while the block runs."""
        with torch.no_grad():
            kept = {name: parameters[name].detach().clone() for name in self.values}
            for name, value in self.values.items():
                parameters[name].copy_(value)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in kept.items():
                    parameters[name].copy_(value)
