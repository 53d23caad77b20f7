"""`fourreal evaluate`: a protocol and a model in; figures, tables and plots out."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import tyro
from tyro.conf import OmitArgPrefixes
from tyro.extras import literal_type_from_choices

from fourreal.core.errors import InputError
from fourreal.core.notes import printed_notes
from fourreal.core.shipped import SHIPPED_NAME
from fourreal.eval.protocols import PROTOCOLS, RECONSTRUCTION_PROTOCOLS, make_protocol
from fourreal.recon.settings import DEFAULTS as RECONSTRUCTION
from fourreal.video.settings import DEFAULTS as GENERATION
from fourreal.video.settings import WEIGHT_TYPE, GenerationSettings, WeightChoice

if TYPE_CHECKING:
    from collections.abc import Callable

    from fourreal.core.grid import VideoGrid
    from fourreal.data.worlds import WorldConfig
    from fourreal.eval.protocols.evaluate import Evaluation
    from fourreal.eval.protocols.protocol import Extent, Models

    ProtocolName: TypeAlias = str
else:
    ProtocolName = literal_type_from_choices(PROTOCOLS)


@dataclass(frozen=True, kw_only=True)
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
    model: str = SHIPPED_NAME
    """A model's name or folder, or a baseline: copy-view, copy-time, change-add, flow-warp, nearest-view,
    row-warp."""
    out: Path
    """Folder to write into."""
    delta: Path | None = None
    """Folder of view-time weights to load over the model's."""
    weight_type: WeightChoice = WEIGHT_TYPE
    """Number format of the generator's weights; int8 (with torchao) halves bfloat16, auto takes what fits."""
    data: Path | None = None
    """Folder with the benchmark's scenes; worlds need none."""
    recon: str | None = None
    """Reconstruction model after a generator, for the protocols that take both."""
    scenes: int | None = None
    """Only the first so many scenes."""
    sampling: OmitArgPrefixes[GenerationSettings] = GENERATION
    """How the generator samples; the seed is of the bootstrap too."""
    align: Literal["auto", "always", "never"] = RECONSTRUCTION.align
    """Whether a reconstruction's views are made to agree; see `fourreal reconstruct`."""
    baselines: tuple[str, ...] | None = None
    """Baselines to compare the model with; all that can answer when left out, none for a baseline."""
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

    def run(self) -> None:
        from fourreal.core.devices import resolve_device
        from fourreal.core.extras import require_modules
        from fourreal.core.folder_lock import locked
        from fourreal.core.progress import progress_bar
        from fourreal.eval.protocols.evaluate import evaluate
        from fourreal.eval.protocols.plots import draw_plots
        from fourreal.eval.protocols.report import write_report

        resolve_device(self.sampling.device)
        require_modules({"matplotlib": ("train", "the plots of an evaluation")})
        with locked(self.out), printed_notes(all_warnings=True):
            models = self._models()
            protocol = make_protocol(self.protocol, self._data(models), models, self._extent(models))
            with progress_bar(f"evaluate {self.protocol}") as progress:
                evaluation = evaluate(protocol, self.out, seed=self.sampling.seed, progress=progress)
        write_report(evaluation, self.out, _command())
        draw_plots(evaluation, self.out)
        self._print(evaluation)

    def _models(self) -> Models:
        from dataclasses import replace

        from fourreal.cli.evaluated_models import find_generator, find_reconstructor
        from fourreal.eval.baselines import BASELINES

        if self.protocol in RECONSTRUCTION_PROTOCOLS:
            if self.delta is not None:
                raise InputError(
                    f"{self.protocol} takes a reconstruction model, and --delta is for generators; leave it out"
                )
            return find_reconstructor(self.model, align=self.align, device=self.sampling.device)
        models = find_generator(self.model, self.sampling, delta=self.delta, weight_type=self.weight_type)
        models = replace(models, baselines=() if self.baselines is None and self.model in BASELINES else self.baselines)
        if self.recon is None:
            return models
        second = find_reconstructor(self.recon, align=self.align, device=self.sampling.device)
        return replace(
            models,
            name=f"{models.name} + {second.name}",
            identity={**models.identity, "recon": dict(second.identity)},
            reconstructor=second.reconstructor,
        )

    def _data(self, models: Models) -> Any:
        """The data argument of `make_protocol`."""
        if self.protocol in ("worlds", "worlds-recon"):
            return self._held_out(models)
        if self.data is None:
            raise InputError(f"{self.protocol} reads a benchmark's own files; give their folder with --data")
        return _grids(self.data) if self.protocol == "grid" else self.data

    def _extent(self, models: Models) -> Extent:
        """What the flags say; a generator is given the frame size of its training unless they say another."""
        from fourreal.eval.feature_cache import FeatureCache
        from fourreal.eval.protocols.protocol import Extent

        trained = models.trained_on if models.complete is not None else None
        return Extent(
            scenes=self.scenes,
            size=self.size or (None if trained is None else trained.image_size),
            views=self.views,
            frames=self.frames,
            perceptual=self.perceptual,
            video_features=self.video_features,
            cache=FeatureCache(self.out / "features"),
        )

    def _held_out(self, models: Models) -> WorldConfig:
        """The size of the model's training where it is known, else the protocol's; flags come before both."""
        from fourreal.data.worlds import WorldConfig

        height, width = self.size or (None, None)
        asked = {"views": self.views, "frames": self.frames, "height": height, "width": width, "arc_deg": self.arc}
        chosen = {**(vars(models.trained_on) if models.trained_on else {}), **_given(asked)}
        return WorldConfig(**_given(chosen))

    def _print(self, evaluation: Evaluation) -> None:
        from fourreal.eval.protocols.report import shown

        for metric in evaluation.protocol.metrics:
            score = evaluation.scores[evaluation.model][metric.name]
            baseline, difference = evaluation.margins.get(metric.name, (None, None))
            against = "" if difference is None else f"; margin over {baseline}: {shown(difference)}"
            unit = f" {metric.unit}" if metric.unit else ""
            print(f"{metric.name}: {shown(score)}{unit}{against}")
        print(f"{self.out / 'results.md'}: the table; results.json: every figure; plots in the same folder")


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


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
