"""`fourreal evaluate`: a protocol and a model in; figures, tables and plots out."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fourreal.core.errors import InputError
from fourreal.core.notes import printed_notes

if TYPE_CHECKING:
    from collections.abc import Callable

    from fourreal.cli.evaluated_models import Evaluated, Sampling
    from fourreal.core.grid import VideoGrid
    from fourreal.data.worlds import WorldConfig
    from fourreal.eval.protocols.evaluate import Evaluation
    from fourreal.eval.protocols.protocol import Extent, Models, Protocol

ProtocolName = Literal[
    "worlds",
    "worlds-recon",
    "grid",
    "v1-table-1",
    "v1-table-2",
    "v2-table-2-nvidia",
    "v2-table-2-objaverse",
    "v2-table-3",
    "v2-table-6-llff",
    "v2-table-6-tanks",
    "v2-table-7",
    "v2-table-s6",
    "sv4d2-table-1",
    "sv4d2-table-2",
    "sv4d2-table-3",
    "sv4d2-table-4",
]
RECONSTRUCTION = ("worlds-recon", "v2-table-6-llff", "v2-table-6-tanks", "v2-table-7")
"""Protocols whose model is a reconstruction model."""


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
    """Reconstruction model beside a generator, for the protocols that take both."""
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
    beside: tuple[str, ...] | None = None
    """Baselines to stand beside the model; all that can answer when left out, none beside a baseline."""
    size: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="HEIGHT WIDTH")] = None
    """Frame size, instead of the protocol's (for worlds: the one the model was trained at)."""
    views: int | None = None
    """Rows of the grids, instead of the protocol's (for worlds: the model's); in v2-table-6 and 7, input views."""
    times: int | None = None
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
        self._say(evaluation)

    def _protocol(self) -> Protocol:
        from fourreal.cli.evaluated_models import Evaluated
        from fourreal.eval.protocols.worlds import worlds, worlds_recon

        found = self._model()
        models = self._models(found)
        if self.protocol in ("worlds", "worlds-recon"):
            make = worlds if self.protocol == "worlds" else worlds_recon
            return make(models, self._held_out(found), self._extent(Evaluated(found.name, {})))
        if self.data is None:
            raise InputError(f"{self.protocol} reads a benchmark's own files; give their folder with --data")
        return self._on_files(models, self._extent(found), self.data)

    def _on_files(self, models: Models, extent: Extent, data: Path) -> Protocol:
        from fourreal.eval.feature_cache import FeatureCache
        from fourreal.eval.protocols import one_grid, sv4d2, v1, v2_generation, v2_reconstruction

        cache = FeatureCache(self.out / "features")
        plain = {
            "v1-table-2": v1.v1_table_2,
            "v2-table-2-nvidia": v2_generation.v2_table_2_nvidia,
            "v2-table-2-objaverse": v2_generation.v2_table_2_objaverse,
            "v2-table-3": v2_generation.v2_table_3,
            "v2-table-6-llff": v2_reconstruction.v2_table_6_llff,
            "v2-table-6-tanks": v2_reconstruction.v2_table_6_tanks,
            "v2-table-7": v2_reconstruction.v2_table_7,
            "v2-table-s6": v2_reconstruction.v2_table_s6,
        }
        with_videos = {
            "v1-table-1": v1.v1_table_1,
            "sv4d2-table-1": sv4d2.sv4d2_table_1,
            "sv4d2-table-2": sv4d2.sv4d2_table_2,
            "sv4d2-table-3": sv4d2.sv4d2_table_3,
            "sv4d2-table-4": sv4d2.sv4d2_table_4,
        }
        if self.protocol in plain:
            return plain[self.protocol](data, models, extent)
        if self.protocol in with_videos:
            return with_videos[self.protocol](data, models, extent, cache)
        return one_grid.one_grid(_grids(data), models, extent, str(data))

    def _model(self) -> Evaluated:
        from fourreal.cli.evaluated_models import find_generator, find_reconstructor

        find = find_reconstructor if self.protocol in RECONSTRUCTION else find_generator
        return find(self.model, self._sampling())

    def _sampling(self) -> Sampling:
        from fourreal.cli.evaluated_models import Sampling

        return Sampling(self.steps, self.sampler, self.seed, self.device, self.align)

    def _models(self, found: Evaluated) -> Models:
        from fourreal.cli.evaluated_models import find_reconstructor
        from fourreal.eval.baselines import BASELINES
        from fourreal.eval.protocols.protocol import Models

        beside = () if self.beside is None and found.name in BASELINES else self.beside
        name, identity, reconstructor = found.name, dict(found.identity), found.reconstructor
        if self.recon is not None:
            second = find_reconstructor(self.recon, self._sampling())
            name, identity = f"{name} + {second.name}", {**identity, "recon": dict(second.identity)}
            reconstructor = second.reconstructor
        return Models(name, identity, found.complete, reconstructor, beside)

    def _extent(self, found: Evaluated) -> Extent:
        """What the flags say; a model made for a size is given that size unless they say another."""
        from fourreal.eval.protocols.protocol import Extent

        trained = found.trained_on if found.complete is not None else None
        size = self.size or (None if trained is None else trained.image_size)
        return Extent(self.scenes, size, self.views, self.times, self.perceptual, self.video_features)

    def _held_out(self, found: Evaluated) -> WorldConfig:
        """The size of the model's training where it is known, else the protocol's; flags come before both."""
        from dataclasses import replace

        from fourreal.data.worlds import WorldConfig

        worlds = WorldConfig()
        height, width = self.size or found.image_size or worlds.image_size
        if found.trained_on is not None:
            trained = {name: value for name, value in vars(found.trained_on).items() if value is not None}
            worlds = replace(worlds, **trained)
            height, width = self.size or worlds.image_size
        asked = {"views": self.views, "frames": self.times, "height": height, "width": width, "arc_deg": self.arc}
        return replace(worlds, **{name: value for name, value in asked.items() if value is not None})

    def _say(self, evaluation: Evaluation) -> None:
        from fourreal.eval.protocols.report import shown

        for metric in evaluation.protocol.metrics:
            score = evaluation.scores[evaluation.model][metric.name]
            margin = evaluation.margins.get(metric.name)
            against = "" if margin is None else f"; margin over {margin.baseline}: {shown(margin.difference)}"
            unit = f" {metric.unit}" if metric.unit else ""
            print(f"{metric.name}: {shown(score)}{unit}{against}")
        print(f"{self.out / 'results.md'}: the table; results.json: every figure; plots beside them")


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
