"""Feature networks: frames or a video in, one vector out, with a name and a fingerprint.

The fingerprint identifies the exact weights; features are cached under it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@runtime_checkable
class ImageFeatures(Protocol):
    """Frames to feature vectors."""

    name: str
    fingerprint: str

    def __call__(self, frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N D"]: ...


@runtime_checkable
class VideoFeatures(Protocol):
    """A video to one feature vector.

    `min_frames` is the shortest video the network can read; `lengthened` says what is done to shorter ones.
    """

    name: str
    fingerprint: str
    min_frames: int

    def __call__(self, video: Float[Tensor, "T 3 H W"]) -> Float[Tensor, "D"]: ...


def normalise(
    frames: Float[Tensor, "N 3 H W"], mean: tuple[float, float, float], std: tuple[float, float, float]
) -> Float[Tensor, "N 3 H W"]:
    """Subtract the colour mean and divide by the deviation a network was trained with."""
    return (frames - frames.new_tensor(mean)[:, None, None]) / frames.new_tensor(std)[:, None, None]


def resize_short_side(
    frames: Float[Tensor, "N 3 H W"], pixels: int, mode: str = "bilinear"
) -> Float[Tensor, "N 3 h w"]:
    """Scale so that the shorter side has `pixels`, antialiased, clipped to [0, 1] (bicubic overshoots)."""
    height, width = frames.shape[-2:]
    scale = pixels / min(height, width)
    size = (max(pixels, round(height * scale)), max(pixels, round(width * scale)))
    return torch.nn.functional.interpolate(frames, size=size, mode=mode, antialias=True).clamp(0, 1)


def centre_square(frames: Float[Tensor, "N 3 H W"], pixels: int) -> Float[Tensor, "N 3 h w"]:
    """The central `pixels` x `pixels` window."""
    top, left = (frames.shape[-2] - pixels) // 2, (frames.shape[-1] - pixels) // 2
    return frames[..., top : top + pixels, left : left + pixels]


def in_chunks(
    network: Callable[[Tensor], Tensor], frames: Float[Tensor, "N 3 H W"], chunk: int = 16
) -> Float[Tensor, "N D"]:
    """Run a network over frames a few at a time, without gradients."""
    with torch.no_grad():
        return torch.cat([network(part) for part in frames.split(chunk)])


def lengthened(video: Float[Tensor, "T 3 H W"], frames: int) -> Float[Tensor, "t 3 H W"]:
    """A video of at least `frames` frames: played forwards and backwards until it is long enough.

    Playing back and forth keeps every step between neighbours one that the video contains, where
    repeating from the start would add a jump and holding the last frame a standstill.
    """
    count = len(video)
    if count >= frames:
        return video
    if count == 1:
        return video.expand(frames, *video.shape[1:])
    period = 2 * (count - 1)
    positions = [min(i % period, period - i % period) for i in range(frames)]
    return video[positions]
