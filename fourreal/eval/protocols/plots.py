"""An evaluation as pictures: bars with intervals, scenes against the best baseline, slices in time, worst cells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from fourreal.core.atomic import atomic_file
from fourreal.core.errors import InputError
from fourreal.core.linspace_indices import linspace_indices
from fourreal.eval.protocols.evaluate import Evaluation
from fourreal.eval.scores import Measured

MODEL_COLOUR, BASELINE_COLOUR = "#2a6f97", "#b8b8b8"
SLICES, FAILURES = 6, 24
FAILURES_A_ROW = 6


def draw_plots(evaluation: Evaluation, out: Path) -> list[Path]:
    """Write `bars.png`, `scenes.png`, `slices.png` and `failures.png`; those for which there are data.

    Raises:
        InputError: matplotlib is not installed.
    """
    drawn = {
        "bars.png": _bars(evaluation),
        "scenes.png": _scatter(evaluation),
        "slices.png": _slices(evaluation),
        "failures.png": _failures(evaluation),
    }
    written = []
    for name, figure in drawn.items():
        if figure is not None:
            with atomic_file(out / name) as partial:
                figure.savefig(partial, dpi=110, format="png")
            written.append(out / name)
    return written


def _figure(rows: int, columns: int, cell: tuple[float, float]) -> tuple[Any, list[list[Any]]]:
    """A figure and its axes; `cell` is (width, height) in inches."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("plots need matplotlib; install it with: pip install 'fourreal[train]'") from None
    figure = Figure(figsize=(columns * cell[0], rows * cell[1]), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False).tolist()


def _bars(evaluation: Evaluation) -> Any:
    """A panel per metric, a bar per method, its interval as a whisker."""
    shown = [
        m for m in evaluation.protocol.metrics if isinstance(evaluation.scores[evaluation.model][m.name], Measured)
    ]
    if not shown:
        return None
    methods = list(evaluation.scores)
    figure, axes = _figure(1, len(shown), (max(2.4, 0.45 * len(methods) + 1), 3.6))
    for panel, metric in zip(axes[0], shown, strict=True):
        for place, method in enumerate(methods):
            score = evaluation.scores[method][metric.name]
            if not isinstance(score, Measured):
                continue
            panel.bar(place, score.value, color=MODEL_COLOUR if place == 0 else BASELINE_COLOUR, width=0.75)
            if score.interval is not None:
                panel.plot([place, place], score.interval, color="black", linewidth=1.2)
        panel.set_xticks(range(len(methods)), methods, rotation=60, ha="right", fontsize=8)
        panel.set_title(
            f"{metric.name}{f', {metric.unit}' if metric.unit else ''}\n{metric.better} is better", fontsize=9
        )
        panel.margins(y=0.12)
    figure.suptitle(evaluation.protocol.title, fontsize=9)
    return figure


def _scatter(evaluation: Evaluation) -> Any:
    """One dot per scene: the model against the best baseline of the metric; on the diagonal they are equal."""
    margins = list(evaluation.margins.items())
    if not margins:
        return None
    columns = min(len(margins), 4)
    figure, axes = _figure(math.ceil(len(margins) / columns), columns, (3.2, 3.2))
    panels = [panel for row in axes for panel in row]
    for panel, (metric, (best, _)) in zip(panels, margins, strict=False):
        model, baseline = evaluation.per_scene[evaluation.model], evaluation.per_scene[best]
        groups = evaluation.protocol.groups or {"": evaluation.protocol.scenes}
        for group, scenes in groups.items():
            x = [baseline[scene][metric] for scene in scenes]
            y = [model[scene][metric] for scene in scenes]
            panel.plot(x, y, "o", markersize=3.5, alpha=0.7, label=group or None)
        low, high = (pick(*panel.get_xlim(), *panel.get_ylim()) for pick in (min, max))
        panel.plot([low, high], [low, high], color="black", linewidth=0.7)
        panel.set(xlabel=best, ylabel=evaluation.model)
        panel.set_title(metric, fontsize=9)
        if evaluation.protocol.groups:
            panel.legend(fontsize=6)
    for panel in panels[len(margins) :]:
        panel.set_axis_off()
    return figure


def _slices(evaluation: Evaluation) -> Any:
    """One image column through time, of the model, the truth and the baselines. Source: 4Real-Video-V2, Figure 5."""
    scenes = [scene for scene, score in evaluation.stored[evaluation.model].items() if score.qualitative]
    if not scenes:
        return None
    scenes = [scenes[place] for place in linspace_indices(len(scenes), SLICES)]
    methods = list(evaluation.scores)
    with_truth = any("slice_true" in _pictures(evaluation, evaluation.model, scene) for scene in scenes)
    figure, axes = _figure(len(scenes), 1 + with_truth + len(methods), (1.5, 1.6))
    for row, scene in zip(axes, scenes, strict=True):
        model = _pictures(evaluation, evaluation.model, scene)
        shown: list[tuple[str, Tensor | None]] = [(scene, model["frame"])]
        if with_truth:
            shown.append(("truth", model.get("slice_true")))
        shown += [(method, _pictures(evaluation, method, scene).get("slice")) for method in methods]
        for panel, (title, picture) in zip(row, shown, strict=True):
            _show(panel, picture, title, stretch=title != scene)
    figure.suptitle("The marked column of the image at every time (time to the right)", fontsize=9)
    return figure


def _failures(evaluation: Evaluation) -> Any:
    """The worst cell of each of the worst scenes, generated and true."""
    metric = next((m for m in evaluation.protocol.metrics if m.name == "PSNR"), None)
    stored = evaluation.stored[evaluation.model]
    scenes = [scene for scene, score in stored.items() if score.qualitative]
    if metric is None or not scenes:
        return None
    worst = {scene: float(stored[scene].cells[metric.name].nan_to_num(math.inf).min()) for scene in scenes}
    chosen = sorted(scenes, key=worst.__getitem__)[:FAILURES]
    columns = min(len(chosen), FAILURES_A_ROW)
    rows = math.ceil(len(chosen) / columns)
    figure, axes = _figure(2 * rows, columns, (1.7, 1.8))
    for panel in (panel for row in axes for panel in row):
        panel.set_axis_off()
    for number, scene in enumerate(chosen):
        row, column = divmod(number, columns)
        view, time = stored[scene].worst_cell
        pictures = stored[scene].qualitative
        _show(axes[2 * row][column], pictures["worst"], f"{scene}\nview {view}, time {time}: {worst[scene]:.1f} dB")
        _show(axes[2 * row + 1][column], pictures.get("worst_true"), "truth")
    return figure


def _pictures(evaluation: Evaluation, method: str, scene: str) -> Mapping[str, UInt8[Tensor, "3 _ _"]]:
    return evaluation.stored[method][scene].qualitative


def _show(panel: Any, picture: UInt8[Tensor, "3 _ _"] | None, title: str, *, stretch: bool = False) -> None:
    panel.set_axis_off()
    panel.set_title(title, fontsize=6.5)
    if picture is not None:
        panel.imshow(picture.permute(1, 2, 0).numpy(), interpolation="nearest", aspect="auto" if stretch else "equal")
