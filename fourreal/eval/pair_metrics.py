"""Metrics of a generated grid against its truth, one value per scored cell, by the names they have in tables.

Each network is loaded once, by the metric's `load`, which raises MissingWeights where its weights are absent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.eval import image_metrics
from fourreal.eval.grid_pair import GridPair
from fourreal.eval.scores import Metric
from fourreal.perception.clip_features import ClipFeatures
from fourreal.perception.picture_distance import PictureDistanceName, picture_distance

CellValues: TypeAlias = Callable[[GridPair], Float[Tensor, "N"]]
"""One value per scored cell, row by row; NaN where there is nothing to measure."""


def pair_metrics(names: Sequence[str], *, perceptual: bool = True) -> dict[Metric, Callable[[], CellValues]]:
    """The metrics of these names, in this order, each with the function that loads it.

    Args:
        perceptual: False leaves learned distances out.
    """
    pixelwise: dict[Metric, Callable[[], CellValues]] = {
        Metric("PSNR", "higher", "dB"): lambda: lambda pair: image_metrics.psnr(*pair.cells()),
        Metric("PSNR (moving)", "higher", "dB"): lambda: lambda pair: image_metrics.psnr(*pair.cells(), pair.moving()),
        Metric("SSIM", "higher"): lambda: lambda pair: image_metrics.ssim(*pair.cells()),
        Metric("MSE", "lower"): lambda: lambda pair: image_metrics.mse(*pair.cells()),
    }
    learned: dict[Metric, Callable[[], CellValues]] = {
        Metric("ST-LPIPS (alex)", "lower"): lambda: _distance("st-lpips"),
        Metric("LPIPS (AlexNet)", "lower"): lambda: _distance("lpips-alex"),
        Metric("LPIPS (VGG)", "lower"): lambda: _distance("lpips-vgg"),
        Metric("CLIP-S", "higher"): clip_s,
    }
    known = {metric.name: (metric, load) for metric, load in (pixelwise | learned).items()}
    dropped = set() if perceptual else {metric.name for metric in learned}
    return dict(known[name] for name in names if name not in dropped)


def clip_s() -> CellValues:
    """CLIP-S: cosine of the CLIP image vectors of a generated cell and its truth.

    Source: SV4D 2.0, section 5, "Metrics".

    Raises:
        MissingWeights: there is no CLIP model.
    """
    clip = ClipFeatures()

    def score(pair: GridPair) -> Float[Tensor, "N"]:
        generated, truth = pair.cells()
        return (clip(generated) * clip(truth)).sum(-1)

    return score


def clip_score(clip: ClipFeatures, frames: Float[Tensor, "N 3 H W"], prompt: str) -> Float[Tensor, "N"]:
    """CLIP score of frames against their prompt: 100 times the cosine, at least 0; higher is better.

    Source: 4Real-Video, section 4.2 and Table 1; Hessel et al., "CLIPScore" (2021) without its factor 2.5.
    """
    return 100 * (clip(frames) @ clip.sentences([prompt])[0]).clamp(min=0)


def _distance(name: PictureDistanceName) -> CellValues:
    distance = picture_distance(name)

    @torch.no_grad()
    def score(pair: GridPair) -> Float[Tensor, "N"]:
        generated, truth = pair.cells()
        return torch.cat([distance(a, b) for a, b in zip(generated.split(8), truth.split(8), strict=True)])

    return score
