"""`fourreal movie`: a scene or grid folder in, an mp4 out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro
from tyro.conf import OmitArgPrefixes

from fourreal.core.errors import InputError
from fourreal.view.settings import MOVIE_DEFAULTS, MovieKind, MovieOptions


@dataclass(frozen=True)
class Movie:
    """Fly a camera through a scene, or walk through a grid, and write an mp4.

    Moves: bullet (time runs, stops while the camera goes through all views and back, and runs on), play
    (the camera stays, time runs), freeze (time stays, the camera moves), sweep (both move), and for
    scenes orbit (the camera circles, time runs). A grid's own frames need no scene.

    Examples:
        fourreal movie scene --out bullet.mp4
        fourreal movie grid --move play --view 3 --out view3.mp4
    """

    path: tyro.conf.Positional[Path]
    """Scene or grid folder."""
    out: Path
    """mp4 to write."""
    move: MovieKind = "bullet"
    """What the camera and the time do."""
    options: OmitArgPrefixes[MovieOptions] = MOVIE_DEFAULTS
    """Pace and size."""

    def run(self) -> None:
        from fourreal.core.progress import progress_bar
        from fourreal.files.grid_folder import StoredGrid
        from fourreal.files.open_any import open_any, opened_at
        from fourreal.view.movie import plan_movie, write_grid_movie, write_movie

        opened = open_any(opened_at(self.path))
        with progress_bar("movie") as progress:
            if isinstance(opened, StoredGrid):
                if self.move == "orbit":
                    raise InputError(
                        "an orbit needs a scene; a grid has its own views only: use bullet, freeze or sweep"
                    )
                count = len(write_grid_movie(self.out, opened.grid, self.move, options=self.options, progress=progress))
            else:
                plan = plan_movie(opened, self.move, options=self.options)
                write_movie(self.out, opened, plan, progress=progress)
                count = len(plan)
        print(f"{self.out}: {count} frames, '{self.move}'")
