"""`fourreal synth`: procedural worlds with exact depth and cameras, as grids and scenes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fourreal.core.errors import InputError

if TYPE_CHECKING:
    import torch

    from fourreal.data.mixture import MixtureConfig
    from fourreal.data.worlds import WorldConfig
    from fourreal.train.recipe import DraftStage, ReconStage, VideoStage


@dataclass(frozen=True, kw_only=True)
class Synth:
    """Render procedural 4D worlds: grids with exact depth and cameras, and their scenes.

    One world writes OUT/grid, OUT/scene (Gaussians lifted from the exact depth) and OUT/contact.png;
    several write OUT/000900, OUT/000901, ... named by their seeds. The same seed is the same world.

    With --shards, COUNT training samples go into tar shards instead, for `fourreal train --shards OUT`: the mixture
    of a recipe's stage, or the paper's shares in the size given here. Given again, it goes on where it stopped.

    Examples:
        fourreal synth --out out/demo
        fourreal synth --out out/worlds --count 16 --views 8 --frames 13 --no-scene
        fourreal synth --shards --recipe base --count 4000 --workers 8 --out out/shards
        fourreal synth --shards --captures 'transforms-json:dl3dv/*' --kind recon --count 4000 --out out/dl3dv
        fourreal synth --shards --kind draft --recipe mini --count 6000 --out out/shards-flow
    """

    out: Path
    """Folder to write to."""
    seed: int = 0
    """Which world; with --count the first of several."""
    count: int = 1
    """How many worlds."""
    views: int = 8
    """Rows of the grid."""
    frames: int = 13
    """Columns of the grid."""
    size: Annotated[tuple[int, int], tyro.conf.arg(metavar="HEIGHT WIDTH")] = (192, 192)
    """Frame size."""
    fps: float = 8.0
    """Columns per second."""
    background: Literal["mixed", "ground", "walls", "white"] = "mixed"
    """Surroundings of the objects; mixed: by the seed."""
    actors: Literal["any", "animated", "physics"] = "any"
    """What moves: jointed things that move by themselves, things that fall, roll and collide, or either."""
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
    shards: bool = False
    """Write training samples into tar shards."""
    recipe: str | None = None
    """Whose mixture and grid size the shards have, instead of what is given here."""
    stage: str | None = None
    """Which stage of the recipe; the last one when left out."""
    kind: Literal["video", "recon", "draft"] = "video"
    """video: frames for training a video model. recon: frames and depth for a reconstruction model. draft: frames and
    what exact flow needs, for a draft."""
    flow: bool = False
    """With --shards: also store what exact flow between any two cells needs (depth, instances, motion)."""
    curriculum: int = 0
    """Over so many samples of the shards the camera arcs open and the textures get loud; 0 starts with everything."""
    per_shard: int = 64
    """Samples in a shard."""
    clips: str | None = None
    """Make the shards of real clips in this folder, warped into grids, and of nothing else."""
    captures: str | None = None
    """Make the shards of a data set of captures, READER:PATH, and of nothing else."""
    workers: int = 0
    """Processes that write shards side by side; 0 writes them in this one."""

    def run(self) -> None:
        from fourreal.core.devices import resolve_device
        from fourreal.core.progress import progress_bar

        if self.count < 1:
            raise InputError(f"at least one world must be asked for; got a count of {self.count}")
        if self.shards:
            self._write_shards()
            return
        if self.clips is not None or self.captures is not None:
            raise InputError("clips and captures become training samples; add --shards")
        if self.flow:
            raise InputError("a grid folder stores no flow; add --shards, or leave --flow out")
        if self.recipe is not None or self.stage is not None:
            raise InputError("a recipe says what shards hold; add --shards, or leave --recipe and --stage out")
        config = self._worlds()
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
        print(f"{self.out}: {self.count} world{'s' * (self.count > 1)}, {self.views} views x {self.frames} frames each")

    def _write(self, folder: Path, config: WorldConfig, seed: int, device: torch.device) -> str:
        from fourreal.core.atomic import remove_leftovers
        from fourreal.data.worlds import make_world, render_world
        from fourreal.files.grid_folder import GridRecord, save_grid
        from fourreal.files.scene_folder import save_scene
        from fourreal.recon.lift import LiftSettings, lift_grid
        from fourreal.view.contact_sheet import write_contact_sheet

        if folder.is_dir():
            remove_leftovers(folder)
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

    def _worlds(self) -> WorldConfig:
        from fourreal.data.worlds import WorldConfig

        return WorldConfig(
            views=self.views,
            frames=self.frames,
            height=self.size[0],
            width=self.size[1],
            fps=self.fps,
            background=self.background,
            actors=self.actors,
            arc_deg=self.arc,
        )

    def _write_shards(self) -> None:
        from fourreal.core.devices import resolve_device
        from fourreal.core.progress import progress_bar
        from fourreal.data.capture_mixture import CaptureMixture, scenes_of
        from fourreal.data.clips import ClipFolder
        from fourreal.data.mixture import GridMixture
        from fourreal.data.shards import write_shards

        if self.clips is not None and self.captures is not None:
            raise InputError("shards are made of --clips or of --captures; give one, and a folder for each")
        if self.curriculum < 0:
            raise InputError(f"a curriculum cannot last fewer than 0 samples; got {self.curriculum}")
        config = replace(self._mixture(), curriculum_steps=self.curriculum)
        mixture = GridMixture(config)
        if self.clips is not None:
            _ = ClipFolder(Path(self.clips)).files
            mixture = GridMixture(replace(config, clips=self.clips, shares=(0.0, 0.0, 1.0, 0.0)))
        if self.captures is not None:
            scenes_of(self.captures)
            mixture = CaptureMixture(self.captures, config)
        with progress_bar("samples") as progress:
            written = write_shards(
                self.out,
                mixture,
                self.count,
                per_shard=self.per_shard,
                depth=self.kind != "video" or self.flow,
                flow=self.kind == "draft" or self.flow,
                workers=self.workers,
                device=resolve_device(self.device),
                progress=progress,
            )
        megabytes = sum(shard.stat().st_size for shard in written) / 1e6
        print(f"{self.out}: {self.count} samples of {config.worlds} in {len(written)} shards, {megabytes:.1f} MB")

    def _mixture(self) -> MixtureConfig:
        """What the shards show: a recipe's stage, or the paper's shares in the size given."""
        from fourreal.data.mixture import MixtureConfig
        from fourreal.train.catalog import find_recipe

        if self.recipe is None:
            if self.stage is not None:
                raise InputError(f"the stage '{self.stage}' belongs to a recipe; name it with --recipe")
            if self.actors != "any":
                raise InputError("shards mix animated and physics worlds by the paper's shares; leave --actors out")
            return MixtureConfig(worlds=self._worlds(), kind_sampling="actors", seed=self.seed)
        asked = [name for name in OF_WORLDS if getattr(self, name) != getattr(Synth, name)]
        if asked:
            raise InputError(f"the recipe '{self.recipe}' says what worlds to make; leave --{asked[0]} out")
        recipe = find_recipe(self.kind, self.recipe)
        stages = {stage.name: number for number, stage in enumerate(recipe.stages) if _is_of_grids(stage)}
        if self.stage is not None and self.stage not in stages:
            raise InputError(
                f"the recipe '{self.recipe}' has no stage '{self.stage}' of grids; expected one of {', '.join(stages)}"
            )
        number = stages[self.stage] if self.stage is not None else max(stages.values())
        return replace(recipe.stages[number].mixture, seed=self.seed * 100 + number)


OF_WORLDS = ("views", "frames", "size", "fps", "background", "actors", "arc")


def _is_of_grids(stage: VideoStage | ReconStage | DraftStage) -> bool:
    return getattr(stage, "data", "grids") == "grids"
