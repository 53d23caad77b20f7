"""`fourreal generate`: a partly known grid folder, or a prompt, in; a complete grid folder out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fourreal.core.errors import InputError
from fourreal.core.notes import printed_notes

if TYPE_CHECKING:
    from fourreal.core.grid import VideoGrid
    from fourreal.files.grid_folder import GridRecord


@dataclass(frozen=True)
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
    model: str = tyro.MISSING
    """Folder in the layout Wan is released in, a released name such as wan2.1-1.3b, or a hub id."""
    out: Path = tyro.MISSING
    """Grid folder to write."""
    prompt: str = ""
    """What the scene shows; of any length and language where the model reads text."""
    delta: Path | None = None
    """Folder of view-time weights to lay over the model."""
    base: str | None = None
    """Another model for the two single videos of a prompt; one that takes a first frame."""
    views: int = 8
    """Rows, for a prompt alone."""
    frames: int = 29
    """Columns, for a prompt alone."""
    size: Annotated[tuple[int, int], tyro.conf.arg(metavar="HEIGHT WIDTH")] = (288, 512)
    """Frame size, for a prompt alone."""
    fps: float = 16.0
    """Columns per second, for a prompt alone."""
    steps: int = 16
    """Sampling steps; the papers report 4, 8, 16 and 40."""
    sampler: Literal["euler", "unipc"] = "euler"
    """euler: first order. unipc: second order, better with few steps."""
    shift: float | None = None
    """Shift of the noise levels; the model's own when left out."""
    guidance: float | None = None
    """Text guidance; left out, none with a row and a column known and 5 otherwise."""
    reference_guidance: float = 1.0
    """Guidance by the known cells; 1 is none."""
    negative_prompt: str = ""
    """What guidance pushes away from."""
    seed: int = 0
    """Same seed, same picture."""
    window: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="VIEWS FRAMES")] = None
    """Size of the windows; the largest that fits when left out. FRAMES must be 4k + 1."""
    weights: Literal["float32", "bfloat16", "float16", "int8"] = "float32"
    """Number format the transformer is loaded in; bfloat16, or int8 with torchao, for large models on a GPU."""
    offload: Literal["none", "parts", "blocks"] = "none"
    """What leaves the GPU while it is not at work: nothing, whole parts, or single blocks."""
    device: str = "auto"
    """auto, cpu or cuda."""
    allow_untrained: bool = False
    """Time weights that were not trained for grids. Nothing is written, because it would be noise."""
    storage: Literal["video", "png"] = "video"
    """video: H.264 in full colour, small. png: lossless."""
    overwrite: bool = False
    """Replace a grid folder that exists."""

    def run(self) -> None:
        from fourreal.files.grid_folder import GridRecord, load_grid
        from fourreal.video.generator import ViewTimeGenerator

        if self.grid is None and not self.prompt.strip():
            raise InputError("give a grid folder, a --prompt, or both; got neither")
        stored = None if self.grid is None else load_grid(self.grid)
        model = ViewTimeGenerator.from_pretrained(self.model, delta=self.delta, weight_type=self.weights)
        started = time.monotonic()
        done = self._from_prompt(model) if stored is None else self._complete(model, stored.grid)
        took = f"{done.num_views} views x {done.num_times} frames in {time.monotonic() - started:.1f} s"
        if not self._is_trained(model, done):
            print(f"{took}, with untrained weights: a timing, not a result; nothing was written")
            return
        record = GridRecord() if stored is None else stored.record
        self._write(done, record, took)

    def _is_trained(self, model, grid: VideoGrid) -> bool:
        from fourreal.video.weights import require_trained

        try:
            require_trained(model.transformer, "video" if grid.num_views == 1 else "grid")
        except InputError:
            return False
        return True

    def _settings(self):
        from fourreal.video.generation_settings import GenerationSettings

        return GenerationSettings(
            steps=self.steps,
            sampler=self.sampler,
            shift=self.shift,
            seed=self.seed,
            text_guidance=self.guidance,
            reference_guidance=self.reference_guidance,
            negative_prompt=self.negative_prompt,
            device=self.device,
            offload=self.offload,
            allow_untrained=self.allow_untrained,
        )

    def _complete(self, model, grid: VideoGrid) -> VideoGrid:
        from fourreal.core.progress import progress_bar
        from fourreal.video.extend import extend
        from fourreal.video.windows import WindowSize

        window = None if self.window is None else WindowSize(*self.window)
        with progress_bar("generation") as progress, printed_notes():
            return extend(model, grid, self.prompt, window=window, settings=self._settings(), progress=progress)

    def _from_prompt(self, model) -> VideoGrid:
        from fourreal.core.progress import progress_bar
        from fourreal.video.generator import ViewTimeGenerator
        from fourreal.video.plan import GridSize
        from fourreal.video.text_to_grid import text_to_grid

        base = None if self.base is None else ViewTimeGenerator.from_pretrained(self.base, weight_type=self.weights)
        size = GridSize(self.views, self.frames, *self.size)
        with progress_bar("text to grid") as progress, printed_notes():
            return text_to_grid(
                model, self.prompt, size, fps=self.fps, base=base, settings=self._settings(), progress=progress
            )

    def _write(self, grid: VideoGrid, record: GridRecord, took: str) -> None:
        from dataclasses import replace

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
