"""The networks and inputs of a run, found and hashed before anything is computed: what is missing is said at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourreal.core.configs import read_json, to_dict
from fourreal.core.grid_shape import GridShape
from fourreal.files.grid_folder import GRID_MANIFEST
from fourreal.job.content import hash_path
from fourreal.job.request import JobRequest
from fourreal.recon.weights import find_weights
from fourreal.video.generator import read_training_size
from fourreal.video.model_folder import find_model_folder


@dataclass(frozen=True)
class Networks:
    """What a run works with.

    Attributes:
        input_hashes: SHA-256 of each piece of footage, by what it is.
        generator: SHA-256 of generator, delta and base; empty when nothing has to be generated.
        reconstructor: SHA-256 of the reconstruction network; empty when the run ends before it.
        training_size: of the generator.
    """

    input_hashes: dict[str, str]
    generator: dict[str, str]
    reconstructor: dict[str, str]
    training_size: GridShape | None

    @property
    def usual_size(self) -> dict[str, Any] | None:
        return None if self.training_size is None else to_dict(self.training_size)


def find_networks(request: JobRequest, *, reconstructs: bool) -> Networks:
    """Find and hash everything.

    Raises:
        InputError: weights are missing; the message says how to get or train them.
    """
    generator: dict[str, str] = {}
    training_size = None
    if request.grid is None or not _is_complete(request.grid):
        folder = find_model_folder(request.model)
        training_size = read_training_size(folder)
        generator["model"] = hash_path(folder)
        if request.delta is not None:
            generator["delta"] = hash_path(request.delta)
        if request.base is not None:
            generator["base"] = hash_path(find_model_folder(request.base))
    reconstructor = {"model": _hash_weights(find_weights(request.recon))} if reconstructs else {}
    inputs = {name: hash_path(path) for name, path in request.inputs.items()}
    return Networks(inputs, generator, reconstructor, training_size)


def _hash_weights(weights: Path) -> str:
    """Of the file, and of the config beside it where there is one."""
    return hash_path(weights.parent) if (weights.parent / "config.json").is_file() else hash_path(weights)


def _is_complete(grid_folder: Path) -> bool:
    """Whether every cell is known; a folder that is no grid is left to its reader to refuse."""
    file = grid_folder / GRID_MANIFEST
    values = read_json(file) if file.is_file() else None
    return isinstance(values, dict) and not values.get("unknown_frames")
