"""Tables in which a model completes grids whose every cell is known: given cells in, all others against the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from fourreal.core.errors import InputError
from fourreal.core.grid import KnownPattern, VideoGrid, known_pattern
from fourreal.eval.baselines import BASELINES, Completion
from fourreal.eval.grid_pair import GridPair
from fourreal.eval.grid_scans import Scan
from fourreal.eval.protocols.pair_scores import PairScores
from fourreal.eval.protocols.protocol import Extent, Models, Protocol, SceneScore

_NEEDED_CELLS: dict[str, frozenset[KnownPattern]] = {
    "copy-view": frozenset({"column", "cross"}),
    "copy-time": frozenset({"row", "cross"}),
    "change-add": frozenset({"cross"}),
    "flow-warp": frozenset({"cross"}),
    "nearest-view": frozenset({"row", "column", "cross"}),
    "row-warp": frozenset({"cross"}),
}


def completion_protocol(
    name: str,
    scenes: Sequence[str],
    read: Callable[[str], VideoGrid],
    models: Models,
    extent: Extent,
    *,
    metrics: Sequence[str],
    given: KnownPattern = "cross",
    scans: Sequence[Scan] = (),
    settings: Mapping[str, Any],
) -> Protocol:
    """The model and the baselines that can answer, each against the truth; without a title and the paper's figures.

    Args:
        read: a scene's name to its true grid.
        metrics: names of the columns, in order; see `pair_metrics`.
        given: the cells that are input of the model.
        scans: Frechet distances after the metrics.
        settings: which data these are.

    Raises:
        InputError: there is no generator, or a baseline that cannot answer from such cells.
    """
    methods = completions(models, given, name)
    scores = PairScores(metrics, extent, scans)
    # All methods answer one scene before the next is read.
    read_once = lru_cache(maxsize=1)(read)

    def score(scene: str, method: str) -> SceneScore:
        truth = read_once(scene)
        cells = known_pattern(given, *truth.known.shape)
        return scores.score(GridPair(scene, methods[method](truth.with_known(cells)), truth, cells))

    return Protocol(
        name=name,
        title=name,
        scenes=tuple(scenes),
        methods={method: models.identity if method == models.name else {} for method in methods},
        baselines=tuple(method for method in methods if method in BASELINES and method != models.name),
        metrics=scores.metrics,
        score=score,
        settings={"given": given, "video_features": extent.video_features, **settings},
        absent=scores.absent,
    )


def completions(models: Models, given: KnownPattern, table: str) -> dict[str, Completion]:
    """The model and the baselines that can answer from such given cells, by name; the model comes first.

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
