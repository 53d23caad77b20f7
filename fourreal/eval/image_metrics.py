"""PSNR, SSIM and MSE of image pairs, whole or inside a mask; NaN where a mask leaves nothing.

All take sRGB in [0, 1], so the range is 1. One value an image pair.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.errors import InputError

SSIM_WINDOW, SSIM_SIGMA = 11, 1.5
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2
MOVING_THRESHOLD = 0.08
"""A pixel moves when its truth differs from the view's first frame by more than this (mean of the colours)."""


def mse(
    generated: Float[Tensor, "N 3 H W"], truth: Float[Tensor, "_ 3 _ _"], mask: Bool[Tensor, "N H W"] | None = None
) -> Float[Tensor, "N"]:
    """Mean squared error over pixels and colours. 0 is perfect.

    Raises:
        InputError: sizes differ, or a pixel is NaN or infinite.
    """
    _require_comparable(generated, truth)
    squared = (generated - truth).square().mean(1)
    return _masked_mean(squared, mask)


def psnr(
    generated: Float[Tensor, "N 3 H W"], truth: Float[Tensor, "_ 3 _ _"], mask: Bool[Tensor, "N H W"] | None = None
) -> Float[Tensor, "N"]:
    """Peak signal-to-noise ratio in dB, -10 log10(MSE). Infinite for equal images; higher is better.

    Raises:
        InputError: as `mse`.
    """
    return -10 * torch.log10(mse(generated, truth, mask))


def ssim(
    generated: Float[Tensor, "N 3 H W"], truth: Float[Tensor, "_ 3 _ _"], mask: Bool[Tensor, "N H W"] | None = None
) -> Float[Tensor, "N"]:
    """Structural similarity, mean over colours and window centres. 1 for equal images; higher is better.

    Gaussian window of 11 x 11, sigma 1.5, population covariance, K1 0.01, K2 0.03, range 1. Windows
    that reach over the border are left out, so the outer 5 pixels are no window centres; a mask
    chooses window centres.

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity"
    (2004), equation 13.

    Raises:
        InputError: as `mse`, or an image smaller than the window.
    """
    _require_comparable(generated, truth)
    if min(truth.shape[-2:]) < SSIM_WINDOW:
        raise InputError(f"SSIM needs images of at least {SSIM_WINDOW} pixels a side; got {tuple(truth.shape[-2:])}")
    # One image at a time: its few maps stay in the processor's cache, a whole grid's do not.
    maps = torch.stack([_ssim_map(x, y) for x, y in zip(generated, truth, strict=True)])
    border = SSIM_WINDOW // 2
    centres = None if mask is None else mask[..., border:-border, border:-border]
    return _masked_mean(maps, centres).to(truth.dtype)


def moving_mask(truth: Float[Tensor, "V T 3 H W"], threshold: float = MOVING_THRESHOLD) -> Bool[Tensor, "V T H W"]:
    """Pixels whose true colour differs from the same view's first frame by more than `threshold`.

    The difference is the mean over the three colours. The first column has none by definition.
    """
    return (truth - truth[:, :1]).abs().mean(2) > threshold


def _ssim_map(x: Float[Tensor, "3 H W"], y: Float[Tensor, "3 H W"]) -> Float[Tensor, "h w"]:
    # Variances are differences of near-equal numbers: double precision keeps them.
    x, y = x.double(), y.double()
    mean_x, mean_y, square_x, square_y, product = _window_mean(torch.stack([x, y, x * x, y * y, x * y]))
    means = mean_x * mean_y
    squares = mean_x.square() + mean_y.square()
    luminance = (2 * means + SSIM_C1) / (squares + SSIM_C1)
    structure = (2 * (product - means) + SSIM_C2) / (square_x + square_y - squares + SSIM_C2)
    return (luminance * structure).mean(0)


def _window_mean(maps: Float[Tensor, "*batch H W"]) -> Float[Tensor, "*batch h w"]:
    """Gaussian means of all full windows: eleven shifted sums a direction, quicker than float64 convolution."""
    offsets = torch.arange(SSIM_WINDOW, dtype=torch.float64) - SSIM_WINDOW // 2
    weights = torch.exp(-offsets.square() / (2 * SSIM_SIGMA**2))
    for axis in (-1, -2):
        length = maps.shape[axis] - SSIM_WINDOW + 1
        total = torch.zeros_like(maps.narrow(axis, 0, length))
        for shift, weight in enumerate((weights / weights.sum()).tolist()):
            total.add_(maps.narrow(axis, shift, length), alpha=weight)
        maps = total
    return maps


def _masked_mean(values: Float[Tensor, "N H W"], mask: Bool[Tensor, "N H W"] | None) -> Float[Tensor, "N"]:
    if mask is None:
        return values.mean((-2, -1))
    return (values * mask).sum((-2, -1)) / mask.sum((-2, -1))  # 0 / 0 is NaN: nothing to measure


def _require_comparable(generated: Tensor, truth: Tensor) -> None:
    if generated.shape != truth.shape:
        raise InputError(
            f"images to compare must have one shape; generated {list(generated.shape)}, truth {list(truth.shape)}"
        )
    for name, images in (("generated", generated), ("truth", truth)):
        if not torch.isfinite(images).all():
            image = int(torch.nonzero(~torch.isfinite(images).flatten(1).all(1))[0])
            raise InputError(f"{name} image {image} holds NaN or infinity; mend or drop it")
