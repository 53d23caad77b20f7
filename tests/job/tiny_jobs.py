"""Networks, clips and requests for runs of a second."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from recon.awake import awake_model
from video.tiny_generator import tiny_pixels

from fourreal.core.grid_shape import GridShape
from fourreal.core.media import write_video
from fourreal.core.progress import Progress
from fourreal.job.request import JobRequest, StageName
from fourreal.recon.weights import save_model
from fourreal.video.settings import GenerationSettings


def save_tiny_models(folder: Path) -> Path:
    generator = replace(tiny_pixels(), training_size=GridShape.of(3, 5, (16, 16)))
    generator.save_pretrained(folder / "video")
    save_model(folder / "recon", awake_model(), trained_steps=1)
    return folder


def make_quick(patch: pytest.MonkeyPatch) -> None:
    """The Gaussians of a random network cover whole pictures, and its views can be aligned for long."""
    patch.setattr("fourreal.job.footage_motion.SIDE", 32)
    patch.setattr("fourreal.view.movie.MOVIE_PX", 24)
    patch.setattr("fourreal.recon.fidelity.CELL_PX", 24)
    patch.setattr(importlib.import_module("fourreal.recon.reconstruct"), "aligns", lambda model, settings: False)


def texture(height: int = 40, width: int = 48, seed: int = 0) -> torch.Tensor:
    """A smooth random picture, [3, H, W]."""
    coarse = torch.rand(1, 3, height // 4, width // 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)[0]


def moving_square(times: int = 12) -> torch.Tensor:
    """A still texture, and a square that moves two pixels a frame."""
    frames = texture().repeat(times, 1, 1, 1)
    for time in range(times):
        frames[time, :, 10:20, 4 + 2 * time : 14 + 2 * time] = torch.tensor([1.0, 0.2, 0.0])[:, None, None]
    return frames


def write_clip(path: Path, times: int = 12, fps: float = 8.0) -> Path:
    write_video(path, moving_square(times), fps)
    return path


def request(models: Path, **changes: Any) -> JobRequest:
    settings = GenerationSettings(steps=2, device="cpu")
    values = {"model": str(models / "video"), "recon": str(models / "recon"), "settings": settings}
    return JobRequest(**{**values, **changes})


class Diary:
    """A watcher that writes down what it was told, and can stop the run in a stage."""

    def __init__(self, stop_in: StageName | None = None) -> None:
        self.stop_in = stop_in
        self.made: list[str] = []
        self.kept: list[str] = []
        self.notes: list[str] = []
        self.steps: dict[str, int] = {}

    @contextlib.contextmanager
    def stage(self, name: StageName, label: str) -> Iterator[Progress]:
        def report(done: int, total: int) -> None:
            self.steps[name] = done
            if name == self.stop_in:
                raise KeyboardInterrupt

        yield report
        self.made.append(name)

    def reused(self, name: StageName, label: str) -> None:
        self.kept.append(name)

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)
