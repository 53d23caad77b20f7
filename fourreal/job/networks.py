"""The networks and inputs of a run, found and hashed before anything is computed, so that errors come at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fourreal.core.configs import read_json
from fourreal.core.grid_shape import GridShape
from fourreal.files.grid_folder import GRID_MANIFEST
from fourreal.job.content import hash_path
from fourreal.job.request import JobRequest
from fourreal.recon.weights import find_weights
from fourreal.video.generator import read_training_size, require_freeze_time
from fourreal.video.model_folder import find_model_folder


@dataclass(frozen=True)
class Networks:
    """The networks and inputs of a run.

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


def find_networks(request: JobRequest, *, reconstructs: bool) -> Networks:
    """Find and hash everything.

    Raises:
        InputError: weights are missing; the message says how to get or train them.
    """
    if not request.inputs and request.wish.frames != 1:
        require_freeze_time(request.model, request.base)
    generator: dict[str, str] = {}
    training_size = None
    if request.grid is None or not _is_complete(request.grid):
        folder = find_model_folder(request.model)
        training_size = read_training_size(folder, request.delta)
        generator["model"] = hash_path(folder)
        if request.delta is not None:
            generator["delta"] = hash_path(request.delta)
        if request.base is not None:
            generator["base"] = hash_path(find_model_folder(request.base))
    reconstructor = {"model": _hash_weights(find_weights(request.recon))} if reconstructs else {}
    inputs = {name: hash_path(path) for name, path in request.inputs.items()}
    return Networks(inputs, generator, reconstructor, training_size)


def _hash_weights(weights: Path) -> str:
    """Of the file, or of its folder where that holds a config as well."""
    return hash_path(weights.parent) if (weights.parent / "config.json").is_file() else hash_path(weights)


def _is_complete(grid_folder: Path) -> bool:
    """Whether every cell is known; the reader refuses a folder that is no grid."""
    file = grid_folder / GRID_MANIFEST
    values = read_json(file) if file.is_file() else None
    return isinstance(values, dict) and not values.get("unknown_frames")
