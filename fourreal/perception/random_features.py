"""Untrained feature networks: fixed random convolutions, for smoke tests.

Numbers made with them are called "random features (untrained)" and compare with nothing but each
other. They need no download and give the same values on every machine that draws the same numbers
from one torch seed.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fourreal.perception.feature_network import in_chunks, lengthened

SEED = 20_250_618
SIDE = 64
"""Frames are scaled to this size first, so that features do not depend on the resolution."""


def _drawn(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    fan_in = shape[1] * shape[2] * shape[3]
    return torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5


class RandomImageFeatures:
    """Three random convolutions with rectifiers, averaged over the frame at every stage: `dim` numbers a frame."""

    name = "random features (untrained)"
    fingerprint = f"random-images-{SEED}"

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(SEED)
        shapes = ((16, 3, 5, 5), (24, 16, 3, 3), (24, 24, 3, 3))
        self.kernels = [_drawn(shape, generator) for shape in shapes]
        self.dim = 2 * sum(shape[0] for shape in shapes)

    def __call__(self, frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N D"]:
        return in_chunks(self._features, frames)

    def _features(self, frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N D"]:
        x = nn.functional.interpolate(frames, size=(SIDE, SIDE), mode="bilinear", antialias=True) - 0.5
        pooled = []
        for kernel in self.kernels:
            x = nn.functional.conv2d(x, kernel.to(x), stride=2, padding=kernel.shape[-1] // 2).relu()
            pooled += [x.mean((-2, -1)), x.square().mean((-2, -1)).sqrt()]
        return torch.cat(pooled, 1)


class RandomVideoFeatures:
    """The random frame features of a video and of its frame-to-frame changes, averaged over time."""

    name = "random features (untrained)"
    fingerprint = f"random-videos-{SEED}"
    min_frames = 2

    def __init__(self) -> None:
        self.frames = RandomImageFeatures()
        self.dim = 2 * self.frames.dim

    def __call__(self, video: Float[Tensor, "T 3 H W"]) -> Float[Tensor, "D"]:
        video = lengthened(video, self.min_frames)
        still = self.frames(video)
        # Changes lie in [-1, 1]; the frame features expect [0, 1].
        change = self.frames((video.diff(dim=0) + 1) / 2)
        return torch.cat([still.mean(0), change.mean(0)])
