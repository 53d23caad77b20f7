"""`fourreal view`: a scene or grid folder in the browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro
from tyro.conf import OmitArgPrefixes

from fourreal.view.settings import VIEWER_DEFAULTS, ViewerOptions


@dataclass(frozen=True)
class View:
    """Look at a scene or a grid in the browser.

    Splats with a time slider, play and speed; the input cameras as frusta with their frames (click one
    to look through it); a grid panel with both axes. Ctrl-C ends it.
    """

    path: tyro.conf.Positional[Path]
    """Scene or grid folder."""
    grid: Path | None = None
    """Grid folder to show with a scene; left out, a folder `grid` next to the scene's is taken."""
    options: OmitArgPrefixes[ViewerOptions] = VIEWER_DEFAULTS
    """How the viewer starts."""

    def run(self) -> None:
        from fourreal.files.grid_folder import StoredGrid, load_grid
        from fourreal.files.open_any import folder_kind, open_any
        from fourreal.view.server import serve

        opened = open_any(self.path)
        near = self.grid or self.path.parent / "grid"
        if isinstance(opened, StoredGrid):
            scene, grid = None, opened.grid
        else:
            scene = opened
            found = self.grid is not None or (near.is_dir() and folder_kind(near) == "grid")
            grid = load_grid(near).grid if found else None
        viewer = serve(scene=scene, grid=grid, options=self.options)
        for note in viewer.notes:
            print(note)
        print(f"{self.path}: shown on {viewer.url} (Ctrl-C ends)")
        viewer.wait()
