"""`fourreal page`: a scene folder in, one web page out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Page:
    """Write a scene as one self-contained web page with a timeline.

    The file opens from disk in any browser with WebGL, needs no network and can be mailed.
    """

    scene: tyro.conf.Positional[Path]
    """Scene folder."""
    out: Path
    """HTML file to write."""
    max_mb: float = 25.0
    """Refuse to write a larger file."""
    keep: float = 1.0
    """Fraction of the Gaussians to embed, the most visible ones."""
    speed: float = 1.0
    """1 plays in the scene's own time."""
    grid: Path | None = None
    """Grid folder whose frames are shown in the input cameras."""
    cameras: bool = True
    """Draw the input cameras."""
    up: Literal["automatic", "x", "-x", "y", "-y", "z", "-z"] = "automatic"
    """Which world axis points up; automatic takes what is up for the input cameras."""

    def run(self) -> None:
        from fourreal.core.progress import progress_bar
        from fourreal.files.grid_folder import load_grid
        from fourreal.files.scene_folder import load_scene, load_scene_record
        from fourreal.view.page import PageOptions, write_page

        record = load_scene_record(self.scene)
        options = PageOptions(
            title=record.caption or self.scene.name,
            max_mb=self.max_mb,
            keep=self.keep,
            speed=self.speed,
            show_cameras=self.cameras,
            up=self.up,
        )
        grid = None if self.grid is None else load_grid(self.grid).grid
        with progress_bar("page") as progress:
            size = write_page(load_scene(self.scene), self.out, grid=grid, options=options, progress=progress)
        print(f"{self.out}: {size / 1e6:.1f} MB; open it in a browser")
