"""`fourreal view`: a scene or grid folder in the browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class View:
    """Look at a scene or a grid in the browser.

    Splats with a time slider, play and speed; the input cameras as frusta with their frames (click one
    to look through it); a grid panel with both axes. Ctrl-C ends it.
    """

    path: tyro.conf.Positional[Path]
    """Scene or grid folder."""
    grid: Path | None = None
    """Grid folder to show beside a scene; a folder `grid` beside the scene's is found by itself."""
    port: int = 8080
    """Port to listen on; the next free one is taken when it is in use."""
    host: str = "127.0.0.1"
    """127.0.0.1 is seen from this machine only, 0.0.0.0 from the network."""
    open: bool = True
    """Open the browser at once."""
    max_gaussians: int = 500_000
    """Draw at most so many at a time, the most visible ones."""
    speed: float = 1.0
    """1 plays in the scene's own time."""
    up: Literal["automatic", "x", "-x", "y", "-y", "z", "-z"] = "automatic"
    """Which world axis points up; automatic takes what is up for the input cameras."""

    def run(self) -> None:
        from fourreal.files.grid_folder import StoredGrid, load_grid
        from fourreal.files.open_any import folder_kind, open_any
        from fourreal.view.server import ViewerOptions, serve

        opened = open_any(self.path)
        beside = self.grid or self.path.parent / "grid"
        if isinstance(opened, StoredGrid):
            scene, grid = None, opened.grid
        else:
            scene = opened
            found = self.grid is not None or (beside.is_dir() and folder_kind(beside) == "grid")
            grid = load_grid(beside).grid if found else None
        options = ViewerOptions(
            port=self.port,
            host=self.host,
            open_browser=self.open,
            max_gaussians=self.max_gaussians,
            speed=self.speed,
            up=self.up,
        )
        viewer = serve(scene=scene, grid=grid, options=options)
        for note in viewer.notes:
            print(note)
        print(f"{self.path}: looking at it on {viewer.url} (Ctrl-C ends)")
        viewer.wait()
