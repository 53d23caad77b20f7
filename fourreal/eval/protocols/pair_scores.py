"""Scores of generated grids against their truth, and the pictures of a scene for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid, known_pattern
from fourreal.eval.feature_cache import FeatureCache
from fourreal.eval.grid_frechet import grid_features
from fourreal.eval.grid_pair import GridPair
from fourreal.eval.grid_scans import METRIC_NAMES, Scan
from fourreal.eval.pair_metrics import CellValues
from fourreal.eval.protocols.protocol import Qualitative, SceneScore
from fourreal.eval.scores import Metric
from fourreal.perception.feature_network import VideoFeatures
from fourreal.perception.needed_weights import MissingWeights

PSNR_CEILING_DB = 60.0
"""One perfect cell would make every mean infinite. 60 dB is an error of a quarter of an 8-bit step."""

LINE_COLOUR = (255, 40, 40)


class PairScores:
    """Metrics of pairs, loaded once. `absent` has the reason for each metric whose weights are missing.

    Args:
        scans: Frechet distances to compute features for.
        network: of those distances; a MissingWeights where it could not be loaded.
    """

    def __init__(
        self,
        pair_metrics: Sequence[Metric],
        scans: Sequence[Scan] = (),
        network: VideoFeatures | MissingWeights | None = None,
        cache: FeatureCache | None = None,
    ) -> None:
        self._scans, self._cache = scans, cache
        self._network = None if isinstance(network, MissingWeights) else network
        self._loaded: dict[str, CellValues] = {}
        self.absent: dict[str, str] = {}
        for metric in pair_metrics:
            assert metric.load is not None
            try:
                self._loaded[metric.name] = metric.load()
            except MissingWeights as error:
                self.absent[metric.name] = str(error)
        if isinstance(network, MissingWeights):
            self.absent |= {METRIC_NAMES[scan]: str(network) for scan in scans}
        self.metrics = (*pair_metrics, *(Metric(METRIC_NAMES[scan], "lower", pooled=True) for scan in scans))
        """The columns, including those that cannot be computed."""

    def score(self, pair: GridPair, extras: Mapping[str, float] | None = None) -> SceneScore:
        """Everything measured on one pair.

        Args:
            extras: figures of the scene as a whole, by metric.
        """
        cells: dict[str, Tensor] = {}
        unmeasured: dict[str, str] = {}
        for metric in self.metrics:
            if metric.name not in self._loaded:
                continue
            try:
                found = self._loaded[metric.name](pair)
            except InputError as error:
                # The pair itself was checked, so this metric does not apply to it: frames smaller than its window.
                unmeasured[metric.name] = str(error)
                continue
            cells[metric.name] = found.clamp(max=PSNR_CEILING_DB) if metric.unit == "dB" else found
        for name, value in (extras or {}).items():
            cells[name] = torch.tensor([value])
        features: dict[str, Tensor] = {}
        references: dict[str, Tensor] = {}
        if self._network is not None:
            predicted, true = (_unknown_part(grid, pair.given) for grid in (pair.generated, pair.truth))
            for scan in self._scans:
                features[METRIC_NAMES[scan]] = grid_features([predicted], scan, self._network, self._cache)
                references[METRIC_NAMES[scan]] = grid_features([true], scan, self._network, self._cache)
        return SceneScore(
            cells=cells,
            features=features,
            references=references,
            qualitative=qualitative_of(pair, cells.get("PSNR")),
            unmeasured=unmeasured,
        )


def _unknown_part(grid: VideoGrid, given: Bool[Tensor, "V T"]) -> VideoGrid:
    """The grid without the rows and columns that were given as a whole: copies are no results."""
    rows, columns = (torch.nonzero(~given.all(axis)).flatten().tolist() for axis in (1, 0))
    return grid.select(rows, columns)


def qualitative_of(pair: GridPair, quality: Float[Tensor, "N"] | None = None) -> Qualitative:
    """The scored cell of the lowest quality, and a slice through time of the last view with a scored cell.

    The slice follows the image column in which the truth changes most over time.

    Source: 4Real-Video-V2, Figure 5 ("a temporal slice along the red line").
    """
    cells = torch.nonzero(pair.scored)
    predicted, true, _ = pair.cells()
    quality = -(predicted - true).square().mean((1, 2, 3)) if quality is None else quality
    worst = int(quality.nan_to_num(torch.inf).argmin())
    view = int(cells[-1, 0])
    column = int(pair.truth.frames[view].var(0, correction=0).mean((0, 1)).argmax())
    frame = to_bytes(pair.generated.frames[view, -1])
    frame[:, :, column] = torch.tensor(LINE_COLOUR, dtype=torch.uint8)[:, None]
    return Qualitative(
        worst=to_bytes(predicted[worst]),
        worst_true=to_bytes(true[worst]),
        cell=(int(cells[worst, 0]), int(cells[worst, 1])),
        frame=frame,
        slice=to_bytes(rearrange(pair.generated.frames[view, :, :, :, column], "t c h -> c h t")),
        slice_true=to_bytes(rearrange(pair.truth.frames[view, :, :, :, column], "t c h -> c h t")),
    )


def qualitative_without_truth(predicted: VideoGrid) -> Qualitative:
    """The last cell of the grid, and the slice through time of the last view at the column that changes most."""
    given = known_pattern("none", *predicted.known.shape)
    pictures = qualitative_of(GridPair(scene="", generated=predicted, truth=predicted, given=given))
    cell = (predicted.num_views - 1, predicted.num_times - 1)
    return replace(pictures, worst=to_bytes(predicted.frames[cell]), worst_true=None, cell=cell, slice_true=None)


def to_bytes(picture: Float[Tensor, "3 _ _"]) -> UInt8[Tensor, "3 _ _"]:
    """sRGB in [0, 1] to 8 bits."""
    return (picture.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
