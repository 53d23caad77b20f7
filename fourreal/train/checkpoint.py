"""Checkpoints that resume exactly: safetensors pieces and one JSON, written whole or not at all.

    checkpoints/step-00001200/state.json          counters and which piece holds which tensor
                              pieces-00001.safetensors ...

Tensors are gathered from all processes one by one, so a checkpoint does not depend on their number, and no
more than a piece is in memory. All randomness is a function of seed, step and sample, so counters are all the
state there is beside the tensors. No pickle.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fourreal.core.atomic import atomic_folder
from fourreal.core.configs import from_dict, read_json
from fourreal.core.errors import InputError
from fourreal.train.parallel import Processes, whole

FOLDER, STATE = "checkpoints", "state.json"
_NAME = re.compile(r"step-(\d{8})")


@dataclass
class Counters:
    """How far a run is.

    Attributes:
        step: optimiser steps done, skipped ones included.
        skipped: of these, steps that were not finite and changed nothing.
        averaged: updates of the running average.
        seconds: of training, over all sessions.
    """

    step: int = 0
    skipped: int = 0
    averaged: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class _State:
    counters: Counters
    pieces: dict[str, str]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk; tensors are read when asked for."""

    folder: Path
    counters: Counters
    pieces: dict[str, str]

    def names(self, prefix: str) -> list[str]:
        """Names below a prefix, without it."""
        return [name.removeprefix(prefix) for name in self.pieces if name.startswith(prefix)]

    def read(self, name: str) -> Tensor:
        """Raises InputError when the tensor is not there or its piece is damaged."""
        if name not in self.pieces:
            raise InputError(f"{self.folder} lacks '{name}'; it is from another recipe or version")
        file = self.folder / self.pieces[name]
        try:
            with safe_open(file, framework="pt") as tensors:
                return tensors.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise InputError(f"{file} is damaged ({error}); remove its folder to go on from the one before") from error


def save_checkpoint(
    out: Path,
    counters: Counters,
    tensors: Mapping[str, Tensor],
    processes: Processes,
    *,
    keep_last: int = 2,
    piece_mb: int = 1024,
) -> Path:
    """Write a checkpoint and drop all but the last few. Every process has to call it; rank 0 writes.

    Raises:
        InputError: the folder cannot be written or the disk is full; the checkpoints before it stay.
    """
    target = out / FOLDER / f"step-{counters.step:08d}"
    if not processes.leads:
        for name in tensors:
            whole(tensors[name])
        processes.wait()
        return target
    with atomic_folder(target, overwrite=True) as partial:
        pieces = _write_pieces(partial, tensors, piece_mb * 10**6)
        state = {"counters": asdict(counters), "pieces": pieces}
        (partial / STATE).write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
    for old in _folders(out)[:-keep_last]:
        shutil.rmtree(old, ignore_errors=True)
    processes.wait()
    return target


def _write_pieces(folder: Path, tensors: Mapping[str, Tensor], limit: int) -> dict[str, str]:
    pieces: dict[str, str] = {}
    held: dict[str, Tensor] = {}
    size = 0

    def flush() -> None:
        nonlocal held, size
        name = f"pieces-{len(set(pieces.values())) + 1:05d}.safetensors"
        save_file(held, folder / name)
        pieces.update(dict.fromkeys(held, name))
        held, size = {}, 0

    for name, tensor in tensors.items():
        value = whole(tensor).contiguous().clone()
        if held and size + value.nbytes > limit:
            flush()
        held[name] = value
        size += value.nbytes
    if held:
        flush()
    return pieces


def latest_checkpoint(out: Path) -> Checkpoint | None:
    """The newest whole checkpoint of a run, if there is any.

    Raises:
        InputError: its description cannot be read.
    """
    folders = _folders(out)
    if not folders:
        return None
    state = from_dict(_State, read_json(folders[-1] / STATE), str(folders[-1] / STATE))
    return Checkpoint(folders[-1], state.counters, state.pieces)


def _folders(out: Path) -> list[Path]:
    """Whole checkpoints, oldest first; partial ones have other names."""
    folder = out / FOLDER
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and (path / STATE).is_file())
