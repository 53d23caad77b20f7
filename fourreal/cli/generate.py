"""`fourreal generate`: a partly known grid folder, or a prompt, in; a complete grid folder out."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import OmitArgPrefixes

from fourreal.core.errors import InputError
from fourreal.core.notes import printed_notes
from fourreal.core.shipped import SHIPPED_NAME
from fourreal.data.grid_wish import NO_WISH, GridWish
from fourreal.video.settings import DEFAULTS, WEIGHT_TYPE, GenerationSettings, WeightChoice

if TYPE_CHECKING:
    from fourreal.core.grid import VideoGrid
    from fourreal.files.grid_folder import GridRecord


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Fill in every unknown cell of a view x time grid, or make a grid from a prompt.

    Known cells stay as they are, bit for bit (store as png to see it). Grids larger than the model
    takes are made in overlapping windows. Without GRID, a prompt becomes a fixed-view video, then a
    freeze-time video from its first frame, then a grid of --views x --frames at --size.

    Examples:
        fourreal generate grid --model wan-view-time --out full --steps 16
        fourreal generate --prompt "a red ball bounces" --model wan-view-time --base wan2.2-ti2v-5b --out full
    """

    grid: tyro.conf.Positional[Path | None] = None
    """Grid folder with some cells known."""
    model: str = SHIPPED_NAME
    """mini (the package's own), a folder in Wan's layout, a released name such as wan2.1-1.3b, or a hub id."""
    out: Path
    """Grid folder to write."""
    prompt: str = ""
    """What the scene shows; of any length and language where the model reads text."""
    delta: Path | None = None
    """Folder of view-time weights to load over the model's."""
    base: str | None = None
    """Another model for the two single videos of a prompt; one that takes a first frame."""
    wish: OmitArgPrefixes[GridWish] = NO_WISH
    """Size and rate of the grid, for a prompt alone."""
    settings: OmitArgPrefixes[GenerationSettings] = DEFAULTS
    """How to sample. With --allow-untrained only the time is printed, and nothing is written."""
    window: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="VIEWS FRAMES")] = None
    """Size of the windows; the largest that fits when left out. FRAMES must be 4k + 1."""
    weight_type: WeightChoice = WEIGHT_TYPE
    """Number format of the weights; int8 (with torchao) halves bfloat16, auto takes what fits the device."""
    storage: Literal["video", "png"] = "video"
    """video: H.264 in full colour, small. png: lossless."""
    overwrite: bool = False
    """Replace a grid folder that exists."""

    def run(self) -> None:
        from fourreal.core.progress import progress_bar
        from fourreal.files.grid_folder import GridRecord, load_grid
        from fourreal.pipeline import FourDPipeline
        from fourreal.video.generator import require_freeze_time
        from fourreal.video.weights import is_trained
        from fourreal.video.windows import WindowSize

        if self.grid is None and not self.prompt.strip():
            raise InputError("give a grid folder, a --prompt, or both; got neither")
        if self.grid is None and 1 not in (self.wish.views, self.wish.frames):
            require_freeze_time(self.model, self.base)
        stored = None if self.grid is None else load_grid(self.grid)
        pipe = FourDPipeline.from_pretrained(
            self.model,
            recon=None,
            delta=self.delta,
            base=self.base,
            weight_type=self.weight_type,
            device=self.settings.device,
        )
        started = time.monotonic()
        with progress_bar("generation") as progress, printed_notes():
            if stored is None:
                done = pipe.imagine(self.prompt, self.wish, settings=self.settings, progress=progress)
            else:
                window = None if self.window is None else WindowSize(*self.window)
                done = pipe.complete(stored.grid, self.prompt, window=window, settings=self.settings, progress=progress)
        took = f"{done.num_views} views x {done.num_times} frames in {time.monotonic() - started:.1f} s"
        assert pipe.generator is not None
        purpose = "video" if done.num_views == 1 else "grid"
        if not all(is_trained(transformer, purpose) for transformer in pipe.generator.transformers):
            print(f"{took}, with untrained weights: a timing, not a result; nothing was written")
            return
        self._write(done, GridRecord() if stored is None else stored.record, took)

    def _write(self, grid: VideoGrid, record: GridRecord, took: str) -> None:
        from fourreal.files.grid_folder import save_grid
        from fourreal.view.contact_sheet import write_contact_sheet

        # Depth, if there was any, belonged to the known cells only.
        origin = f" from: {record.source or self.grid.name}" if self.grid is not None else ""
        source = f"generated by {self.model}{origin}"
        record = replace(record, depth=None, caption=self.prompt or record.caption, source=source)
        save_grid(self.out, grid, record=record, storage=self.storage, overwrite=self.overwrite)
        sheet = self.out.with_name(f"{self.out.name}_contact.png")
        write_contact_sheet(sheet, grid)
        print(f"{self.out}: {took}\n{sheet}: what it looks like")
