"""Open what holds a grid or a scene without being told which: one table, a new format is one line in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch

from fourreal.core.cameras import Cameras
from fourreal.core.configs import read_json
from fourreal.core.errors import InputError
from fourreal.core.gaussians import GaussianSequence
from fourreal.files.grid_folder import GRID_MANIFEST, StoredGrid, load_grid
from fourreal.files.packed import read_spz
from fourreal.files.ply import read_ply, read_ply_sequence
from fourreal.files.scene_folder import SCENE_MANIFEST, load_scene

FolderKind = Literal["grid", "scene"]
"""grid: frames of a view x time grid. scene: Gaussians, one set per time."""


RUN_MANIFEST, RUN_FORMAT = "manifest.json", "fourreal-run"


def is_run(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is that of a `fourreal run`."""
    file = Path(folder) / RUN_MANIFEST
    try:
        values = read_json(file) if file.is_file() else None
    except InputError:
        return False
    return isinstance(values, dict) and values.get("format") == RUN_FORMAT


def opened_at(folder: Path, part: FolderKind = "scene") -> Path:
    """The scene, or the grid, of a run's folder; any other path as it is.

    Raises:
        InputError: the run has not got that far.
    """
    if not is_run(folder):
        return folder
    if not (folder / part).is_dir():
        raise InputError(f"{folder} is the folder of a run that has no {part} yet; run the same command again first")
    return folder / part


def _one_moment(read: Callable[[Path], object]) -> Callable[[Path], GaussianSequence]:
    def opened(path: Path) -> GaussianSequence:
        no_cameras = Cameras(torch.zeros(0, 4, 4), torch.zeros(0, 3, 3), (1, 1))
        return GaussianSequence((read(path),), torch.zeros(1), no_cameras)  # pyright: ignore[reportArgumentType]

    return opened


READERS: dict[str, tuple[FolderKind, Callable[[Path], StoredGrid | GaussianSequence]]] = {
    GRID_MANIFEST: ("grid", load_grid),
    SCENE_MANIFEST: ("scene", load_scene),
    "*.ply": ("scene", read_ply_sequence),
    ".ply": ("scene", _one_moment(read_ply)),
    ".spz": ("scene", _one_moment(read_spz)),
}
"""By the file that a folder holds, or by a file's suffix: what it is, and what reads it."""


def folder_kind(path: str | os.PathLike[str]) -> FolderKind:
    """What a folder or file holds, by its manifest or name; nothing is read.


    Raises:
        InputError: it is neither a grid nor a scene, or claims to be both.
    """
    return READERS[_key(Path(path))][0]


def open_any(path: str | os.PathLike[str]) -> StoredGrid | GaussianSequence:
    """Read a grid folder, a scene folder, a `.ply` or `.spz` file or a folder of `.ply` files, whichever it is.

    Raises:
        InputError: as `folder_kind` and the reader do.
    """
    return READERS[_key(Path(path))][1](Path(path))


def is_known(path: Path) -> bool:
    """Whether `open_any` reads it, or ought to: a folder with both manifests counts."""
    return path.suffix.lower() in READERS or any(any(path.glob(key)) for key in READERS if key[0] != ".")


def _key(path: Path) -> str:
    needs = f"a grid folder has a {GRID_MANIFEST}, a scene folder a {SCENE_MANIFEST} or .ply files"
    if path.is_file() and path.suffix.lower() in READERS:
        return path.suffix.lower()
    if not path.is_dir():
        came = "it is another file" if path.is_file() else "it does not exist"
        raise InputError(f"{path}: expected a grid or scene folder, a .ply or an .spz, but {came} ({needs})")
    found = [key for key in READERS if key[0] != "." and any(path.glob(key))]
    manifests = [key for key in found if "*" not in key]
    if len(manifests) > 1 or not found:
        raise InputError(f"{path} is {'both a grid and a scene' if found else 'neither a grid nor a scene'}: {needs}")
    return found[0]
