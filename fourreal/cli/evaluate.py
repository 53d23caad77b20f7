"""`fourreal evaluate`: a protocol and a model in; figures, tables and plots out."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fourreal.core.errors import InputError
from fourreal.core.notes import printed_notes
from fourreal.eval.protocols import PROTOCOLS

if TYPE_CHECKING:
    ProtocolName = str
    from collections.abc import Callable

    from fourreal.core.grid import VideoGrid
    from fourreal.data.worlds import WorldConfig
    from fourreal.eval.protocols.evaluate import Evaluation
    from fourreal.eval.protocols.protocol import Extent, Models, Protocol
else:
    ProtocolName = Literal[tuple(PROTOCOLS)]


@dataclass(frozen=True)
class Evaluate:
    """Measure a model, or a baseline, by one of the papers' tables or by held-out worlds.

    Writes results.json, results.md and plots into OUT. Scores of single scenes are kept there as soon as they are
    measured: the same command goes on after an interruption. What each protocol fixes: docs/evaluation.md.

    Examples:
        fourreal evaluate worlds --model runs/mini/model --out evaluation
        fourreal evaluate worlds-recon --model runs/recon/model --out evaluation-recon
        fourreal evaluate grid --data kitchen --model flow-warp --out kitchen-flow
        fourreal evaluate v2-table-2-nvidia --data nvidia --model mini --out table-2
        fourreal evaluate v2-table-s6 --data nvidia --model mini --recon mini --out table-s6
    """

    protocol: tyro.conf.Positional[ProtocolName]
    """worlds, worlds-recon: this project's, from seeds. grid: any complete grid folder, or a folder of such.
    v1, v2, sv4d2: the papers' tables, from the benchmarks' own files."""
    model: str
    """A model's name or folder, or a baseline: copy-view, copy-time, change-add, flow-warp, nearest-view,
    row-warp."""
    out: Path
    """Folder to write into."""
    data: Path | None = None
    """Folder with the benchmark's scenes; worlds need none."""
    recon: str | None = None
    """Reconstruction model in addition to a generator, for the protocols that take both."""
    scenes: int | None = None
    """Only the first so many scenes."""
    steps: int = 16
    """Sampling steps of the generator."""
    sampler: Literal["euler", "unipc"] = "euler"
    """euler: first order. unipc: second order, better with few steps."""
    align: Literal["auto", "always", "never"] = "auto"
    """Whether a reconstruction's views are made to agree; see `fourreal reconstruct`."""
    seed: int = 0
    """Of the generator's noise and of the bootstrap."""
    baselines: tuple[str, ...] | None = None
    """Baselines to compare with; all that apply when left out, none when the model is a baseline itself."""
    size: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="HEIGHT WIDTH")] = None
    """Frame size, instead of the protocol's (for worlds: the one the model was trained at)."""
    views: int | None = None
    """Rows of the grids, instead of the protocol's (for worlds: the model's); in v2-table-6 and 7, input views."""
    frames: int | None = None
    """Columns of the grids, instead of the protocol's (for worlds: the model's)."""
    arc: Annotated[tuple[float, float] | None, tyro.conf.arg(metavar="FROM TO")] = None
    """Range of camera arcs in degrees, for worlds; the model's when left out."""
    video_features: Literal["i3d", "videomae", "random"] = "i3d"
    """Network of Frechet distances of videos. random: untrained, to try things out."""
    perceptual: bool = True
    """Measure learned distances between pictures too; they take most of the time."""
    device: str = "auto"
    """auto, cpu or cuda."""

    def run(self) -> None:
        from fourreal.core.folder_lock import locked
        from fourreal.core.progress import progress_bar
        from fourreal.eval.protocols.evaluate import evaluate
        from fourreal.eval.protocols.plots import draw_plots
        from fourreal.eval.protocols.report import write_report

        with locked(self.out), printed_notes(all_warnings=True):
            protocol = self._protocol()
            with progress_bar(f"evaluate {self.protocol}") as progress:
                evaluation = evaluate(protocol, self.out, seed=self.seed, progress=progress)
        write_report(evaluation, self.out, _command())
        draw_plots(evaluation, self.out)
        self._print(evaluation)

    def _protocol(self) -> Protocol:
        import importlib

        module, function, kind = PROTOCOLS[self.protocol]
        make = getattr(importlib.import_module(f"fourreal.eval.protocols.{module}"), function)
        models = self._models(kind)
        extent = self._extent(models)
        if module == "worlds":
            return make(models, self._held_out(models), replace(extent, size=None))
        if self.data is None:
            raise InputError(f"{self.protocol} reads a benchmark's own files; give their folder with --data")
        if self.protocol == "grid":
            return make(_grids(self.data), models, extent, str(self.data))
        return make(self.data, models, extent)

    def _models(self, kind: str) -> Models:
        from fourreal.cli.evaluated_models import find_generator, find_reconstructor
        from fourreal.eval.baselines import BASELINES
        from fourreal.video.settings import GenerationSettings

        if kind == "reconstruction":
            models = find_reconstructor(self.model, self.align, self.device)
        else:
            settings = GenerationSettings(steps=self.steps, sampler=self.sampler, seed=self.seed, device=self.device)
            models = find_generator(self.model, settings)
        if self.recon is not None:
            recon = find_reconstructor(self.recon, self.align, self.device)
            models = replace(
                models,
                name=f"{models.name} + {recon.name}",
                identity={**models.identity, "recon": dict(recon.identity)},
                reconstructor=recon.reconstructor,
            )
        no_baselines = self.baselines is None and self.model in BASELINES
        return replace(models, baselines=() if no_baselines else self.baselines)

    def _extent(self, found: Models) -> Extent:
        """What the flags say; without --size the frame size that a generator was trained on."""
        from fourreal.eval.feature_cache import FeatureCache
        from fourreal.eval.protocols.protocol import Extent

        trained = found.trained_on if found.complete is not None else None
        size = self.size or (None if trained is None else trained.image_size)
        return Extent(
            scenes=self.scenes,
            size=size,
            views=self.views,
            frames=self.frames,
            perceptual=self.perceptual,
            video_features=self.video_features,
            cache=FeatureCache(self.out / "features"),
        )

    def _held_out(self, found: Models) -> WorldConfig:
        """The size of the model's training where it is known, else the protocol's; flags come before both."""
        from fourreal.data.worlds import WorldConfig

        worlds = WorldConfig()
        height, width = self.size or found.image_size or worlds.image_size
        if found.trained_on is not None:
            trained = {name: value for name, value in vars(found.trained_on).items() if value is not None}
            worlds = replace(worlds, **trained)
            height, width = self.size or worlds.image_size
        asked = {"views": self.views, "frames": self.frames, "height": height, "width": width, "arc_deg": self.arc}
        return replace(worlds, **{name: value for name, value in asked.items() if value is not None})

    def _print(self, evaluation: Evaluation) -> None:
        from fourreal.eval.protocols.report import shown

        for metric in evaluation.protocol.metrics:
            score = evaluation.scores[evaluation.model][metric.name]
            against = ""
            if metric.name in evaluation.margins:
                baseline, difference = evaluation.margins[metric.name]
                against = f"; margin over {baseline}: {shown(difference)}"
            unit = f" {metric.unit}" if metric.unit else ""
            print(f"{metric.name}: {shown(score)}{unit}{against}")
        print(f"{self.out / 'results.md'}: the table; results.json: every figure; plots in the same folder")


def _grids(data: Path) -> dict[str, Callable[[], VideoGrid]]:
    """The grid folder, or all grid folders in it, read when they are needed."""
    from fourreal.core.media import natural_order
    from fourreal.files.grid_folder import GRID_MANIFEST, load_grid

    found = [data] if (data / GRID_MANIFEST).is_file() else []
    if not found and data.is_dir():
        found = natural_order([path for path in data.iterdir() if (path / GRID_MANIFEST).is_file()])
    if not found:
        raise InputError(f"{data} is no grid folder and holds none; `fourreal import` makes them of footage")
    return {path.name: lambda path=path: load_grid(path).grid for path in found}


def _command() -> str:
    import shlex

    return shlex.join(["fourreal", *sys.argv[1:]])
