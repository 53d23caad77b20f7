"""A perceptual distance that needs no weights: band-pass contrasts compared after local normalisation.

It replaces a learned distance where that is too slow, under its own name, "Laplacian pyramid distance". It is a variant
of the normalised Laplacian pyramid distance (Laparra et al., "Perceptual image quality assessment using a normalized
Laplacian pyramid", 2016) with a Gaussian pool instead of their fitted one, on all three colours. It measures blur,
noise and lost edges, and no semantics.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

NAME = "Laplacian pyramid distance"
LEVELS = 5
FLOOR = 0.17
"""Contrast below which a band is not amplified; the published constant of the band-pass levels."""
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def laplacian_distance(a: Float[Tensor, "N 3 H W"], b: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N"]:
    """Distance of each pair of sRGB [0, 1] images; 0 for equal ones, lower is nearer.

    Each image becomes Laplacian bands (down to 4 pixels), every band is divided by its local mean
    magnitude plus `FLOOR`; the distance is the mean over bands of the root mean square difference.
    """
    levels = _normalised_bands(torch.cat([a, b]))
    rms = []
    for band in levels:
        band_a, band_b = band.chunk(2)
        # The square root's slope at zero is infinite; the tiny term keeps gradients finite there.
        mean_square = (band_a - band_b).square().mean((1, 2, 3))
        rms.append((mean_square + 1e-12).sqrt() - 1e-6)
    return torch.stack(rms).mean(0)


def _normalised_bands(images: Float[Tensor, "N 3 H W"]) -> list[Tensor]:
    bands = []
    current = images
    for _ in range(LEVELS - 1):
        if min(current.shape[-2:]) < 8:
            break
        smaller = _blur(current)[..., ::2, ::2]
        back = torch.nn.functional.interpolate(smaller, size=current.shape[-2:], mode="bilinear", align_corners=False)
        bands.append(_divide(current - back))
        current = smaller
    bands.append(_divide(current))
    return bands


def _divide(band: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N 3 H W"]:
    return band / (FLOOR + _blur(band.abs()))


def _blur(images: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N 3 H W"]:
    kernel = images.new_tensor(BINOMIAL)
    weight = (kernel[:, None] * kernel)[None, None].expand(3, 1, 5, 5)
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2), mode="replicate")
    return torch.nn.functional.conv2d(padded, weight, groups=3)
