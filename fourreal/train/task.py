"""`Task`: what the loop needs of a kind of model to train it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from fourreal.core.grid import VideoGrid
from fourreal.data.training_grid import Mixture, TrainingGrid

SheetWriter = Callable[[Path, VideoGrid], None]
"""Draws a grid into a picture file."""

Losses = dict[str, Float[Tensor, ""]]
"""Losses by name, means over the samples; the one called `loss` is minimised."""


@runtime_checkable
class Task(Protocol):
    """A model and what training it means. Stages are numbers of the recipe's."""

    @property
    def model(self) -> nn.Module: ...

    def blocks(self) -> list[nn.Module]:
        """The units FSDP2 shards one by one."""
        ...

    def trainable(self, stage: int) -> dict[str, nn.Parameter]:
        """Parameters a stage trains, by name."""
        ...

    def stored(self) -> dict[str, nn.Parameter]:
        """Parameters a checkpoint must hold, by name: all that any stage trains or that began at random."""
        ...

    def mixture(self, stage: int) -> Mixture:
        """Where a stage's samples come from."""
        ...

    def losses(self, samples: Sequence[TrainingGrid], stage: int, step: int, indices: Sequence[int]) -> Losses:
        """Losses of some samples of a step; `indices` are their numbers in the whole batch."""
        ...

    def show(self, stage: int, folder: Path | None, write_sheet: SheetWriter | None) -> Mapping[str, float]:
        """Try the model on held-out worlds: figures, and pictures in the folder when there is one."""
        ...

    def export(self, stage: int, out: Path, steps: int, weights: Mapping[str, Tensor]) -> None:
        """Write the model for use, from all its weights as they are on the CPU; rank 0 calls it.

        Called at the end of a run and of every stage, before the next one changes the weights.
        """
        ...
