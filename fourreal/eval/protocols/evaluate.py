"""`evaluate`: run a protocol scene by scene, resume where it stopped, and put the figures together."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from fourreal.core.errors import InputError
from fourreal.core.progress import Progress, silent
from fourreal.eval.frechet import frechet_score
from fourreal.eval.protocols.protocol import Metric, Protocol, SceneScore
from fourreal.eval.protocols.scene_store import SceneStore, StoredScore
from fourreal.eval.scores import Measured, NotComputed, Score, mean_score, paired_difference


@dataclass(frozen=True)
class Margin:
    """How far the model is from the best baseline of a metric, over the same scenes; signed so that more is better."""

    baseline: str
    difference: Measured


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A protocol's figures.

    Attributes:
        scores: by arm and metric, over all scenes.
        groups: the same for every group of scenes.
        per_scene: by arm and scene, the metrics' means over cells; NaN where there was nothing to measure.
        margins: by metric, the model against the best baseline; empty without baselines.
        stored: by arm and scene, everything measured.
    """

    protocol: Protocol
    scores: Mapping[str, Mapping[str, Score]]
    groups: Mapping[str, Mapping[str, Mapping[str, Score]]]
    per_scene: Mapping[str, Mapping[str, Mapping[str, float]]]
    margins: Mapping[str, Margin]
    stored: Mapping[str, Mapping[str, StoredScore]]

    @property
    def model(self) -> str:
        """The first arm: what was evaluated."""
        return next(iter(self.protocol.arms))


def evaluate(protocol: Protocol, out: Path, *, seed: int = 0, progress: Progress = silent) -> Evaluation:
    """Score every scene with every arm; what `out` already holds is not measured again.

    Args:
        out: folder in which scores of scenes are kept as soon as they are there.
        seed: of the bootstrap.

    Raises:
        InputError: a scene cannot be read or answered; the message names it. What was measured before stays.
    """
    store = SceneStore(out, protocol)
    stored: dict[str, dict[str, StoredScore]] = {arm: {} for arm in protocol.arms}
    total = len(protocol.scenes) * len(protocol.arms)
    for number, scene in enumerate(protocol.scenes):
        for place, arm in enumerate(protocol.arms):
            stored[arm][scene] = store.load(scene, arm) or _measured(protocol, store, scene, arm)
            progress(number * len(protocol.arms) + place + 1, total)
    return summarise(protocol, stored, seed)


def _measured(protocol: Protocol, store: SceneStore, scene: str, arm: str) -> StoredScore:
    started = time.monotonic()
    try:
        score = protocol.score(scene, arm)
    except InputError as error:
        said = str(error).removeprefix(f"scene '{scene}': ")
        raise InputError(f"{arm}, scene '{scene}': {said}") from error
    result = StoredScore(score, time.monotonic() - started)
    store.save(scene, arm, result)
    return result


def summarise(protocol: Protocol, stored: Mapping[str, Mapping[str, StoredScore]], seed: int = 0) -> Evaluation:
    """Means, intervals and margins of measured scenes."""
    scores = {arm: _scores(protocol, of_scenes, protocol.scenes, seed) for arm, of_scenes in stored.items()}
    groups = {
        group: {arm: _scores(protocol, of_scenes, scenes, seed) for arm, of_scenes in stored.items()}
        for group, scenes in protocol.groups.items()
    }
    per_scene = {
        arm: {
            scene: {m.name: scene_mean(entry.score, m) for m in protocol.metrics if not m.pooled}
            for scene, entry in of_scenes.items()
        }
        for arm, of_scenes in stored.items()
    }
    margins = {
        m.name: margin
        for m in protocol.metrics
        if (margin := _margin(protocol, m, scores, per_scene, seed)) is not None
    }
    return Evaluation(protocol, scores, groups, per_scene, margins, stored)


def scene_mean(score: SceneScore, metric: Metric) -> float:
    """Mean over a scene's cells; NaN where there was nothing to measure."""
    values = score.cells.get(metric.name)
    return math.nan if values is None else float(values.double().nanmean())


def _scores(
    protocol: Protocol, entries: Mapping[str, StoredScore], scenes: Sequence[str], seed: int
) -> dict[str, Score]:
    return {
        metric.name: _score(protocol, metric, [entries[scene].score for scene in scenes], seed)
        for metric in protocol.metrics
    }


def _score(protocol: Protocol, metric: Metric, scores: Sequence[SceneScore], seed: int) -> Score:
    if metric.name in protocol.absent:
        return NotComputed(protocol.absent[metric.name])
    reasons = {score.unmeasured[metric.name] for score in scores if metric.name in score.unmeasured}
    if metric.pooled:
        made = [score.features[metric.name] for score in scores if metric.name in score.features]
        if not made:
            return NotComputed("; ".join(sorted(reasons)) or "does not apply to this arm")
        reference = protocol.references.get(metric.name)
        if reference is None:
            reference = torch.cat([score.references[metric.name] for score in scores])
        return frechet_score(torch.cat(made), reference, seed=seed)
    measured = [score for score in scores if metric.name in score.cells]
    if not measured:
        return NotComputed("; ".join(sorted(reasons)) or "does not apply to this arm")
    return mean_score([scene_mean(score, metric) for score in measured], seed=seed)


def _margin(
    protocol: Protocol,
    metric: Metric,
    scores: Mapping[str, Mapping[str, Score]],
    per_scene: Mapping[str, Mapping[str, Mapping[str, float]]],
    seed: int,
) -> Margin | None:
    """Against the baseline with the best mean; over the scenes in which both have a value."""
    model = next(iter(protocol.arms))
    found = {arm: score for arm in protocol.baselines if isinstance(score := scores[arm][metric.name], Measured)}
    if metric.pooled or not found or not isinstance(scores[model][metric.name], Measured):
        return None
    sign = 1 if metric.better == "higher" else -1
    best = max(found, key=lambda arm: sign * found[arm].value)
    scenes = [(per_scene[model][scene][metric.name], per_scene[best][scene][metric.name]) for scene in per_scene[model]]
    pairs = torch.tensor([pair for pair in scenes if not any(map(math.isnan, pair))], dtype=torch.float64)
    if not len(pairs):
        return None
    return Margin(best, paired_difference(sign * pairs[:, 0], sign * pairs[:, 1], seed=seed))
