"""`fourreal reconstruct`: a complete grid folder in, a scene folder and a picture of it out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from tyro.conf import OmitArgPrefixes

from fourreal.core.errors import InputError
from fourreal.core.notes import printed_notes
from fourreal.core.shipped import SHIPPED_NAME
from fourreal.recon.settings import DEFAULTS, ReconstructSettings

if TYPE_CHECKING:
    from fourreal.core.gaussians import GaussianSequence
    from fourreal.files.grid_folder import StoredGrid


@dataclass(frozen=True, kw_only=True)
class Reconstruct:
    """Turn a complete grid into Gaussians for every time, cameras included, in one pass.

    Writes the scene folder OUT and next to it OUT.png: inputs, renders, depth and cameras from above.
    Cameras the grid may have are not used; the scene comes out in the first view's frame and in
    a unit of its own. A model without a Gaussian head (vggt-1b) is used in geometry mode.

    Examples:
        fourreal reconstruct grid --out scene
        fourreal reconstruct grid --out scene --model weights/vggt-1b --merge-voxel 0.004
    """

    grid: tyro.conf.Positional[Path]
    """Grid folder, every cell known."""
    out: Path
    """Scene folder to write."""
    model: str = SHIPPED_NAME
    """mini (the package's own), vggt-1b (from the Hugging Face cache), or a folder with weights."""
    settings: OmitArgPrefixes[ReconstructSettings] = DEFAULTS
    """How a grid is reconstructed."""
    device: str = "auto"
    """auto, cpu or cuda."""
    allow_untrained: bool = False
    """Measure the time of a network of random weights; nothing is written."""
    overwrite: bool = False
    """Replace a scene folder that exists."""

    def run(self) -> None:
        from fourreal.core.progress import progress_bar
        from fourreal.files.grid_folder import load_grid
        from fourreal.pipeline import FourDPipeline
        from fourreal.recon.weights import find_model

        stored = load_grid(self.grid)
        loaded = find_model(self.model)
        if not loaded.trained and not self.allow_untrained:
            raise InputError(
                f"the model '{self.model}' was never trained, so its result would be noise; train it first, or "
                "give --allow-untrained to measure time only"
            )
        pipe = FourDPipeline(None, loaded.model, device=self.device)
        started = time.monotonic()
        with progress_bar("reconstruction") as progress, printed_notes():
            scene = pipe.reconstruct(stored.grid, settings=self.settings, progress=progress)
        seconds = time.monotonic() - started
        count = sum(len(step) for step in scene.steps)
        size = f"{stored.grid.num_views} views x {stored.grid.num_times} frames, {count:,} Gaussians in {seconds:.1f} s"
        if not loaded.trained:
            print(f"{size}, with random weights: a timing, not a reconstruction; nothing was written")
            return
        self._write(scene, stored, loaded.name, size)

    def _write(self, scene: GaussianSequence, stored: StoredGrid, model_name: str, size: str) -> None:
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
        print(f"{self.out}: {size}; input views rendered at {overview.psnr_db:.1f} dB; look at {picture}")
