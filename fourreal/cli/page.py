"""`fourreal page`: a scene folder in, one web page out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import tyro
from tyro.conf import OmitArgPrefixes

from fourreal.view.settings import PAGE_DEFAULTS, PageOptions


@dataclass(frozen=True)
class Page:
    """Write a scene as one self-contained web page with a timeline.

    The file opens from disk in any browser with WebGL, needs no network and can be mailed.
    """

    scene: tyro.conf.Positional[Path]
    """Scene folder."""
    out: Path
    """HTML file to write."""
    grid: Path | None = None
    """Grid folder whose frames are shown in the input cameras."""
    options: OmitArgPrefixes[PageOptions] = PAGE_DEFAULTS
    """How the page looks and how large it may be. The title is the scene's caption when left out."""

    def run(self) -> None:
        from fourreal.core.progress import progress_bar
        from fourreal.files.grid_folder import load_grid
        from fourreal.files.open_any import opened_at
        from fourreal.files.scene_folder import load_scene, load_scene_record
        from fourreal.view.page import write_page

        folder = opened_at(self.scene)
        title = self.options.title or load_scene_record(folder).caption or self.scene.name
        options = replace(self.options, title=title)
        grid = None if self.grid is None else load_grid(self.grid).grid
        with progress_bar("page") as progress:
            size = write_page(load_scene(folder), self.out, grid=grid, options=options, progress=progress)
        print(f"{self.out}: {size / 1e6:.1f} MB; open it in a browser")
