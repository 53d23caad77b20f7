"""Open a folder without being told whether it holds a grid or a scene."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from fourreal.core.errors import InputError
from fourreal.core.gaussians import GaussianSequence
from fourreal.files.grid_folder import GRID_MANIFEST, StoredGrid, load_grid
from fourreal.files.scene_folder import SCENE_MANIFEST, load_scene

FolderKind = Literal["grid", "scene"]
"""grid: frames of a view x time grid. scene: Gaussians, one set per time."""


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
