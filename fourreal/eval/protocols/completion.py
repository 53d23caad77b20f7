"""Tables in which a model completes grids whose every cell is known: given cells in, all others against the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from fourreal.core.errors import InputError
from fourreal.core.grid import KnownPattern, VideoGrid, known_pattern
from fourreal.eval.baselines import BASELINES, Completion
from fourreal.eval.grid_pair import GridPair
from fourreal.eval.grid_scans import Scan
from fourreal.eval.pair_metrics import (
    clip_s_metric,
    image_metrics_without_weights,
    lpips_metric,
    stand_in_distance_metric,
)
from fourreal.eval.protocols.feature_networks import video_network
from fourreal.eval.protocols.pair_scores import PairScores
from fourreal.eval.protocols.protocol import Extent, Models, Protocol, SceneScore, Table
from fourreal.eval.scores import Metric

_NEEDED_CELLS: dict[str, frozenset[KnownPattern]] = {
    "copy-view": frozenset({"column", "cross"}),
    "copy-time": frozenset({"row", "cross"}),
    "change-add": frozenset({"cross"}),
    "flow-warp": frozenset({"cross"}),
    "nearest-view": frozenset({"row", "column", "cross"}),
    "row-warp": frozenset({"cross"}),
}


def completion(
    table: Table,
    models: Models,
    extent: Extent,
    *,
    read: Callable[[str], VideoGrid],
    given: KnownPattern,
    metrics: Sequence[str],
    scans: tuple[Scan, ...] = (),
) -> Protocol:
    """The protocol of such a table: the model, the baselines that apply, the metrics.

    Args:
        read: a scene's name to its true grid.
        given: which cells are the input of the model.
        metrics: names of the columns, in order; see `pair_metrics`.
        scans: Frechet distances after them.

    Raises:
        InputError: there is no generator, or a baseline that does not apply to such cells.
    """
    methods = completions(models, given, table.name)
    network = video_network(extent.video_features) if scans else None
    scores = PairScores(pair_metrics(metrics, extent), scans, network, extent.cache)
    # All methods are scored on one scene after the other.
    cached = lru_cache(maxsize=1)(read)

    def score(scene: str, method: str) -> SceneScore:
        truth = cached(scene)
        cells = known_pattern(given, *truth.known.shape)
        predicted = methods[method](truth.with_known(cells))
        return scores.score(GridPair(scene=scene, generated=predicted, truth=truth, given=cells))

    settings = {"given": given, "video_features": extent.video_features, **table.settings}
    return Protocol(
        table=replace(table, settings=settings),
        methods={method: models.identity if method == models.name else {} for method in methods},
        baselines=tuple(method for method in methods if method in BASELINES and method != models.name),
        metrics=scores.metrics,
        score=score,
        absent=scores.absent,
    )


def completions(models: Models, given: KnownPattern, table: str) -> dict[str, Completion]:
    """The model and the baselines that apply to such given cells, by name; the model comes first.

    Raises:
        InputError: there is no generator, or no such baseline, or one that needs other cells.
    """
    model = models.generator(table)
    chosen = models.baselines
    if chosen is None:
        chosen = tuple(name for name in BASELINES if given in _NEEDED_CELLS[name] and name != models.name)
    for name in (*chosen, models.name):
        if name not in BASELINES and name != models.name:
            raise InputError(f"unknown baseline '{name}'; known are {', '.join(BASELINES)}")
        if given not in _NEEDED_CELLS.get(name, {given}):
            raise InputError(f"{name} cannot answer in {table}, where only the {given} of the grid is given")
    return {models.name: model} | {name: BASELINES[name] for name in chosen if name != models.name}


def pair_metrics(names: Sequence[str], extent: Extent) -> list[Metric]:
    """Metrics by their names in tables; without `extent.perceptual` the learned ones are left out."""
    known = {metric.name: metric for metric in image_metrics_without_weights()}
    learned = (stand_in_distance_metric(), lpips_metric("alex"), lpips_metric("vgg"), clip_s_metric())
    if extent.perceptual:
        known |= {metric.name: metric for metric in learned}
    dropped = {metric.name for metric in learned} - known.keys()
    return [known[name] for name in names if name not in dropped]
