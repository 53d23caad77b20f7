"""Scores of a generated grid against its truth: the columns of a table, and every figure of a scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid, known_pattern
from fourreal.eval.feature_cache import video_features
from fourreal.eval.grid_pair import GridPair
from fourreal.eval.grid_scans import METRIC_NAMES, Scan, scan_videos
from fourreal.eval.pair_metrics import CellValues, pair_metrics
from fourreal.eval.protocols.feature_networks import video_network
from fourreal.eval.protocols.protocol import Extent, SceneScore
from fourreal.eval.scores import Metric
from fourreal.perception.needed_weights import MissingWeights

PSNR_CEILING_DB = 60.0
"""One perfect cell would make every mean infinite. 60 dB is an error of a quarter of an 8-bit step."""

LINE_COLOUR = (255, 40, 40)


class PairScores:
    """Metrics of pairs, loaded once.

    Args:
        names: the metrics, in order; see `pair_metrics`.
        scans: Frechet distances after them.

    Attributes:
        metrics: the columns, those that cannot be computed included.
        absent: by metric, which weights are missing.
    """

    def __init__(self, names: Sequence[str], extent: Extent, scans: Sequence[Scan] = ()) -> None:
        chosen = pair_metrics(names, perceptual=extent.perceptual)
        self.metrics = (*chosen, *(Metric(METRIC_NAMES[scan], "lower", pooled=True) for scan in scans))
        self.absent: dict[str, str] = {}
        self.scans, self._cache = scans, extent.cache
        self._values: dict[Metric, CellValues] = {}
        for metric, load in chosen.items():
            try:
                self._values[metric] = load()
            except MissingWeights as error:
                self.absent[metric.name] = str(error)
        self._network = video_network(extent.video_features) if scans else None
        if isinstance(self._network, MissingWeights):
            self.absent |= {METRIC_NAMES[scan]: str(self._network) for scan in scans}

    def score(self, pair: GridPair, extras: Mapping[str, float] | None = None) -> SceneScore:
        """Every figure of one pair.

        Args:
            extras: figures of the scene as a whole, by metric.
        """
        cells: dict[str, Tensor] = {}
        unmeasured: dict[str, str] = {}
        for metric, values in self._values.items():
            try:
                found = values(pair)
            except InputError as error:
                # The pair itself was checked, so this metric does not apply to it: pictures smaller than its window.
                unmeasured[metric.name] = str(error)
                continue
            cells[metric.name] = found.clamp(max=PSNR_CEILING_DB) if metric.unit == "dB" else found
        for name, value in (extras or {}).items():
            cells[name] = torch.tensor([value])
        features: dict[str, Tensor] = {}
        references: dict[str, Tensor] = {}
        if self._network is not None and not isinstance(self._network, MissingWeights):
            for scan in self.scans:
                for grid, kept in ((pair.generated, features), (pair.truth, references)):
                    videos = scan_videos(_not_given(grid, pair.given).frames, scan)
                    kept[METRIC_NAMES[scan]] = video_features(videos, self._network, self._cache)
        pictures, worst_cell = qualitative(pair, cells.get("PSNR"))
        return SceneScore(
            cells=cells,
            features=features,
            references=references,
            qualitative=pictures,
            worst_cell=worst_cell,
            unmeasured=unmeasured,
        )


def _not_given(grid: VideoGrid, given: Bool[Tensor, "V T"]) -> VideoGrid:
    """The grid without the rows and columns that were given as a whole: copies are no results."""
    rows, columns = (torch.nonzero(~given.all(axis)).flatten().tolist() for axis in (1, 0))
    return grid.select(rows, columns)


def qualitative(
    pair: GridPair, quality: Float[Tensor, "N"] | None = None
) -> tuple[dict[str, UInt8[Tensor, "3 _ _"]], tuple[int, int]]:
    """The pictures of a `SceneScore`, and the (view, time) of the scored cell of least quality.

    The slice is of the last view that has a scored cell, at the image column in which the truth changes most.

    Source: 4Real-Video-V2, Figure 5 ("a temporal slice along the red line").
    """
    places = torch.nonzero(pair.scored)
    generated, truth = pair.cells()
    quality = -(generated - truth).square().mean((1, 2, 3)) if quality is None else quality
    worst = int(quality.nan_to_num(torch.inf).argmin())
    view = int(places[-1, 0])
    line = int(pair.truth.frames[view].var(0, correction=0).mean((0, 1)).argmax())
    frame = to_bytes(pair.generated.frames[view, -1])
    frame[:, :, line] = torch.tensor(LINE_COLOUR, dtype=torch.uint8)[:, None]
    pictures = {
        "worst": to_bytes(generated[worst]),
        "worst_true": to_bytes(truth[worst]),
        "frame": frame,
        "slice": to_bytes(rearrange(pair.generated.frames[view, :, :, :, line], "t c h -> c h t")),
        "slice_true": to_bytes(rearrange(pair.truth.frames[view, :, :, :, line], "t c h -> c h t")),
    }
    return pictures, (int(places[worst, 0]), int(places[worst, 1]))


def qualitative_without_truth(grid: VideoGrid) -> tuple[dict[str, UInt8[Tensor, "3 _ _"]], tuple[int, int]]:
    """The last cell of the grid, and the slice through time of the last view at the column that changes most."""
    pictures, _ = qualitative(GridPair("", grid, grid, known_pattern("none", *grid.known.shape)))
    last = (grid.num_views - 1, grid.num_times - 1)
    return {"worst": to_bytes(grid.frames[last]), "frame": pictures["frame"], "slice": pictures["slice"]}, last


def to_bytes(picture: Float[Tensor, "3 _ _"]) -> UInt8[Tensor, "3 _ _"]:
    """sRGB in [0, 1] to 8 bits."""
    return (picture.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
