"""Scoring pictures against their truth: what every protocol with a truth does for each scene and arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid, known_pattern
from fourreal.eval.feature_cache import FeatureCache
from fourreal.eval.grid_frechet import grid_features
from fourreal.eval.grid_pair import GridPair
from fourreal.eval.grid_report import CellValues, PairMetric
from fourreal.eval.grid_scans import METRIC_NAMES, Scan
from fourreal.eval.protocols.protocol import Exhibit, Metric, SceneScore
from fourreal.perception.feature_network import VideoFeatures
from fourreal.perception.needed_weights import MissingWeights

PSNR_CEILING_DB = 60.0
"""One perfect cell would make every mean infinite. 60 dB is an error of a quarter of an 8-bit step."""

LINE_COLOUR = (255, 40, 40)


@dataclass(eq=False)
class Comparison:
    """Metrics of pairs, loaded once; those whose weights are missing are left out and say why.

    Attributes:
        scans: Frechet distances to prepare features for.
        network: of those distances; a MissingWeights where it could not be had.
    """

    pair_metrics: Sequence[PairMetric]
    scans: Sequence[Scan] = ()
    network: VideoFeatures | MissingWeights | None = None
    cache: FeatureCache | None = None
    absent: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ready: dict[str, tuple[PairMetric, CellValues]] = {}
        for metric in self.pair_metrics:
            try:
                self._ready[metric.name] = (metric, metric.load())
            except MissingWeights as error:
                self.absent[metric.name] = str(error)
        if isinstance(self.network, MissingWeights):
            self.absent |= {METRIC_NAMES[scan]: str(self.network) for scan in self.scans}

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The columns, those that cannot be computed among them."""
        columns = [Metric(metric.name, metric.better, metric.unit) for metric in self.pair_metrics]
        return (*columns, *(Metric(METRIC_NAMES[scan], "lower", pooled=True) for scan in self.scans))

    def score(self, pair: GridPair, extras: Mapping[str, float] | None = None) -> SceneScore:
        """Everything measured on one pair.

        Args:
            extras: figures of the scene as a whole, by metric.
        """
        cells: dict[str, Tensor] = {}
        unmeasured: dict[str, str] = {}
        for name, (metric, values) in self._ready.items():
            try:
                found = values(pair)
            except InputError as error:
                # The pair itself was checked, so this metric does not apply to it: pictures smaller than its window.
                unmeasured[name] = str(error)
                continue
            cells[name] = found.clamp(max=PSNR_CEILING_DB) if metric.unit == "dB" else found
        for name, value in (extras or {}).items():
            cells[name] = torch.tensor([value])
        features: dict[str, Tensor] = {}
        references: dict[str, Tensor] = {}
        if self.network is not None and not isinstance(self.network, MissingWeights):
            made, true = (_made_part(grid, pair.given) for grid in (pair.generated, pair.truth))
            for scan in self.scans:
                features[METRIC_NAMES[scan]] = grid_features([made], scan, self.network, self.cache)
                references[METRIC_NAMES[scan]] = grid_features([true], scan, self.network, self.cache)
        return SceneScore(cells, features, references, exhibit_of(pair, cells.get("PSNR")), unmeasured)


def _made_part(grid: VideoGrid, given: Bool[Tensor, "V T"]) -> VideoGrid:
    """The grid without the rows and columns that were given as a whole: copies are no results."""
    rows, columns = (torch.nonzero(~given.all(axis)).flatten().tolist() for axis in (1, 0))
    return grid.select(rows, columns)


def exhibit_of(pair: GridPair, quality: Float[Tensor, "N"] | None = None) -> Exhibit:
    """The scored cell of least quality, and a slice through time of the last view that has a scored cell.

    The slice follows the image column in which the truth changes most over time.

    Source: 4Real-Video-V2, Figure 5 ("a temporal slice along the red line").
    """
    places = torch.nonzero(pair.scored)
    made, true, _ = pair.cells()
    quality = -(made - true).square().mean((1, 2, 3)) if quality is None else quality
    worst = int(quality.nan_to_num(torch.inf).argmin())
    view = int(places[-1, 0])
    line = int(pair.truth.frames[view].var(0, correction=0).mean((0, 1)).argmax())
    frame = to_bytes(pair.generated.frames[view, -1])
    frame[:, :, line] = torch.tensor(LINE_COLOUR, dtype=torch.uint8)[:, None]
    place = (int(places[worst, 0]), int(places[worst, 1]))
    return Exhibit(
        to_bytes(made[worst]),
        to_bytes(true[worst]),
        place,
        frame,
        to_bytes(rearrange(pair.generated.frames[view, :, :, :, line], "t c h -> c h t")),
        to_bytes(rearrange(pair.truth.frames[view, :, :, :, line], "t c h -> c h t")),
    )


def exhibit_without_truth(made: VideoGrid) -> Exhibit:
    """The last cell of the grid, and the slice through time of the last view in which most changes."""
    nothing = known_pattern("none", *made.known.shape)
    exhibit = exhibit_of(GridPair("", made, made, nothing))
    place = (made.num_views - 1, made.num_times - 1)
    return replace(exhibit, worst=to_bytes(made.frames[place]), worst_true=None, place=place, slice_true=None)


def to_bytes(picture: Float[Tensor, "3 _ _"]) -> UInt8[Tensor, "3 _ _"]:
    """sRGB in [0, 1] to 8 bits."""
    return (picture.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
