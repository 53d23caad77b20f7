"""`fourreal reconstruct`: a complete grid folder in, a scene folder and a picture of it out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from fourreal.core.errors import InputError
from fourreal.core.notes import printed_notes


@dataclass(frozen=True)
class Reconstruct:
    """Turn a complete grid into Gaussians for every time, cameras included, in one pass.

    Writes the scene folder OUT and beside it OUT.png: inputs, renders, depth and cameras from above.
    Cameras the grid may have are not looked at; the scene comes out in the first view's frame and in
    a unit of its own. A model without a Gaussian head (vggt-1b) is used in geometry mode.

    Examples:
        fourreal reconstruct grid --out scene
        fourreal reconstruct grid --out scene --model weights/vggt-1b --merge-voxel 0.004
    """

    grid: tyro.conf.Positional[Path]
    """Grid folder, every cell known."""
    out: Path
    """Scene folder to write."""
    model: str = "mini"
    """mini (the package's own), vggt-1b (from the Hugging Face cache), or a folder with weights."""
    window_times: int = 8
    """Times that see each other; 0 takes all at once."""
    window_overlap: int = 2
    """Times neighbouring windows share."""
    chunk_windows: int = 1
    """Windows in memory together; never changes the result."""
    longest_side: int = 0
    """Scale larger frames down to this; 0 takes what the model was made for."""
    min_opacity: float = 0.02
    """Drop Gaussians less opaque than this."""
    drop_least_confident: float = 0.0
    """Share of each time's pixels to drop, least confident first."""
    drop_white_background: bool = False
    """Drop white pixels that hang together with the image border."""
    merge_voxel: float = 0.0
    """Merge Gaussians in cubes of this side, as a share of the median depth; 0 merges none."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Number format of the transformer blocks."""
    align: Literal["auto", "always", "never"] = "auto"
    """Make the views of the first time agree in colour and depth: seconds, and worth it with small models (auto)."""
    device: str = "auto"
    """auto, cpu or cuda."""
    allow_untrained: bool = False
    """Time a network of random weights. Nothing is written, because nothing would be true."""
    overwrite: bool = False
    """Replace a scene folder that exists."""

    def run(self) -> None:
        from fourreal.core.devices import resolve_device
        from fourreal.core.progress import progress_bar
        from fourreal.files.grid_folder import load_grid
        from fourreal.recon.reconstruct import reconstruct

        device = resolve_device(self.device)
        stored = load_grid(self.grid)
        loaded = self._model()
        model = loaded.model.to(device)
        started = time.monotonic()
        with progress_bar("reconstruction") as progress, printed_notes():
            scene = reconstruct(model, stored.grid, self._settings(), progress)
        seconds = time.monotonic() - started
        count = sum(len(step) for step in scene.steps)
        size = f"{stored.grid.num_views} views x {stored.grid.num_times} times, {count:,} Gaussians in {seconds:.1f} s"
        if not loaded.trained:
            print(f"{size}, with random weights: a timing, not a reconstruction; nothing was written")
            return
        self._write(scene, stored, loaded.name, size)

    def _model(self):
        from fourreal.recon.weights import find_model

        loaded = find_model(self.model)
        if not loaded.trained and not self.allow_untrained:
            raise InputError(
                f"the model '{self.model}' was never trained, so what it says means nothing; train it first, or "
                "give --allow-untrained to measure time only"
            )
        return loaded

    def _settings(self):
        from fourreal.recon.reconstruct import ReconstructSettings

        return ReconstructSettings(
            window_times=self.window_times,
            window_overlap=self.window_overlap,
            chunk_windows=self.chunk_windows,
            longest_side=self.longest_side,
            min_opacity=self.min_opacity,
            drop_least_confident=self.drop_least_confident,
            drop_white_background=self.drop_white_background,
            merge_voxel=self.merge_voxel,
            precision=self.precision,
            align=self.align,
        )

    def _write(self, scene, stored, model_name: str, size: str) -> None:
        from fourreal.core.media import write_image
        from fourreal.files.scene_folder import save_scene
        from fourreal.recon.overview import draw_overview

        record = stored.record
        source = f"reconstructed by {model_name} from: {record.source or self.grid.name}"
        words = {"caption": record.caption, "source": source, "licence": record.licence}
        save_scene(self.out, scene, **words, overwrite=self.overwrite)
        overview = draw_overview(scene, stored.grid, f"{self.grid.name}, {model_name}, {size}")
        picture = self.out.with_name(self.out.name + ".png")
        write_image(picture, overview.picture)
        print(f"{self.out}: {size}; input views come back at {overview.psnr_db:.1f} dB; look at {picture}")
