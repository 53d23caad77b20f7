"""Clips of real footage in a folder, to be warped into pseudo-4D grids or shown as single videos."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.media import probe_clip, read_clip

CLIP_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif")
LICENCE_FILE = "LICENCE.txt"


@dataclass(frozen=True)
class ClipFolder:
    """All clips below a folder, found by name order. Captions are the names, words split at _ and -.

    A `LICENCE.txt` in the folder is one line on the terms of the pixels; it goes into every sample.
    """

    folder: Path

    @functools.cached_property
    def files(self) -> list[Path]:
        """Raises InputError when there is no clip."""
        found = sorted(path for path in Path(self.folder).rglob("*") if path.suffix.lower() in CLIP_SUFFIXES)
        if not found:
            raise InputError(f"{self.folder} holds no clips ({', '.join(CLIP_SUFFIXES)}); give a folder with footage")
        return found

    @functools.cached_property
    def licence(self) -> str:
        file = Path(self.folder) / LICENCE_FILE
        return file.read_text(encoding="utf-8").strip().splitlines()[0] if file.is_file() else "unknown"

    def caption(self, file: Path) -> str:
        return " ".join(file.stem.replace("_", " ").replace("-", " ").split())

    def read(
        self, times: int, fps: float, size: tuple[int, int], rng: np.random.Generator
    ) -> tuple[Path, Float[Tensor, "T 3 H W"]]:
        """A random stretch of a random clip.

        Raises:
            InputError: the clip drawn is shorter than that.
        """
        file = self.files[int(rng.integers(len(self.files)))]
        length = probe_clip(file).seconds[-1]
        start = float(rng.uniform(0, max(0.0, length - times / fps)))
        return file, read_clip(file, count=times, fps=fps, size=size, start_s=start).frames
