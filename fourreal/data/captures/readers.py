"""The readers of benchmarks by name. A new data set is a file with a reader, and its entry here."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from fourreal.core.errors import InputError
from fourreal.data.captures.capture import Capture, Selection

READERS: dict[str, tuple[str, str, str]] = {
    "colmap": ("colmap", "read_colmap", "a folder with images/ and sparse/0/, V x 1"),
    "davis": ("davis", "read_davis", "DAVIS/JPEGImages/480p/SEQUENCE, 1 x T"),
    "diffusion4d": ("diffusion4d", "read_diffusion4d", "an object rendered as Diffusion4D does, V x T partly known"),
    "llff": ("llff", "read_llff", "a folder with images/ and poses_bounds.npy, V x 1"),
    "neural-3d-video": ("llff", "read_neural_3d_video", "a folder with cam00.mp4 ... and poses_bounds.npy, V x T"),
    "nvidia-dynamic": ("nvidia_dynamic", "read_nvidia_dynamic", "a folder with mv_images/ and poses_bounds.npy, V x T"),
    "pose2sim": ("qualisys", "read_pose2sim", "a folder with calibration/*.qca.txt and videos/, V x T"),
    "realestate10k": ("realestate10k", "read_realestate10k", "CLIP.txt with its frames in the folder CLIP, V x 1"),
    "transforms-json": ("transforms_json", "read_transforms", "a folder with a transforms.json, V x 1"),
    "view-folders": ("view_folders", "read_view_folders", "a folder of frames per view, V x T without cameras"),
}
"""Name to (module, function of a path and a `Selection`, what it reads)."""


def read_benchmark(name: str, path: Path, selection: Selection) -> Capture:
    """Read a scene of a benchmark.

    Raises:
        InputError: there is no such reader, or it cannot read the path.
    """
    if name not in READERS:
        raise InputError(f"there is no reader '{name}'; known are {', '.join(READERS)}")
    module, function, _ = READERS[name]
    reader: Callable[[Path, Selection], Capture] = getattr(
        importlib.import_module(f"fourreal.data.captures.{module}"), function
    )
    return reader(path, selection)
