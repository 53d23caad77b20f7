"""`fourreal evaluate`: a protocol and a model in; figures, tables and plots out."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from fourreal.cli.evaluated_models import Evaluated
    from fourreal.eval.protocols.evaluate import Evaluation
    from fourreal.eval.protocols.protocol import Extent, Protocol
    from fourreal.eval.protocols.worlds import HeldOutWorlds

RECONSTRUCTION = ("worlds-recon",)


@dataclass(frozen=True)
class Evaluate:
    """Measure a model, or a baseline, by one of the papers' tables or by held-out worlds.

    Writes results.json, results.md and plots into OUT. Scores of single scenes are kept there as soon as
    they are measured: the same command goes on after an interruption.

    worlds: complete the grids of 64 held-out worlds from first row and first column.
    worlds-recon: reconstruct 64 held-out worlds and look at them from unseen views.

    Examples:
        fourreal evaluate worlds --model runs/micro/model --out evaluation
        fourreal evaluate worlds --model change-add --size 64 64 --views 4 --times 9 --out baseline
        fourreal evaluate worlds-recon --model runs/recon/model --out evaluation-recon
    """

    protocol: tyro.conf.Positional[Literal["worlds", "worlds-recon"]]
    """What to measure."""
    model: str
    """A model's name or folder, or a baseline: copy-view, copy-time, change-add, flow-warp, nearest-view."""
    out: Path
    """Folder to write into."""
    scenes: int | None = None
    """Only the first so many scenes."""
    steps: int = 16
    """Sampling steps of the generator."""
    sampler: Literal["euler", "unipc"] = "euler"
    """euler: first order. unipc: second order, better with few steps."""
    seed: int = 0
    """Of the generator's noise and of the bootstrap."""
    beside: tuple[str, ...] | None = None
    """Baselines to stand beside the model; all that can answer when left out, none beside a baseline."""
    size: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="HEIGHT WIDTH")] = None
    """Frame size, instead of the protocol's (for worlds: the one the model was trained at)."""
    views: int | None = None
    """Rows of the grids, instead of the protocol's (for worlds: the model's)."""
    times: int | None = None
    """Columns of the grids, instead of the protocol's (for worlds: the model's)."""
    arc: Annotated[tuple[float, float] | None, tyro.conf.arg(metavar="FROM TO")] = None
    """Range of camera arcs in degrees, for worlds; the model's when left out."""
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

        with locked(self.out), _said_once():
            protocol = self._protocol()
            with progress_bar(f"evaluate {self.protocol}") as progress:
                evaluation = evaluate(protocol, self.out, seed=self.seed, progress=progress)
        write_report(evaluation, self.out, _command())
        draw_plots(evaluation, self.out)
        self._say(evaluation)

    def _protocol(self) -> Protocol:
        from fourreal.eval.protocols.protocol import Models
        from fourreal.eval.protocols.worlds import worlds, worlds_recon

        found = self._model()
        identity = dict(found.identity)
        models = Models(found.name, identity, found.complete, found.reconstructor, self._beside(found))
        make = worlds if self.protocol == "worlds" else worlds_recon
        return make(models, self._held_out(found), self._extent())

    def _model(self) -> Evaluated:
        from fourreal.cli.evaluated_models import Sampling, find_generator, find_reconstructor

        sampling = Sampling(self.steps, self.sampler, self.seed, self.device)
        find = find_reconstructor if self.protocol in RECONSTRUCTION else find_generator
        return find(self.model, sampling)

    def _beside(self, found: Evaluated) -> tuple[str, ...] | None:
        from fourreal.eval.baselines import BASELINES

        return () if self.beside is None and found.name in BASELINES else self.beside

    def _extent(self) -> Extent:
        from fourreal.eval.protocols.protocol import Extent

        return Extent(self.scenes, self.size, self.views, self.times, self.perceptual)

    def _held_out(self, found: Evaluated) -> HeldOutWorlds:
        """The size of the model's training where it is known, else the protocol's; flags come before both."""
        from dataclasses import replace

        from fourreal.eval.protocols.worlds import HeldOutWorlds

        worlds, trained = HeldOutWorlds(), found.trained_on
        if found.image_size is not None:
            worlds = replace(worlds, image_size=found.image_size)
        if trained is not None:
            arc = trained.arc_deg or worlds.arc_deg
            worlds = HeldOutWorlds(trained.views, trained.frames, trained.image_size, trained.fps, arc)
        asked = {"views": self.views, "times": self.times, "image_size": self.size, "arc_deg": self.arc}
        return replace(worlds, **{name: value for name, value in asked.items() if value is not None})

    def _say(self, evaluation: Evaluation) -> None:
        from fourreal.eval.protocols.report import shown

        for metric in evaluation.protocol.metrics:
            score = evaluation.scores[evaluation.model][metric.name]
            margin = evaluation.margins.get(metric.name)
            against = "" if margin is None else f"; {shown(margin.difference)} against {margin.baseline}"
            unit = f" {metric.unit}" if metric.unit else ""
            print(f"{metric.name}: {shown(score)}{unit}{against}")
        print(f"{self.out / 'results.md'}: the table; results.json: every figure; plots beside them")


def _command() -> str:
    import shlex

    return shlex.join(["fourreal", *sys.argv[1:]])


@contextlib.contextmanager
def _said_once() -> Iterator[None]:
    """What a model warns of, a line for each thing said, with how often."""
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for sentence, times in Counter(str(warning.message) for warning in caught).items():
        print(f"fourreal: {sentence}{f' ({times} times)' if times > 1 else ''}", file=sys.stderr)
