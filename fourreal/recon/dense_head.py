"""The dense head (DPT): tokens of four depths become one map per frame, and its activations.

Depth and points come each with a confidence above 1, which the losses weigh errors by.

Source: Ranftl et al. 2021 (DPT); VGGT, section 3.3, whose key names these are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from fourreal.recon.config import ReconConfig
from fourreal.recon.guards import limit_gradient

_POSITION_STRENGTH = 0.1
_POSITION_BASE = 100.0
_LAST_HIDDEN = 32
# Norm of one frame's gradient at a head's output. Losses are means over pixels, so a healthy one is near 1e-3.
GRADIENT_LIMIT = 0.1
# Raw values are held where their exponential and its products stay finite in float32.
_EXPONENT_LIMIT = 20.0


class ResidualUnit(nn.Module):
    """Two convolutions round a rectified skip.

    The skip carries `relu(x)`, not `x`: the released network rectifies in place.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, maps: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        maps = relu(maps)
        return maps + self.conv2(relu(self.conv1(maps)))


class Fusion(nn.Module):
    """Adds a finer map to a coarser one and scales the sum up."""

    def __init__(self, features: int, *, has_finer: bool) -> None:
        super().__init__()
        self.resConfUnit1 = ResidualUnit(features) if has_finer else None
        self.resConfUnit2 = ResidualUnit(features)
        self.out_conv = nn.Conv2d(features, features, 1)

    def forward(
        self, coarse: Float[Tensor, "N C H W"], finer: Float[Tensor, "N C H W"] | None, size: tuple[int, int]
    ) -> Float[Tensor, "N C h w"]:
        if self.resConfUnit1 is not None and finer is not None:
            coarse = coarse + self.resConfUnit1(finer)
        # Released as scaling, then `out_conv`; both act linearly on different axes, so the cheap order is equal.
        fused = self.out_conv(self.resConfUnit2(coarse))
        return interpolate(fused, size=size, mode="bilinear", align_corners=True)


class DenseHead(nn.Module):
    """Four token maps, fine to coarse, fused from coarse to fine and read out per pixel.

    Args:
        channels: of the map that comes out, before any activation.
    """

    def __init__(self, config: ReconConfig, channels: int) -> None:
        super().__init__()
        self.patch, self.special = config.patch, config.special_tokens
        features, stages = config.dense_features, config.dense_stages
        self.norm = nn.LayerNorm(2 * config.width)
        self.projects = nn.ModuleList(nn.Conv2d(2 * config.width, stage, 1) for stage in stages)
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(stages[0], stages[0], 4, stride=4),
                nn.ConvTranspose2d(stages[1], stages[1], 2, stride=2),
                nn.Identity(),
                nn.Conv2d(stages[3], stages[3], 3, stride=2, padding=1),
            ]
        )
        # The released names say "scratch" for everything after the four stages.
        self.scratch = nn.ModuleDict()
        for index, stage in enumerate(stages, start=1):
            self.scratch[f"layer{index}_rn"] = nn.Conv2d(stage, features, 3, padding=1, bias=False)
            self.scratch[f"refinenet{index}"] = Fusion(features, has_finer=index < len(stages))
        self.scratch["output_conv1"] = nn.Conv2d(features, features // 2, 3, padding=1)
        self.scratch["output_conv2"] = nn.Sequential(
            nn.Conv2d(features // 2, _LAST_HIDDEN, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_LAST_HIDDEN, channels, 1),
        )

    def forward(
        self, layers: Sequence[Float[Tensor, "N L D2"]], image_size: tuple[int, int]
    ) -> Float[Tensor, "N C H W"]:
        """Raw maps of N frames, always computed in float32, their gradient limited.

        Args:
            layers: the four token maps, special tokens first.
            image_size: (height, width) of the frames, multiples of the patch size.
        """
        with torch.autocast(layers[0].device.type, enabled=False):
            rows, columns = image_size[0] // self.patch, image_size[1] // self.patch
            aspect = image_size[1] / image_size[0]
            stages = []
            for tokens, project, resize in zip(layers, self.projects, self.resize_layers, strict=True):
                patches = self.norm(tokens[:, self.special :].float())
                maps = project(rearrange(patches, "n (h w) d -> n d h w", h=rows, w=columns))
                stages.append(resize(maps + _positions(maps, aspect)))
            fused = self.scratch["output_conv1"](self._fuse(stages))
            full = interpolate(fused, size=image_size, mode="bilinear", align_corners=True)
            raw = self.scratch["output_conv2"](full + _positions(full, aspect))
            return limit_gradient(raw, GRADIENT_LIMIT)

    def _fuse(self, stages: list[Tensor]) -> Tensor:
        reduced = [self.scratch[f"layer{i}_rn"](stage) for i, stage in enumerate(stages, start=1)]
        fused = self.scratch["refinenet4"](reduced[3], None, tuple(reduced[2].shape[-2:]))
        fused = self.scratch["refinenet3"](fused, reduced[2], tuple(reduced[1].shape[-2:]))
        fused = self.scratch["refinenet2"](fused, reduced[1], tuple(reduced[0].shape[-2:]))
        finest = tuple(2 * side for side in reduced[0].shape[-2:])
        return self.scratch["refinenet1"](fused, reduced[0], finest)


def _positions(maps: Float[Tensor, "N C H W"], aspect: float) -> Float[Tensor, "1 C H W"]:
    """Sines and cosines of the pixel's place on an image of diagonal 2: x in the first half, y in the second."""
    channels, height, width = maps.shape[1:]
    diagonal = (1 + aspect * aspect) ** 0.5
    exponents = torch.arange(channels // 4, dtype=torch.float64, device=maps.device) / (channels // 4)
    rates = _POSITION_BASE**-exponents
    waves = []
    for span, count in ((aspect / diagonal, width), (1 / diagonal, height)):
        edge = span * (count - 1) / count
        places = torch.linspace(-edge, edge, count, dtype=maps.dtype, device=maps.device)
        angles = places.double()[:, None] * rates
        waves.append(torch.cat([angles.sin(), angles.cos()], 1).to(maps.dtype))
    across = waves[0].T[:, None, :].expand(-1, height, -1)
    down = waves[1].T[:, :, None].expand(-1, -1, width)
    return _POSITION_STRENGTH * torch.cat([across, down])[None]


# ---- activations ------------------------------------------------------------------------------


def depth_and_confidence(
    raw: Float[Tensor, "*batch 2 H W"],
) -> tuple[Float[Tensor, "*batch H W"], Float[Tensor, "*batch H W"]]:
    """Positive z-depth (exponential) and confidence (1 + exponential). Source: VGGT, section 3.3."""
    raw = raw.clamp(-_EXPONENT_LIMIT, _EXPONENT_LIMIT)
    return raw[..., 0, :, :].exp(), 1 + raw[..., 1, :, :].exp()


def points_and_confidence(
    raw: Float[Tensor, "*batch 4 H W"],
) -> tuple[Float[Tensor, "*batch H W 3"], Float[Tensor, "*batch H W"]]:
    """World points, linear near 0 and exponential far away (`sign(x) (e^|x| - 1)`), and confidence."""
    raw = raw.clamp(-_EXPONENT_LIMIT, _EXPONENT_LIMIT)
    places = torch.movedim(raw[..., :3, :, :], -3, -1)
    return places.sign() * torch.expm1(places.abs()), 1 + raw[..., 3, :, :].exp()
