"""`evaluate`: run a protocol scene by scene, resume where it stopped, and summarise the figures."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from fourreal.core.errors import InputError
from fourreal.core.progress import Progress, silent
from fourreal.eval.frechet import frechet_score
from fourreal.eval.protocols.protocol import Protocol, SceneScore
from fourreal.eval.protocols.scene_store import SceneStore
from fourreal.eval.scores import Measured, Metric, NotComputed, Score, mean_score, paired_difference


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """A protocol's figures.

    Attributes:
        scores: by method and metric, over all scenes.
        groups: the same for every group of scenes.
        per_scene: by method and scene, the metrics' means over cells; NaN where there was nothing to measure.
        margins: by metric, the best baseline and the paired difference of the model to it, over the same scenes, signed
            so that more is better; empty without baselines.
        stored: by method and scene, everything measured.
    """

    protocol: Protocol
    scores: Mapping[str, Mapping[str, Score]]
    groups: Mapping[str, Mapping[str, Mapping[str, Score]]]
    per_scene: Mapping[str, Mapping[str, Mapping[str, float]]]
    margins: Mapping[str, tuple[str, Measured]]
    stored: Mapping[str, Mapping[str, SceneScore]]

    @property
    def model(self) -> str:
        """The first method: what was evaluated."""
        return next(iter(self.protocol.methods))


def evaluate(protocol: Protocol, out: Path, *, seed: int = 0, progress: Progress = silent) -> Evaluation:
    """Score every scene with every method; what `out` already holds is not measured again.

    Args:
        out: folder in which scores of scenes are kept as soon as they are there.
        seed: of the bootstrap.

    Raises:
        InputError: a scene cannot be read or answered; the message names it. What was measured before stays.
    """
    store = SceneStore(out, protocol)
    stored: dict[str, dict[str, SceneScore]] = {method: {} for method in protocol.methods}
    total = len(protocol.scenes) * len(protocol.methods)
    for number, scene in enumerate(protocol.scenes):
        for place, method in enumerate(protocol.methods):
            stored[method][scene] = store.load(scene, method) or _measured(protocol, store, scene, method)
            progress(number * len(protocol.methods) + place + 1, total)
    return summarise(protocol, stored, seed)


def _measured(protocol: Protocol, store: SceneStore, scene: str, method: str) -> SceneScore:
    started = time.monotonic()
    try:
        score = protocol.score(scene, method)
    except InputError as error:
        reason = str(error).removeprefix(f"scene '{scene}': ")
        raise InputError(f"{method}, scene '{scene}': {reason}") from error
    score = replace(score, seconds=time.monotonic() - started)
    store.save(scene, method, score)
    return score


def summarise(protocol: Protocol, stored: Mapping[str, Mapping[str, SceneScore]], seed: int = 0) -> Evaluation:
    """Means, intervals and margins of measured scenes."""
    scores = {method: _scores(protocol, of_scenes, protocol.scenes, seed) for method, of_scenes in stored.items()}
    groups = {
        group: {method: _scores(protocol, of_scenes, scenes, seed) for method, of_scenes in stored.items()}
        for group, scenes in protocol.groups.items()
    }
    per_scene = {
        method: {
            scene: {m.name: scene_mean(score, m) for m in protocol.metrics if not m.pooled}
            for scene, score in of_scenes.items()
        }
        for method, of_scenes in stored.items()
    }
    margins = {
        m.name: margin
        for m in protocol.metrics
        if (margin := _margin(protocol, m, scores, per_scene, seed)) is not None
    }
    return Evaluation(
        protocol=protocol, scores=scores, groups=groups, per_scene=per_scene, margins=margins, stored=stored
    )


def scene_mean(score: SceneScore, metric: Metric) -> float:
    """Mean over a scene's cells; NaN where there was nothing to measure."""
    values = score.cells.get(metric.name)
    return math.nan if values is None else float(values.double().nanmean())


def _scores(
    protocol: Protocol, entries: Mapping[str, SceneScore], scenes: Sequence[str], seed: int
) -> dict[str, Score]:
    return {
        metric.name: _score(protocol, metric, [entries[scene] for scene in scenes], seed) for metric in protocol.metrics
    }


def _score(protocol: Protocol, metric: Metric, scores: Sequence[SceneScore], seed: int) -> Score:
    if metric.name in protocol.absent:
        return NotComputed(protocol.absent[metric.name])
    reasons = {score.unmeasured[metric.name] for score in scores if metric.name in score.unmeasured}
    if metric.pooled:
        features = [score.features[metric.name] for score in scores if metric.name in score.features]
        if not features:
            return NotComputed("; ".join(sorted(reasons)) or "does not apply to this method")
        reference = protocol.references.get(metric.name)
        if reference is None:
            reference = torch.cat([score.references[metric.name] for score in scores])
        return frechet_score(torch.cat(features), reference, seed=seed)
    measured = [score for score in scores if metric.name in score.cells]
    if not measured:
        return NotComputed("; ".join(sorted(reasons)) or "does not apply to this method")
    return mean_score([scene_mean(score, metric) for score in measured], seed=seed)


def _margin(
    protocol: Protocol,
    metric: Metric,
    scores: Mapping[str, Mapping[str, Score]],
    per_scene: Mapping[str, Mapping[str, Mapping[str, float]]],
    seed: int,
) -> tuple[str, Measured] | None:
    """Against the baseline with the best mean; over the scenes in which both have a value."""
    model = next(iter(protocol.methods))
    means = {name: scores[name][metric.name] for name in (model, *protocol.baselines)}
    found = {name: score.value for name, score in means.items() if isinstance(score, Measured)}
    if metric.pooled or found.pop(model, None) is None or not found:
        return None
    sign = 1 if metric.better == "higher" else -1
    best = max(found, key=lambda name: sign * found[name])
    scenes = [(per_scene[model][scene][metric.name], per_scene[best][scene][metric.name]) for scene in per_scene[model]]
    pairs = torch.tensor([pair for pair in scenes if not any(map(math.isnan, pair))], dtype=torch.float64)
    if not len(pairs):
        return None
    return best, paired_difference(sign * pairs[:, 0], sign * pairs[:, 1], seed=seed)
