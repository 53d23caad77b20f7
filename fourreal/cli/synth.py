"""`fourreal synth`: procedural worlds with exact depth and cameras, as grids and scenes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fourreal.core.errors import InputError

if TYPE_CHECKING:
    import torch

    from fourreal.data.worlds import WorldConfig


@dataclass(frozen=True)
class Synth:
    """Render procedural 4D worlds: grids with exact depth and cameras, and their scenes.

    One world writes OUT/grid, OUT/scene (Gaussians lifted from the exact depth) and OUT/contact.png;
    several write OUT/000900, OUT/000901, ... named by their seeds. The same seed is the same world.

    Examples:
        fourreal synth --out out/demo
        fourreal synth --out out/worlds --count 16 --views 8 --times 13 --no-scene
    """

    out: Path
    """Folder to write to."""
    seed: int = 0
    """Which world; with --count the first of several."""
    count: int = 1
    """How many worlds."""
    views: int = 8
    """Rows of the grid."""
    times: int = 13
    """Columns of the grid."""
    size: Annotated[tuple[int, int], tyro.conf.arg(metavar="HEIGHT WIDTH")] = (192, 192)
    """Frame size."""
    fps: float = 8.0
    """Columns per second."""
    background: Literal["mixed", "ground", "walls", "white"] = "mixed"
    """Where the objects are; mixed lets the seed decide."""
    arc: Annotated[tuple[float, float], tyro.conf.arg(metavar="LOW HIGH")] = (40.0, 70.0)
    """Range of the angle between the first and the last view, degrees."""
    scene: bool = True
    """Also lift the grid to Gaussians."""
    storage: Literal["video", "png"] = "video"
    """video: H.264 in full colour, small. png: lossless."""
    device: str = "auto"
    """auto, cpu or cuda."""
    overwrite: bool = False
    """Replace folders that exist."""

    def run(self) -> None:
        from fourreal.core.devices import resolve_device
        from fourreal.core.progress import progress_bar
        from fourreal.data.worlds import WorldConfig

        if self.count < 1:
            raise InputError(f"at least one world must be asked for; got a count of {self.count}")
        config = WorldConfig(
            views=self.views,
            times=self.times,
            image_size=self.size,
            fps=self.fps,
            background=self.background,
            arc_deg=self.arc,
        )
        device = resolve_device(self.device)
        seeds = range(self.seed, self.seed + self.count)
        caption = ""
        with progress_bar("worlds") as progress:
            for index, seed in enumerate(seeds):
                folder = self.out if self.count == 1 else self.out / f"{seed:06d}"
                caption = self._write(folder, config, seed, device)
                progress(index + 1, self.count)
        if self.count == 1:
            print(caption)
        print(f"{self.out}: {self.count} world{'s' * (self.count > 1)}, {self.views} views x {self.times} times each")

    def _write(self, folder: Path, config: WorldConfig, seed: int, device: torch.device) -> str:
        from fourreal.data.worlds import make_world, render_world
        from fourreal.files.grid_folder import GridRecord, save_grid
        from fourreal.files.scene_folder import save_scene
        from fourreal.recon.lift import LiftSettings, lift_grid
        from fourreal.view.contact_sheet import write_contact_sheet

        sample = render_world(make_world(config, seed), device)
        grid, depth = sample.grid.to("cpu"), sample.depth.cpu()
        record = GridRecord(depth=depth, caption=sample.caption, source=sample.source, licence=sample.licence)
        save_grid(folder / "grid", grid, record=record, storage=self.storage, overwrite=self.overwrite)
        write_contact_sheet(folder / "contact.png", grid)
        if self.scene:
            # White around an object is the absence of a world, not a white dome; a sky is a dome.
            behind = grid.frames.permute(0, 1, 3, 4, 2)[depth.isinf()]
            settings = LiftSettings(shell=None) if bool((behind > 0.999).all()) else LiftSettings()
            save_scene(
                folder / "scene",
                lift_grid(grid, depth, settings),
                caption=sample.caption,
                source=sample.source,
                licence=sample.licence,
                overwrite=self.overwrite,
            )
        return sample.caption
