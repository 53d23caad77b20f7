"""`fourreal import`: real footage in, a grid folder and its contact sheet out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from fourreal.core.errors import InputError
from fourreal.core.notes import printed_notes
from fourreal.data.captures.readers import READERS

if TYPE_CHECKING:
    from fourreal.core.grid import VideoGrid
    from fourreal.files.grid_folder import GridRecord

    ReaderName = str
else:
    ReaderName = Literal[tuple(READERS)]


_BENCHMARK: Any = tyro.conf.arg(
    metavar="NAME PATH", help=f"A scene of a data set: its name and where it lies. Names: {', '.join(READERS)}."
)


@dataclass(frozen=True)
class ImportFootage:
    """Turn real footage into a view x time grid folder.

    Give synchronised cameras (--rows), one picture a cell (--cells), a fixed-view video (--fixed), a
    freeze-time video or photo folder (--freeze), or the last two together: their first frames must be
    one picture, and a note says how far they are apart when they are not. Or give a scene of a data set
    (--benchmark): its cameras are kept, lens distortion is taken out. docs/captures.md has every layout.

    Examples:
        fourreal import --rows cam0.mp4 cam1.mp4 cam2.mp4 --frames 13 --size 256 256 --out grid
        fourreal import --cells 'shots/cam{v}_t{t}.png' --out grid
        fourreal import --fixed clip.mp4 --freeze orbit.mp4 --fps 8 --frames 13 --views 8 --out grid
        fourreal import --benchmark davis DAVIS/JPEGImages/480p/bear --frames 13 --size 256 256 --out grid
    """

    out: Path
    """Folder to write the grid to."""
    rows: tuple[Path, ...] = ()
    """One clip (video, GIF or image folder) per camera, all of one length."""
    cells: str | None = None
    """Pattern of image files with {v} for the view's number and {t} for the time's."""
    fixed: Path | None = None
    """A clip from a camera that stands still: the first row."""
    freeze: Path | None = None
    """A clip or photo folder that moves round a frozen moment: the first column."""
    benchmark: Annotated[tuple[ReaderName, Path] | None, _BENCHMARK] = None
    frames: int | None = None
    """How many columns. With --fps the first ones at that rate, else evenly over the clip."""
    views: int | None = None
    """How many rows to take of --freeze or --benchmark, evenly; without these, how many to leave open (8)."""
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
        from fourreal.core.plain_text import plain
        from fourreal.files.grid_folder import save_grid
        from fourreal.view.contact_sheet import write_contact_sheet

        names = ("rows", "cells", "fixed", "freeze", "benchmark")
        given = [name for name in names if getattr(self, name)]
        if not given or (len(given) > 1 and given != ["fixed", "freeze"]):
            raise InputError(
                "give --rows, or --cells, or --fixed, or --freeze, or --fixed and --freeze together, or --benchmark; "
                f"got {' and '.join('--' + name for name in given) or 'none of them'}"
            )
        grid, record = self._scene() if self.benchmark else self._footage()
        save_grid(self.out, grid, record=record, storage=self.storage, overwrite=self.overwrite)
        sheet = self.out.with_name(f"{self.out.name}_contact.png")
        write_contact_sheet(sheet, grid)
        known = int(grid.known.sum())
        print(
            f"{self.out}: {grid.num_views} views x {grid.num_times} times at (height, width) {grid.image_size}, "
            f"{known} of {grid.known.numel()} cells known\n{sheet}: what it looks like"
        )
        if self.benchmark:
            print(f"{plain(record.source)}; licence: {plain(record.licence)}")

    def _footage(self) -> tuple[VideoGrid, GridRecord]:
        from fourreal.data import footage
        from fourreal.files.grid_folder import GridRecord

        sampling = footage.Sampling(self.frames, self.fps, self.size, self.start, self.end)
        record = GridRecord(source=self.source or ", ".join(map(str, self._inputs())), licence=self.licence)
        if self.rows:
            return footage.grid_from_cameras(self.rows, sampling), record
        if self.cells:
            return footage.grid_from_cells(self.cells, sampling), record
        with printed_notes():
            return footage.grid_from_videos(self.fixed, self.freeze, sampling, self.views).grid, record

    def _scene(self) -> tuple[VideoGrid, GridRecord]:
        from fourreal.data.captures.capture import Selection
        from fourreal.data.captures.readers import read_capture
        from fourreal.files.grid_folder import GridRecord

        assert self.benchmark is not None
        if self.fps is not None or self.start != 0 or self.end != math.inf:
            raise InputError("--fps, --start and --end are for footage; with --benchmark give --frames and --views")
        name, path = self.benchmark
        selection = Selection(size=self.size, num_views=self.views, num_frames=self.frames)
        capture = read_capture(name, path, selection)
        source = self.source or f"{capture.source}, {capture.name}"
        return capture.grid, GridRecord(source=source, licence=self.licence or capture.licence)

    def _inputs(self) -> list[str]:
        """File names without their folders: a path of this machine is nobody else's business."""
        paths = [*self.rows, *(path for path in (self.fixed, self.freeze) if path)]
        return [path.name for path in paths] or [Path(self.cells or "").name]
