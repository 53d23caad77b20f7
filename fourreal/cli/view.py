"""`fourreal view`: a scene or grid folder in the browser."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from tyro.conf import OmitArgPrefixes

from fourreal.core.local_names import LOCAL_NAMES
from fourreal.view.settings import VIEWER_DEFAULTS, ViewerOptions


@dataclass(frozen=True)
class View:
    """Look at a scene or a grid in the browser.

    Splats with a time slider, play and speed; the input cameras as frusta with their frames (click one
    to look through it); a grid panel with both axes. Ctrl-C ends it.
    """

    path: tyro.conf.Positional[Path]
    """Scene or grid folder, or the folder of a run, which is opened at its scene."""
    grid: Path | None = None
    """Grid folder to show with a scene; left out, a folder `grid` next to the scene's is taken."""
    options: OmitArgPrefixes[ViewerOptions] = VIEWER_DEFAULTS
    """How the viewer starts."""

    def run(self) -> None:
        from fourreal.files.grid_folder import StoredGrid, load_grid
        from fourreal.files.open_any import folder_kind, open_any, opened_at
        from fourreal.view.server import serve

        path = opened_at(self.path)
        opened = open_any(path)
        near = self.grid or path.parent / "grid"
        if isinstance(opened, StoredGrid):
            scene, grid = None, opened.grid
        else:
            scene = opened
            found = self.grid is not None or (near.is_dir() and folder_kind(near) == "grid")
            grid = load_grid(near).grid if found else None
        viewer = serve(scene=scene, grid=grid, options=self.options)
        if self.options.host not in LOCAL_NAMES:
            print(
                f"fourreal: WARNING: {self.options.host} lets everybody who can reach this machine see what is shown "
                "and move through it; there is no password",
                file=sys.stderr,
            )
        for note in viewer.notes:
            print(note)
        print(f"{self.path}: shown on {viewer.url} (Ctrl-C ends)")
        viewer.wait()
