"""Files of a finished run for the browser, by name, and the archives written only for it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from fourreal.app.grid_page import write_grid_page
from fourreal.core.atomic import atomic_file
from fourreal.core.progress import Progress
from fourreal.files.export import export_scene
from fourreal.files.grid_folder import load_grid
from fourreal.files.scene_folder import load_scene
from fourreal.job.stages import CONTACT, GRID, INPUT, MOVIE, OVERVIEW, PAGE, PREVIEW, SCENE

RUN, PACKED = "run", "packed"
GRID_PAGE, GRID_ZIP, SPLATS_ZIP = "grid.html", "grid.zip", "splats.zip"

FOLDER_OF = {
    PREVIEW: RUN,
    CONTACT: RUN,
    OVERVIEW: RUN,
    MOVIE: RUN,
    PAGE: RUN,
    GRID_PAGE: PACKED,
    GRID_ZIP: PACKED,
    SPLATS_ZIP: PACKED,
}
"""Every file a browser may request, and its place in a session's folder; no other file is served."""


def find_result(session_folder: Path, name: str) -> Path | None:
    """A result by its name; None for an unknown name or a file that does not exist yet."""
    folder = FOLDER_OF.get(name)
    if folder is None:
        return None
    file = session_folder / folder / name
    return file if file.is_file() else None


def pack(session_folder: Path, progress: Progress) -> None:
    """Write the grid's page and the archives of a finished run."""
    run, packed = session_folder / RUN, session_folder / PACKED
    given = load_grid(run / INPUT).grid.known if (run / INPUT).is_dir() else None
    steps: tuple[Callable[[], object], ...] = (
        lambda: write_grid_page(load_grid(run / GRID).grid, packed / GRID_PAGE, given),
        lambda: zip_folder(run / GRID, packed / GRID_ZIP),
        lambda: _zip_splats(run / SCENE, packed),
    )
    for number, step in enumerate(steps, 1):
        step()
        progress(number, len(steps))


def zip_folder(folder: Path, target: Path) -> None:
    """All files of a folder but the hidden ones, under its name, atomically."""
    with (
        atomic_file(target) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive,
    ):
        for file in sorted(path for path in folder.rglob("[!.]*") if path.is_file()):
            archive.write(file, f"{target.stem}/{file.relative_to(folder).as_posix()}")


def _zip_splats(scene: Path, packed: Path) -> None:
    splats = packed / "splats"
    export_scene(load_scene(scene), splats, "ply", overwrite=True)
    zip_folder(splats, packed / SPLATS_ZIP)
