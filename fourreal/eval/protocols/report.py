"""The report of an evaluation: `results.json` with every figure, and `results.md`, a table with the paper's rows."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import fourreal
from fourreal.core.atomic import atomic_file
from fourreal.core.plain_text import plain
from fourreal.eval.protocols.evaluate import Evaluation
from fourreal.eval.scores import Measured, Metric, NotComputed, Score

ARROWS = {"higher": "↑", "lower": "↓"}


def write_report(evaluation: Evaluation, out: Path, command: str = "") -> None:
    """Write `results.json` and `results.md` into a folder, each whole or not at all.

    Args:
        command: the command line of this evaluation.
    """
    for name, text in (("results.json", _json(evaluation, command)), ("results.md", _markdown(evaluation, command))):
        with atomic_file(out / name) as partial:
            partial.write_text(text, encoding="utf-8")


def shown(score: Score, digits: int = 4) -> str:
    """A score as text: value and interval, or a dash."""
    if isinstance(score, NotComputed):
        return "–"
    text = number(score.value, digits)
    if score.interval is None:
        return text
    return f"{text} [{', '.join(number(end, digits) for end in score.interval)}]"


def number(value: float, digits: int = 4) -> str:
    """As many significant digits, without an exponent."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "–"
    size = 0 if value == 0 else math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, min(digits - 1 - size, 7))}f}"


# ---- JSON --------------------------------------------------------------------------------------


def _json(evaluation: Evaluation, command: str) -> str:
    protocol = evaluation.protocol
    document = {
        "protocol": protocol.name,
        "title": protocol.title,
        "command": command,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"fourreal": fourreal.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "model": evaluation.model,
        "methods": {method: dict(identity) for method, identity in protocol.methods.items()},
        "settings": dict(protocol.settings),
        "metrics": {m.name: {"better": m.better, "unit": m.unit, "pooled": m.pooled} for m in protocol.metrics},
        "scenes": list(protocol.scenes),
        "scores": {method: _plain_scores(scores) for method, scores in evaluation.scores.items()},
        "groups": {
            group: {method: _plain_scores(scores) for method, scores in methods.items()}
            for group, methods in evaluation.groups.items()
        },
        "against_best_baseline": {
            metric: {"baseline": baseline, **_plain(difference)}
            for metric, (baseline, difference) in evaluation.margins.items()
        },
        "per_scene": {
            method: {
                scene: {
                    **{metric: _finite(value) for metric, value in values.items()},
                    "seconds": evaluation.stored[method][scene].seconds,
                }
                for scene, values in scenes.items()
            }
            for method, scenes in evaluation.per_scene.items()
        },
        "per_cell": {
            method: {
                scene: {name: [_finite(v) for v in values.tolist()] for name, values in score.cells.items()}
                for scene, score in scenes.items()
            }
            for method, scenes in evaluation.stored.items()
        },
        "paper": [
            {"place": t.place, "remark": t.remark, "columns": list(t.columns), "rows": [[n, *v] for n, v in t.rows]}
            for t in protocol.paper
        ],
        "notes": list(protocol.notes),
    }
    return json.dumps(document, indent=1, allow_nan=False, default=str, ensure_ascii=False) + "\n"


def _plain_scores(scores: Mapping[str, Score]) -> dict[str, Any]:
    return {metric: _plain(score) for metric, score in scores.items()}


def _plain(score: Score) -> dict[str, Any]:
    if isinstance(score, NotComputed):
        return {"not_computed": score.reason}
    ends = None if score.interval is None else [_finite(end) for end in score.interval]
    return {"value": _finite(score.value), "interval": ends, "samples": score.samples, "note": score.note}


def _finite(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None


# ---- Markdown ----------------------------------------------------------------------------------


def _markdown(evaluation: Evaluation, command: str) -> str:
    protocol = evaluation.protocol
    parts = [f"# {protocol.title}", ""]
    if command:
        parts += ["```bash", command, "```", ""]
    spread = "one gives no interval" if len(protocol.scenes) == 1 else "in brackets 95 % bootstrap intervals over them"
    parts += [f"{_scenes(protocol.scenes)}; {spread}.", ""]
    parts += _table(evaluation, evaluation.scores, paper=True)
    parts += _margins(evaluation)
    for group, scores in evaluation.groups.items():
        parts += ["", f"## {group[:1].upper()}{group[1:]}", "", f"{_scenes(protocol.groups[group])}.", ""]
        parts += _table(evaluation, scores, paper=False)
    parts += _remarks(evaluation)
    return "\n".join(parts) + "\n"


def _scenes(scenes: Sequence[str]) -> str:
    return "1 scene" if len(scenes) == 1 else f"{len(scenes)} scenes"


def _table(evaluation: Evaluation, scores: Mapping[str, Mapping[str, Score]], *, paper: bool) -> list[str]:
    metrics = evaluation.protocol.metrics
    lines = [
        "| | " + " | ".join(_heading(metric) for metric in metrics) + " |",
        "|---" * (len(metrics) + 1) + "|",
    ]
    for method, values in scores.items():
        name = plain(method, markup="markdown")
        name = f"**{name}**" if method == evaluation.model else name
        lines.append(_row(name, [shown(values[metric.name]) for metric in metrics]))
    for table in evaluation.protocol.paper if paper else ():
        for name, figures in table.rows:
            printed = dict(zip(table.columns, figures, strict=True))
            cells = ["" if (value := printed.get(m.name)) is None else f"{value:g}" for m in metrics]
            lines.append(_row(f"*{table.place}: {name}*", cells))
    return lines


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | " + " | ".join(cells) + " |"


def _heading(metric: Metric) -> str:
    return f"{metric.name}{', ' + metric.unit if metric.unit else ''} {ARROWS[metric.better]}"


def _margins(evaluation: Evaluation) -> list[str]:
    if not evaluation.margins:
        return []
    lines = ["", "Against the best baseline of each metric, scene by scene (positive is better):", ""]
    for metric, (baseline, difference) in evaluation.margins.items():
        lines.append(f"- {metric}: {shown(difference)} over {plain(baseline, markup='markdown')}")
    return lines


def _remarks(evaluation: Evaluation) -> list[str]:
    protocol = evaluation.protocol
    remarks = [*protocol.notes, *(f"{t.place}: {t.remark}" for t in protocol.paper if t.remark)]
    for metric in protocol.metrics:
        for method, scores in evaluation.scores.items():
            score = scores[metric.name]
            remark = score.note if isinstance(score, Measured) else score.reason
            if remark:
                of_all = metric.name in protocol.absent
                whose = "" if of_all else f", {plain(method, markup='markdown')}"
                remarks.append(f"{metric.name}{whose}: {remark}")
                if of_all:
                    break
    if not remarks:
        return []
    return ["", "## Remarks", "", *(f"- {remark}" for remark in dict.fromkeys(remarks))]
