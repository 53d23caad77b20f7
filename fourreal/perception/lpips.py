"""LPIPS (AlexNet and VGG), from the user's weights under their released key names.

Two published files make it: an ImageNet backbone (torchvision's state dict) and five linear heads
(the lpips package's). Without both there is no LPIPS; `st_lpips` and `laplacian_distance` replace
it then, under their own names.

Source: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric"
(CVPR 2018), section 3, equation 1; version 0.1 of the released heads.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fourreal.core.errors import InputError
from fourreal.perception import needed_weights
from fourreal.perception.needed_weights import MissingWeights, NeededWeights, content_hash, read_tensors

LpipsBackbone = Literal["alex", "vgg"]
"""alex: AlexNet, what most papers report. vgg: VGG-16, what most training losses use."""

# The published constants bring [-1, 1] images to ImageNet statistics.
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
UNIT_EPS = 1e-20
"""Added to squared lengths: the released code adds its root to lengths, whose gradient at zero is NaN."""


def _alexnet() -> nn.Sequential:
    """AlexNet's convolutions, numbered as torchvision's `features`."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    )


def _vgg16() -> nn.Sequential:
    """VGG-16's convolutions up to relu5_3, numbered as torchvision's `features`."""
    layers: list[nn.Module] = []
    channels = 3
    for stage in ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)):
        if layers:
            layers.append(nn.MaxPool2d(2, stride=2))
        for width in stage:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
    return nn.Sequential(*layers)


_BACKBONES = {"alex": _alexnet, "vgg": _vgg16}
_TAPS = {"alex": (1, 4, 7, 9, 11), "vgg": (3, 8, 15, 22, 29)}
_WIDTHS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}
_NEEDED = {
    "alex": (needed_weights.LPIPS_ALEX_BACKBONE, needed_weights.LPIPS_ALEX_HEADS),
    "vgg": (needed_weights.LPIPS_VGG_BACKBONE, needed_weights.LPIPS_VGG_HEADS),
}


class Lpips(nn.Module):
    """The distance: unit-normalised features, squared differences weighted by the heads, averaged over pixels.

    The backbone's keys are torchvision's (`features.0.weight`), the heads' the lpips package's
    (`lin0.model.1.weight`). Build it with `load_lpips`; a fresh one holds random numbers.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: LpipsBackbone) -> None:
        super().__init__()
        self.name = {"alex": "LPIPS (AlexNet)", "vgg": "LPIPS (VGG)"}[backbone]
        self.fingerprint = f"lpips-{backbone}-untrained"
        self.features = _BACKBONES[backbone]()
        self.taps = _TAPS[backbone]
        self.heads = nn.ParameterList(nn.Parameter(torch.rand(1, width, 1, 1)) for width in _WIDTHS[backbone])
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None], persistent=False)

    def forward(self, a: Float[Tensor, "N 3 H W"], b: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N"]:
        """Distance of each pair of sRGB [0, 1] images; 0 for equal ones, lower is nearer.

        Raises:
            InputError: the images are smaller than the backbone's pooling needs.
        """
        if min(a.shape[-2:]) < 32:
            raise InputError(f"{self.name} needs images of at least 32 x 32 pixels; got {tuple(a.shape[-2:])}")
        x = torch.cat([a, b])
        x = (2 * x - 1 - self.shift) / self.scale
        distance = a.new_zeros(len(a))
        heads = iter(self.heads)
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.taps:
                unit = x / (x.square().sum(1, keepdim=True) + UNIT_EPS).sqrt()
                unit_a, unit_b = unit.chunk(2)
                weighted = (unit_a - unit_b).square() * next(heads)
                distance = distance + weighted.sum(1).mean((-2, -1))
        return distance

    def load_published(self, backbone: dict[str, Tensor], heads: dict[str, Tensor]) -> None:
        """Take the weights from the two published files' tensors.

        Raises:
            InputError: a key is missing or has another shape.
        """
        wanted = {f"features.{key}": value for key, value in self.features.state_dict().items()}
        wanted |= {f"lin{i}.model.1.weight": head for i, head in enumerate(self.heads)}
        for key, mine in wanted.items():
            source = heads if key.startswith("lin") else backbone
            if key not in source or source[key].shape != mine.shape:
                came = list(source[key].shape) if key in source else "no such key"
                raise InputError(f"{self.name}: expected {key} of shape {list(mine.shape)} in the weights; got {came}")
            with torch.no_grad():
                mine.copy_(source[key])


def load_lpips(
    backbone: LpipsBackbone = "alex",
    *,
    backbone_file: str | os.PathLike[str] | None = None,
    heads_file: str | os.PathLike[str] | None = None,
) -> Lpips:
    """LPIPS proper, from the user's files (.pth or .safetensors).

    Left out, the files are looked for in the weights folder; the heads also inside an installed
    `lpips` or `torchmetrics` package, which carry them.

    Raises:
        MissingWeights: a file is not there. The message says which, from where and where to put it.
        InputError: a file holds something else.
    """
    needed_backbone, needed_heads = _NEEDED[backbone]
    backbone_path = needed_backbone.find(backbone_file)
    heads_path = _find_heads(needed_heads, backbone, heads_file)
    model = Lpips(backbone)
    model.load_published(read_tensors(backbone_path), read_tensors(heads_path))
    model.fingerprint = f"lpips-{backbone}-{content_hash(backbone_path)}-{content_hash(heads_path)}"
    return model.eval().requires_grad_(False)


def _find_heads(needed: NeededWeights, backbone: str, given: str | os.PathLike[str] | None) -> Path:
    try:
        return needed.find(given)
    except MissingWeights:
        if given is not None:
            raise
        for package, inside in (("lpips", "weights/v0.1"), ("torchmetrics", "functional/image/lpips_models")):
            spec = importlib.util.find_spec(package)
            for folder in (spec.submodule_search_locations or []) if spec else []:
                candidate = Path(folder) / inside / f"{backbone}.pth"
                if candidate.is_file():
                    return candidate
        raise
