"""The log of a run: JSON lines, and plots of them."""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fourreal.core.atomic import atomic_file
from fourreal.core.errors import InputError

LOG, PLOTS = "log.jsonl", "plots"
BINS = 200


class RunLog:
    """Appends to `log.jsonl`. Lines of steps after the checkpoint that a run resumes from are dropped first."""

    def __init__(self, out: Path, resume_step: int = 0) -> None:
        self.file, self.out = out / LOG, out
        kept = [line for line in read_log(out) if line["step"] <= resume_step] if resume_step else []
        with atomic_file(self.file) as partial:
            partial.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")

    def write(self, step: int, stage: str, values: Mapping[str, float]) -> None:
        line = {"step": step, "stage": stage, **{name: float(f"{value:.6g}") for name, value in values.items()}}
        with self.file.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")


def read_log(out: Path) -> list[dict[str, Any]]:
    """All whole lines of a run's log; a line that a kill cut short or a disk damaged is left out."""
    file = out / LOG
    lines = []
    for text in file.read_bytes().splitlines() if file.is_file() else []:
        with contextlib.suppress(ValueError, RecursionError):
            line = json.loads(text)
            numbers = [value for key, value in line.items() if key != "stage"] if isinstance(line, dict) else []
            if isinstance(line, dict) and isinstance(line.get("step"), int) and all(map(_is_number, numbers)):
                lines.append(line)
    return lines


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def plot_log(out: Path) -> list[Path]:
    """One PNG a logged quantity, in `plots/`. A thin line is every value, a thick one means of stretches.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("plots need matplotlib; install it with: pip install 'fourreal[train]'") from None
    series: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line in read_log(out):
        for name, value in line.items():
            if name not in ("step", "stage"):
                series[name].append((line["step"], value))
    written = []
    for name, points in series.items():
        figure = Figure(figsize=(7, 4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        steps, values = zip(*points, strict=True)
        axes.plot(steps, values, linewidth=0.6, alpha=0.4, color="tab:blue")
        axes.plot(*_means(points), linewidth=1.8, color="tab:blue", marker="." if len(points) < 30 else "")
        if name.startswith("loss") and min(values) > 0:
            axes.set_yscale("log")
        axes.set(xlabel="optimiser step", ylabel=name, title=f"{name}: last {values[-1]:.4g}")
        axes.grid(alpha=0.3)
        path = out / PLOTS / f"{name.replace('/', '_')}.png"
        with atomic_file(path) as partial:
            figure.savefig(partial, dpi=110, format="png")
        written.append(path)
    return written


def _means(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Means of up to `BINS` equal stretches, at least four values in each where there are that many."""
    size = max(1, len(points) // BINS, min(4, len(points) // 8))
    stretches = [points[start : start + size] for start in range(0, len(points), size)]
    columns = [[sum(column) / len(column) for column in zip(*stretch, strict=True)] for stretch in stretches]
    return [column[0] for column in columns], [column[1] for column in columns]
