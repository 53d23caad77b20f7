"""Generators small enough for tests: random weights, and oracles that know the answer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fourreal.core.grid import VideoGrid
from fourreal.video.codec import PixelTubelets
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.presets import tiny
from fourreal.video.text import NoTextEncoder
from fourreal.video.trainable import What, trainable_parameters
from fourreal.video.transformer import ViewTimeTransformer

PIXELS: dict[str, Any] = {
    **tiny(),
    "in_channels": 768,
    "out_channels": 768,
    "patch_size": (1, 1, 1),
    "rope_theta": 30.0,
    "prediction": "sample",
    "trained": "grid",
}


class AdditiveOracle(ViewTimeTransformer):
    """Knows that every frame is a picture of its view plus a picture of its time, and nothing else.

    It needs one row and one column of references to say the whole grid, so a result that equals the
    truth proves that every window, split and reversal was given the right references.
    """

    calls: list[dict[str, Any]]

    def forward(self, latents: Tensor, timestep: Tensor, text: Tensor, references=None, reference_mask=None, **options):  # pyright: ignore[reportIncompatibleMethodOverride]
        self.__dict__.setdefault("calls", []).append(
            {"timestep": timestep, "text": text, "mask": reference_mask, "latents": latents, **options}
        )
        assert references is not None
        assert reference_mask is not None
        given = reference_mask[0]
        row, column = int(given.all(1).nonzero()[0]), int(given.all(0).nonzero()[0])
        along_views, along_times = references[:, :, :, column, None], references[:, row, None]
        # [B V C 1 h w] + [B 1 C t h w]
        return along_views + along_times - references[:, row, None, :, column, None]


def tiny_pixels(kind: type[ViewTimeTransformer] = ViewTimeTransformer, **changes: Any) -> ViewTimeGenerator:
    torch.manual_seed(5)
    transformer = kind(**{**PIXELS, **changes}).eval().requires_grad_(False)
    return ViewTimeGenerator(
        transformer=transformer, codec=PixelTubelets(), text_encoder=NoTextEncoder(PIXELS["text_dim"]), shift=3.0
    )


def additive_grid(views: int, times: int, size: int = 8, seed: int = 0) -> VideoGrid:
    """A complete grid that `AdditiveOracle` can continue."""
    generator = torch.Generator().manual_seed(seed)
    of_view = torch.rand(views, 1, 3, size, size, generator=generator) / 2
    of_time = torch.rand(1, times, 3, size, size, generator=generator) / 2
    return VideoGrid.complete(of_view + of_time, torch.arange(times) / 8)


def only_trainable(model: ViewTimeTransformer, what: What = "arrangement") -> list[torch.nn.Parameter]:
    """Let gradients reach what an arrangement trains and nothing else, as the training loop does."""
    chosen = trainable_parameters(model, what)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in chosen)
    return list(chosen.values())
