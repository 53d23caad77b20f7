"""Tables in which a model completes grids whose every cell is known: given cells in, all others against the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from fourreal.core.errors import InputError
from fourreal.core.grid import KnownPattern, VideoGrid, known_pattern
from fourreal.eval.baselines import BASELINES, Completion
from fourreal.eval.feature_cache import FeatureCache
from fourreal.eval.grid_pair import GridPair
from fourreal.eval.grid_report import (
    PairMetric,
    clip_s_metric,
    image_metrics_without_weights,
    lpips_metric,
    stand_in_distance_metric,
)
from fourreal.eval.grid_scans import Scan
from fourreal.eval.protocols.compared import Comparison
from fourreal.eval.protocols.feature_networks import video_network
from fourreal.eval.protocols.protocol import Extent, Models, PaperTable, Protocol, SceneScore

_NEEDED_CELLS: dict[str, frozenset[KnownPattern]] = {
    "copy-view": frozenset({"column", "cross"}),
    "copy-time": frozenset({"row", "cross"}),
    "change-add": frozenset({"cross"}),
    "flow-warp": frozenset({"cross"}),
    "nearest-view": frozenset({"row", "column", "cross"}),
    "row-warp": frozenset({"cross"}),
}


@dataclass(frozen=True, eq=False)
class Completing:
    """Such a table.

    Attributes:
        open: a scene's name to its true grid.
        given: which cells the model gets.
        metrics: names of the columns, in order; see `pair_metrics`.
        scans: Frechet distances after them.
        settings, groups, paper, notes: as of `Protocol`.
    """

    name: str
    title: str
    scenes: Sequence[str]
    open: Callable[[str], VideoGrid]
    given: KnownPattern
    metrics: tuple[str, ...]
    settings: Mapping[str, Any]
    scans: tuple[Scan, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    paper: tuple[PaperTable, ...] = ()
    notes: tuple[str, ...] = ()


def completing(table: Completing, models: Models, extent: Extent, cache: FeatureCache | None = None) -> Protocol:
    """The protocol of a table: the model, the baselines that can answer, the metrics.

    Raises:
        InputError: there is no generator, or a baseline that cannot answer from such cells.
    """
    arms = completions(models, table.given, table.name)
    network = video_network(extent.video_features) if table.scans else None
    comparison = Comparison(pair_metrics(table.metrics, extent), table.scans, network, cache)
    # All arms look at one scene after the other.
    opened = lru_cache(maxsize=1)(table.open)

    def score(scene: str, arm: str) -> SceneScore:
        truth = opened(scene)
        given = known_pattern(table.given, *truth.known.shape)
        return comparison.score(GridPair(scene, arms[arm](truth.with_known(given)), truth, given))

    return Protocol(
        table.name,
        table.title,
        tuple(table.scenes),
        {arm: models.identity if arm == models.name else {} for arm in arms},
        tuple(arm for arm in arms if arm in BASELINES and arm != models.name),
        comparison.metrics,
        score,
        {"given": table.given, "video_features": extent.video_features, **table.settings},
        absent=comparison.absent,
        groups=table.groups,
        paper=table.paper,
        notes=table.notes,
    )


def completions(models: Models, given: KnownPattern, table: str) -> dict[str, Completion]:
    """The model and the baselines that can answer from such given cells, by name; the model comes first.

    Raises:
        InputError: there is no generator, or no such baseline, or one that needs other cells.
    """
    model = models.generator(table)
    chosen = models.beside
    if chosen is None:
        chosen = tuple(name for name in BASELINES if given in _NEEDED_CELLS[name] and name != models.name)
    for name in (*chosen, models.name):
        if name not in BASELINES and name != models.name:
            raise InputError(f"unknown baseline '{name}'; known are {', '.join(BASELINES)}")
        if given not in _NEEDED_CELLS.get(name, {given}):
            raise InputError(f"{name} cannot answer in {table}, where only the {given} of the grid is given")
    return {models.name: model} | {name: BASELINES[name] for name in chosen if name != models.name}


def pair_metrics(names: Sequence[str], extent: Extent) -> list[PairMetric]:
    """Metrics by the names they have in tables; learned ones only where they are wanted."""
    known = {metric.name: metric for metric in image_metrics_without_weights()}
    learned = (stand_in_distance_metric(), lpips_metric("alex"), lpips_metric("vgg"), clip_s_metric())
    if extent.perceptual:
        known |= {metric.name: metric for metric in learned}
    dropped = {metric.name for metric in learned} - known.keys()
    return [known[name] for name in names if name not in dropped]
