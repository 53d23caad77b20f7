"""Open a folder without being told whether it holds a grid or a scene."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from fourreal.core.configs import read_json
from fourreal.core.errors import InputError
from fourreal.core.gaussians import GaussianSequence
from fourreal.files.grid_folder import GRID_MANIFEST, StoredGrid, load_grid
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


def folder_kind(folder: str | os.PathLike[str]) -> FolderKind:
    """What a folder holds, by its manifest; nothing is read.

    Raises:
        InputError: it is neither, or claims to be both.
    """
    folder = Path(folder)
    needs = f"a grid folder has a {GRID_MANIFEST}, a scene folder a {SCENE_MANIFEST}"
    if not folder.is_dir():
        came = "it is a file" if folder.is_file() else "it does not exist"
        raise InputError(f"{folder}: expected a grid or scene folder, but {came} ({needs})")
    grid, scene = (folder / GRID_MANIFEST).is_file(), (folder / SCENE_MANIFEST).is_file()
    if grid == scene:
        raise InputError(f"{folder} is {'both a grid and a scene' if grid else 'neither a grid nor a scene'}: {needs}")
    return "grid" if grid else "scene"


def open_any(folder: str | os.PathLike[str]) -> StoredGrid | GaussianSequence:
    """Read a grid folder or a scene folder, whichever it is.

    Raises:
        InputError: as `folder_kind`, `load_grid` and `load_scene` do.
    """
    return load_grid(folder) if folder_kind(folder) == "grid" else load_scene(folder)
