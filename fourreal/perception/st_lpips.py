"""ST-LPIPS (alex): the learned perceptual distance that comes with the package.

Its weights were trained on human judgements of picture pairs, without an ImageNet start, so it is a
distance and not a semantic network. It is built like LPIPS and is **not** LPIPS: the trunk keeps more
pixels (the first convolution does not stride) and blurs before it drops any, so that a shift by a
pixel counts little. A strong blur can score worse than another picture altogether: read small
values, do not rank large ones.

Source: Ghildyal and Liu 2022, "Shift-tolerant Perceptual Similarity Metric"; Zhang et al. 2018 (LPIPS), equation 1.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fourreal.core.errors import InputError

WEIGHTS = Path(__file__).parents[1] / "weights" / "st-lpips-alex" / "model.safetensors"
WIDTHS = (64, 192, 384, 256, 256)
SMALLEST_SIDE = 32
# LPIPS's constants: they bring pictures in [-1, 1] to ImageNet statistics.
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class BlurPool(nn.Module):
    """Halve a map after blurring it with a 3 x 3 binomial filter; the border is mirrored by two pixels."""

    def forward(self, maps: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
        row = maps.new_tensor([0.25, 0.5, 0.25])
        kernel = (row[:, None] * row).expand(maps.shape[1], 1, 3, 3)
        mirrored = nn.functional.pad(maps, (2, 2, 2, 2), mode="reflect")
        return nn.functional.conv2d(mirrored, kernel, stride=2, groups=maps.shape[1])


class StLpips(nn.Module):
    """The distance. Build it with `load_st_lpips`; a fresh one holds random numbers."""

    name = "ST-LPIPS (alex)"

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth, fifth = WIDTHS
        self.features = nn.Sequential(
            nn.Conv2d(3, first, 11, padding=2),
            BlurPool(),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=1),
            BlurPool(),
            nn.Conv2d(first, second, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=1),
            BlurPool(),
            nn.Conv2d(second, third, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(third, fourth, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(fourth, fifth, 3, padding=1),
            nn.ReLU(),
        )
        self.taps = (2, 6, 10, 12, 14)
        self.channel_weights = nn.ParameterList(torch.rand(width) for width in WIDTHS)

    def forward(self, a: Float[Tensor, "N 3 H W"], b: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N"]:
        """Distance of each pair of sRGB [0, 1] pictures; 0 for equal ones, lower is nearer, differentiable.

        Raises:
            InputError: the pictures are too small for the trunk.
        """
        if min(a.shape[-2:]) < SMALLEST_SIDE:
            raise InputError(
                f"{self.name} needs pictures of at least {SMALLEST_SIDE} pixels a side; got {tuple(a.shape[-2:])}"
            )
        shift, scale = a.new_tensor(SHIFT)[:, None, None], a.new_tensor(SCALE)[:, None, None]
        maps = (2 * torch.cat([a, b]) - 1 - shift) / scale
        distance = a.new_zeros(len(a))
        weights = iter(self.channel_weights)
        for index, layer in enumerate(self.features):
            maps = layer(maps)
            if index in self.taps:
                # The small number keeps the gradient of pixels without any feature finite.
                unit = maps / (maps.square().sum(1, keepdim=True) + 1e-20).sqrt()
                mine, theirs = unit.chunk(2)
                distance = distance + torch.einsum("nchw,c->nhw", (mine - theirs).square(), next(weights)).mean((1, 2))
        return distance


def load_st_lpips(path: Path = WEIGHTS) -> StLpips:
    """ST-LPIPS with its weights, fixed.

    Raises:
        InputError: the file is missing, damaged or holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read as safetensors ({error}); reinstall the package") from error
    model = StLpips()
    mine = model.state_dict()
    if {key: value.shape for key, value in tensors.items()} != {key: value.shape for key, value in mine.items()}:
        raise InputError(f"{path} does not hold the weights of {model.name}; reinstall the package")
    model.load_state_dict({key: value.float() for key, value in tensors.items()})
    return model.eval().requires_grad_(False)
