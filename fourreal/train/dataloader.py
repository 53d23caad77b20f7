"""Samples of step after step, made by spawned workers ahead of need or in this process.

Workers draw what to show; pixels are rendered by the workers too where training is on the CPU, and by this
process on the GPU where it has one. Which worker or rank makes a sample changes nothing in it.
"""

from __future__ import annotations

import pickle
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from fourreal.core.errors import InputError
from fourreal.data.training_grid import Mixture, TrainingGrid
from fourreal.train.parallel import Processes

PREFETCH = 4


@dataclass(frozen=True)
class MicroBatch:
    """Samples to take at once, and their numbers in the step's batch."""

    samples: list[TrainingGrid]
    indices: tuple[int, ...]


def own_indices(batch: int, micro_batch: int, processes: Processes) -> list[tuple[int, ...]]:
    """Which samples of a step this process takes, in micro-batches of one size.

    Raises:
        InputError: the batch does not divide that way.
    """
    micro = min(micro_batch, max(1, batch // processes.count))
    if batch % (micro * processes.count):
        raise InputError(
            f"a batch of {batch} does not divide into micro-batches of {micro} on {processes.count} processes; "
            "change --micro-batch or the number of processes"
        )
    rounds = batch // (micro * processes.count)
    starts = [(turn * processes.count + processes.rank) * micro for turn in range(rounds)]
    return [tuple(range(start, start + micro)) for start in starts]


@dataclass(frozen=True)
class _Steps(Dataset):
    """Drafts or samples of a step, by the step's number in its stage."""

    mixture: Mixture
    indices: tuple[int, ...]
    render: bool

    def __getitem__(self, step: int) -> Any:
        try:
            drafts = [self.mixture.draft(step, index) for index in self.indices]
            # As bytes: by themselves, workers pass every little tensor of a world as an open file of its own.
            return pickle.dumps(self.mixture.render(drafts) if self.render else drafts)
        except InputError as error:
            return error  # raised where the user sees it, without a worker's traceback


def feed(
    mixture: Mixture, steps: Sequence[int], micro_batches: list[tuple[int, ...]], device: torch.device, workers: int
) -> Iterator[list[MicroBatch]]:
    """The micro-batches of every step, in order.

    Args:
        steps: numbers within the stage.
        workers: processes that make samples ahead; 0 makes them here.
    """
    on_gpu = device.type == "cuda"
    flat = tuple(index for indices in micro_batches for index in indices)
    source = _Steps(mixture, flat, render=not on_gpu)
    loader = DataLoader(
        source,
        batch_size=None,
        sampler=list(steps),  # pyright: ignore[reportArgumentType]
        num_workers=workers,
        collate_fn=_as_it_is,
        multiprocessing_context="spawn" if workers else None,
        prefetch_factor=PREFETCH if workers else None,
        worker_init_fn=_one_thread if workers else None,
    )
    for made in loader:
        if isinstance(made, InputError):
            raise made
        unpacked = pickle.loads(made)  # from a worker of this run, never from a file
        samples = mixture.render(unpacked, device) if on_gpu else unpacked
        taken = iter(samples)
        yield [MicroBatch([next(taken) for _ in indices], indices) for indices in micro_batches]


def _as_it_is(made: Any) -> Any:
    return made


def _one_thread(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the trainer, which ends its step first
    torch.set_num_threads(1)
