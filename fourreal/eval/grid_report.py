"""Many scenes, many metrics, one report; a metric that cannot be computed says why and the others go on.

A metric's model is loaded once, by its `load`, just before it is first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.progress import Progress, silent
from fourreal.eval import image_metrics
from fourreal.eval.grid_pair import GridPair
from fourreal.eval.scores import Better, NotComputed, Score, mean_score
from fourreal.perception.clip_features import ClipFeatures
from fourreal.perception.laplacian_distance import NAME as LAPLACIAN_NAME
from fourreal.perception.lpips import LpipsBackbone, load_lpips
from fourreal.perception.needed_weights import MissingWeights
from fourreal.perception.picture_distance import PictureDistance, PictureDistanceName, picture_distance

CellValues: TypeAlias = Callable[[GridPair], Float[Tensor, "N"]]
"""One value a scored cell, row by row; NaN where there is nothing to measure."""


@dataclass(frozen=True)
class PairMetric:
    """A metric of a generated grid against its truth.

    `load` makes the function that scores a pair's cells; it raises MissingWeights when it cannot.
    """

    name: str
    better: Better
    unit: str
    load: Callable[[], CellValues]


@dataclass(frozen=True)
class MetricReport:
    """One metric over all scenes.

    Attributes:
        score: mean over scenes of the mean over scored cells, or why there is none.
        per_scene: the scenes' means by name; NaN where a scene had nothing to measure.
        per_cell: the scored cells' values by scene, row by row.
    """

    metric: PairMetric
    score: Score
    per_scene: dict[str, float]
    per_cell: dict[str, Float[Tensor, "N"]]


def measure(
    pairs: Iterable[GridPair], metrics: Sequence[PairMetric], *, seed: int = 0, progress: Progress = silent
) -> list[MetricReport]:
    """Score all pairs with all metrics. Each pair is looked at once, so `pairs` may load lazily.

    Raises:
        InputError: there is no pair, or two have one name.
    """
    ready: dict[str, CellValues] = {}
    reasons: dict[str, str] = {}
    for metric in metrics:
        try:
            ready[metric.name] = metric.load()
        except MissingWeights as error:
            reasons[metric.name] = str(error)
    values: dict[str, dict[str, Tensor]] = {name: {} for name in ready}
    total = len(pairs) if isinstance(pairs, Sequence) else 0
    scenes: list[str] = []
    for pair in pairs:
        if pair.scene in scenes:
            raise InputError(f"two scenes are called '{pair.scene}'; names must differ")
        scenes.append(pair.scene)
        for name, score in ready.items():
            values[name][pair.scene] = score(pair)
        progress(len(scenes), max(total, len(scenes)))
    if not scenes:
        raise InputError("there is no scene to score")
    return [_report(metric, values.get(metric.name, {}), reasons.get(metric.name), seed) for metric in metrics]


def _report(metric: PairMetric, cells: dict[str, Tensor], reason: str | None, seed: int) -> MetricReport:
    if reason is not None:
        return MetricReport(metric, NotComputed(reason), {}, {})
    per_scene = {scene: float(value.nanmean()) for scene, value in cells.items()}
    return MetricReport(metric, mean_score(list(per_scene.values()), seed=seed), per_scene, cells)


# ---- the metrics ------------------------------------------------------------------------------


def image_metrics_without_weights() -> list[PairMetric]:
    """PSNR, moving-region PSNR, SSIM and MSE."""
    return [
        PairMetric("PSNR", "higher", "dB", lambda: lambda pair: image_metrics.psnr(*pair.cells())),
        PairMetric("PSNR (moving)", "higher", "dB", lambda: _moving_psnr),
        PairMetric("SSIM", "higher", "", lambda: lambda pair: image_metrics.ssim(*pair.cells())),
        PairMetric("MSE", "lower", "", lambda: lambda pair: image_metrics.mse(*pair.cells())),
    ]


def lpips_metric(backbone: LpipsBackbone = "alex", device: torch.device | str = "cpu") -> PairMetric:
    """LPIPS by the user's weights; without them the report says what is missing. Masks do not apply to it."""
    name = {"alex": "LPIPS (AlexNet)", "vgg": "LPIPS (VGG)"}[backbone]
    return PairMetric(name, "lower", "", lambda: _distance_values(load_lpips(backbone).to(device), device))


def stand_in_distance_metric(
    name: Literal["st-lpips", "laplacian"] = "st-lpips", device: torch.device | str = "cpu"
) -> PairMetric:
    """A perceptual distance without the user's weights, under its own name: its numbers do not compare with LPIPS."""
    called = {"st-lpips": "ST-LPIPS (alex)", "laplacian": LAPLACIAN_NAME}[name]
    return PairMetric(called, "lower", "", lambda: _distance_values(_on_device(name, device), device))


def _on_device(name: PictureDistanceName, device: torch.device | str) -> PictureDistance:
    distance = picture_distance(name)
    return distance.to(device) if isinstance(distance, torch.nn.Module) else distance


def _distance_values(distance: PictureDistance, device: torch.device | str) -> CellValues:
    def score(pair: GridPair) -> Float[Tensor, "N"]:
        generated, truth, _ = pair.cells()
        with torch.no_grad():
            parts = zip(generated.split(8), truth.split(8), strict=True)
            return torch.cat([distance(a.to(device), b.to(device)).cpu() for a, b in parts])

    return score


def clip_s_metric(device: torch.device | str = "cpu") -> PairMetric:
    """CLIP-S: cosine of the CLIP image vectors of a generated cell and its truth.

    Source: SV4D 2.0, section 5, "Metrics".
    """

    def load() -> CellValues:
        clip = ClipFeatures(device=device)

        def score(pair: GridPair) -> Float[Tensor, "N"]:
            generated, truth, _ = pair.cells()
            return (clip(generated) * clip(truth)).sum(-1)

        return score

    return PairMetric("CLIP-S", "higher", "", load)


def clip_score(clip: ClipFeatures, frames: Float[Tensor, "N 3 H W"], prompt: str) -> Float[Tensor, "N"]:
    """CLIP score of frames against their prompt: 100 times the cosine, at least 0; higher is better.

    Source: 4Real-Video, section 4.2 and Table 1; Hessel et al., "CLIPScore" (2021) without its factor 2.5.
    """
    return 100 * (clip(frames) @ clip.sentences([prompt])[0]).clamp(min=0)


def _moving_psnr(pair: GridPair) -> Float[Tensor, "N"]:
    generated, truth, _ = pair.cells()
    return image_metrics.psnr(generated, truth, pair.moving())
