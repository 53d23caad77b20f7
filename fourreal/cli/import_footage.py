"""`fourreal import`: real footage in, a grid folder and its contact sheet out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from fourreal.core.errors import InputError
from fourreal.core.notes import printed_notes


@dataclass(frozen=True)
class ImportFootage:
    """Turn real footage into a view x time grid folder.

    Give synchronised cameras (--rows), one picture a cell (--cells), a scene of a
    benchmark (--benchmark), a fixed-view video (--fixed), a
    freeze-time video or photo folder (--freeze), or the last two together: their first frames must be
    one picture, and you are told how far they are apart when they are not.

    Examples:
        fourreal import --rows cam0.mp4 cam1.mp4 cam2.mp4 --frames 13 --size 256 256 --out grid
        fourreal import --cells 'shots/cam{v}_t{t}.png' --out grid
        fourreal import --benchmark llff fern --size 256 384 --out grid
        fourreal import --fixed clip.mp4 --freeze orbit.mp4 --fps 8 --frames 13 --views 8 --out grid
    """

    out: Path
    """Folder to write the grid to."""
    benchmark: Annotated[tuple[str, Path] | None, tyro.conf.arg(metavar="NAME PATH")] = None
    """A scene of a benchmark in its own layout: colmap, davis, diffusion4d, llff, neural-3d-video, nvidia-dynamic,
    pose2sim, realestate10k, transforms-json or view-folders; docs/captures.md says what each reads. --views and
    --frames then take the first ones."""
    rows: tuple[Path, ...] = ()
    """One clip (video, GIF or image folder) per camera, all of one length."""
    cells: str | None = None
    """Pattern of image files with {v} for the view's number and {t} for the time's."""
    fixed: Path | None = None
    """A clip from a camera that stands still: the first row."""
    freeze: Path | None = None
    """A clip or photo folder that moves round a frozen moment: the first column."""
    frames: int | None = None
    """How many columns. With --fps the first ones at that rate, else evenly over the clip."""
    views: int | None = None
    """How many rows to take of --freeze, evenly; without it, how many to leave open (8)."""
    fps: float | None = None
    """Columns per second; the footage's own when left out (images: 1)."""
    size: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="HEIGHT WIDTH")] = None
    """Scale and centre-crop every frame to this."""
    start: float = 0.0
    """Leave out what comes before, seconds."""
    end: float = math.inf
    """Leave out what comes at this time or after it, seconds."""
    storage: Literal["video", "png"] = "video"
    """video: H.264 in full colour, small. png: lossless, and what nerfstudio opens."""
    source: str = ""
    """Where the footage comes from, kept with the grid."""
    licence: str = ""
    """Under which terms, kept with the grid."""
    overwrite: bool = False
    """Replace the folder if it exists."""

    def run(self) -> None:
        from fourreal.core.atomic import require_free_folder
        from fourreal.data import footage
        from fourreal.files.grid_folder import GridRecord, save_grid
        from fourreal.view.contact_sheet import write_contact_sheet

        given = [name for name in ("benchmark", "rows", "cells", "fixed", "freeze") if getattr(self, name)]
        if not given or (len(given) > 1 and given != ["fixed", "freeze"]):
            raise InputError(
                "give --benchmark, or --rows, or --cells, or --fixed, or --freeze, or --fixed and --freeze together; "
                f"got {' and '.join('--' + name for name in given) or 'none of them'}"
            )
        require_free_folder(self.out, overwrite=self.overwrite)
        sampling = footage.Sampling(self.frames, self.fps, self.size, self.start, self.end)
        source, licence = self.source, self.licence
        if self.benchmark:
            from fourreal.data.captures.capture import Selection
            from fourreal.data.captures.readers import read_benchmark

            views, times = (None if count is None else tuple(range(count)) for count in (self.views, self.frames))
            capture = read_benchmark(*self.benchmark, Selection(views, times, self.size))
            grid, source, licence = capture.grid, source or capture.source, licence or capture.licence
        elif self.rows:
            grid = footage.grid_from_cameras(self.rows, sampling)
        elif self.cells:
            grid = footage.grid_from_cells(self.cells, sampling)
        else:
            with printed_notes():
                grid = footage.grid_from_videos(self.fixed, self.freeze, sampling, self.views).grid
        record = GridRecord(source=source or ", ".join(self._inputs()), licence=licence)
        save_grid(self.out, grid, record=record, storage=self.storage, overwrite=self.overwrite)
        sheet = self.out.with_name(f"{self.out.name}_contact.png")
        write_contact_sheet(sheet, grid)
        known = int(grid.known.sum())
        print(
            f"{self.out}: {grid.num_views} views x {grid.num_times} times at (height, width) {grid.image_size}, "
            f"{known} of {grid.known.numel()} cells known\n{sheet}: what it looks like"
        )

    def _inputs(self) -> list[str]:
        """File names without their folders: a path of this machine is nobody else's business."""
        paths = [*self.rows, *(path for path in (self.fixed, self.freeze) if path)]
        return [path.name for path in paths] or [Path(self.cells or "").name]
