"""`fourreal movie`: a scene or grid folder in, an mp4 out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


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
    move: Literal["bullet", "play", "freeze", "sweep", "orbit"] = "bullet"
    """What the camera and the time do."""
    view: int = 0
    """The view that plays, and that a bullet-time move leaves from."""
    stop_time: int | None = None
    """The time (its index) that freezes; the middle one when left out."""
    fps: float | None = None
    """Frames per second of the file; 24 for a scene, the grid's own rate for a grid."""
    speed: float = 1.0
    """How fast the scene's time runs; 1 is as it was."""
    camera_seconds: float = 3.0
    """How long the camera takes from the first view to the last, or once round. Scenes only."""
    size: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="HEIGHT WIDTH")] = None
    """Frame size; the input cameras' own when left out. Scenes only."""

    def run(self) -> None:
        from fourreal.core.errors import InputError
        from fourreal.core.progress import progress_bar
        from fourreal.files.grid_folder import StoredGrid
        from fourreal.files.open_any import open_any
        from fourreal.view.movie import MovieOptions, plan_movie, write_grid_movie, write_movie
        from fourreal.view.view_time_path import PathStart

        options = MovieOptions(
            fps=self.fps,
            speed=self.speed,
            move_seconds=self.camera_seconds,
            size=self.size,
            start=PathStart(self.view, self.stop_time),
        )
        opened = open_any(self.path)
        with progress_bar("movie") as progress:
            if isinstance(opened, StoredGrid):
                if self.move == "orbit":
                    raise InputError(
                        "an orbit needs a scene; a grid has its own views only: use bullet, freeze or sweep"
                    )
                count = len(write_grid_movie(self.out, opened.grid, self.move, options=options, progress=progress))
            else:
                plan = plan_movie(opened, self.move, options=options)
                write_movie(self.out, opened, plan, progress=progress)
                count = len(plan)
        print(f"{self.out}: {count} frames, '{self.move}'")
