"""Metrics of a generated grid against its truth, one value per scored cell.

A metric's network is loaded by its `load`, which raises MissingWeights when it cannot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.eval import image_metrics
from fourreal.eval.grid_pair import GridPair
from fourreal.eval.scores import Metric
from fourreal.perception.clip_features import ClipFeatures
from fourreal.perception.laplacian_distance import NAME as LAPLACIAN_NAME
from fourreal.perception.lpips import LpipsBackbone, load_lpips
from fourreal.perception.picture_distance import PictureDistance, PictureDistanceName, picture_distance

CellValues: TypeAlias = Callable[[GridPair], Float[Tensor, "N"]]
"""One value a scored cell, row by row; NaN where there is nothing to measure."""


def image_metrics_without_weights() -> list[Metric]:
    """PSNR, moving-region PSNR, SSIM and MSE."""
    return [
        Metric("PSNR", "higher", unit="dB", load=lambda: lambda pair: image_metrics.psnr(*pair.cells())),
        Metric("PSNR (moving)", "higher", unit="dB", load=lambda: _moving_psnr),
        Metric("SSIM", "higher", load=lambda: lambda pair: image_metrics.ssim(*pair.cells())),
        Metric("MSE", "lower", load=lambda: lambda pair: image_metrics.mse(*pair.cells())),
    ]


def lpips_metric(backbone: LpipsBackbone = "alex", device: torch.device | str = "cpu") -> Metric:
    """LPIPS by the user's weights; without them the report says what is missing. Masks do not apply to it."""
    name = {"alex": "LPIPS (AlexNet)", "vgg": "LPIPS (VGG)"}[backbone]
    return Metric(name, "lower", load=lambda: _distance_values(load_lpips(backbone).to(device), device))


def stand_in_distance_metric(
    name: Literal["st-lpips", "laplacian"] = "st-lpips", device: torch.device | str = "cpu"
) -> Metric:
    """A perceptual distance without the user's weights, under its own name: its numbers do not compare with LPIPS."""
    called = {"st-lpips": "ST-LPIPS (alex)", "laplacian": LAPLACIAN_NAME}[name]
    return Metric(called, "lower", load=lambda: _distance_values(_on_device(name, device), device))


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


def clip_s_metric(device: torch.device | str = "cpu") -> Metric:
    """CLIP-S: cosine of the CLIP image vectors of a generated cell and its truth.

    Source: SV4D 2.0, section 5, "Metrics".
    """

    def load() -> CellValues:
        clip = ClipFeatures(device=device)

        def score(pair: GridPair) -> Float[Tensor, "N"]:
            generated, truth, _ = pair.cells()
            return (clip(generated) * clip(truth)).sum(-1)

        return score

    return Metric("CLIP-S", "higher", load=load)


def clip_score(clip: ClipFeatures, frames: Float[Tensor, "N 3 H W"], prompt: str) -> Float[Tensor, "N"]:
    """CLIP score of frames against their prompt: 100 times the cosine, at least 0; higher is better.

    Source: 4Real-Video, section 4.2 and Table 1; Hessel et al., "CLIPScore" (2021) without its factor 2.5.
    """
    return 100 * (clip(frames) @ clip.sentences([prompt])[0]).clamp(min=0)


def _moving_psnr(pair: GridPair) -> Float[Tensor, "N"]:
    generated, truth, _ = pair.cells()
    return image_metrics.psnr(generated, truth, pair.moving())
