"""The scene folder: a `GaussianSequence` on disk without loss, one file per time.

    scene.json                 times, cameras (our own convention, exact), where it comes from
    steps/t000.safetensors     means, quats_wxyz, scales, opacities, sh; float32, physical values
    SHA256SUMS                 checksums of all these files

Every key of `scene.json` is described in `docs/formats.md`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.atomic import atomic_folder
from fourreal.core.cameras import Cameras
from fourreal.core.checksums import verify_checksums, write_checksums
from fourreal.core.configs import Fields
from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians, GaussianSequence
from fourreal.core.reading import read_bytes, reading
from fourreal.files.camera_entries import read_image_size
from fourreal.files.manifest import open_manifest

SCENE_MANIFEST = "scene.json"
VERSION = 1
CONVENTION = (
    "world_to_cam is OpenCV (+x right, +y down, +z forward), intrinsics in pixels with the centre of the top-left "
    "pixel at (0.5, 0.5); quaternions are wxyz, scales standard deviations, opacities in [0, 1]"
)
MAX_HEADER_BYTES = 1 << 20
MAX_NUMBERS = 3 + 4 + 3 + 1 + 16 * 3
"""Of one Gaussian of the highest degree."""
_TENSORS = ("means", "quats_wxyz", "scales", "opacities", "sh")


@dataclass(frozen=True)
class SceneRecord:
    """What a scene folder keeps beside the scene: what it shows, where it comes from, under which terms."""

    caption: str = ""
    source: str = ""
    licence: str = ""


def save_scene(
    folder: str | os.PathLike[str],
    scene: GaussianSequence,
    *,
    caption: str = "",
    source: str = "",
    licence: str = "",
    overwrite: bool = False,
) -> None:
    """Write a scene folder; it appears whole or not at all. Values are kept exactly as float32.

    Args:
        caption: what is there and how it moves.
        source: where the scene comes from.
        licence: under which terms, in words or as an SPDX identifier.
        overwrite: replace the folder if it exists.

    Raises:
        InputError: the folder exists and is not to be overwritten, or it cannot be written.
    """
    with atomic_folder(folder, overwrite=overwrite) as partial:
        (partial / "steps").mkdir()
        for index, step in enumerate(scene.steps):
            _write_step(partial / _step_name(index), step)
        text = json.dumps(_manifest(scene, SceneRecord(caption, source, licence)), indent=1, allow_nan=False)
        (partial / SCENE_MANIFEST).write_text(text + "\n", encoding="utf-8")
        write_checksums(partial)


def load_scene(
    folder: str | os.PathLike[str], *, times: Sequence[int] | None = None, verify: bool = False
) -> GaussianSequence:
    """Read a scene folder.

    Args:
        verify: compare its files with the recorded checksums first.
        times: read only these steps (increasing indices); the others' files are not touched.

    Raises:
        InputError: anything is missing, damaged, or at odds with `scene.json`; the message names it.
    """
    folder = Path(folder)
    manifest = open_manifest(folder, SCENE_MANIFEST, "scene", VERSION)
    if verify:
        verify_checksums(folder)
    entries = manifest.objects("steps")
    if times is not None:
        outside = [time for time in times if not 0 <= time < len(entries)]
        if outside:
            raise InputError(f"{folder} has steps 0 to {len(entries) - 1}; step {outside[0]} was asked for")
        entries = [entries[time] for time in times]
    cameras = _read_cameras(manifest)
    seconds = torch.tensor([entry.number("seconds") for entry in entries], dtype=torch.float64).float()
    steps = tuple(_read_step(entry, folder) for entry in entries)
    with reading(manifest.where):
        return GaussianSequence(steps, seconds, cameras).validated()


def load_scene_record(folder: str | os.PathLike[str]) -> SceneRecord:
    """Read only what a scene folder says about itself. Raises InputError as `load_scene` does."""
    manifest = open_manifest(Path(folder), SCENE_MANIFEST, "scene", VERSION)
    return SceneRecord(manifest.text("caption", ""), manifest.text("source", ""), manifest.text("license", ""))


def _write_step(path: Path, step: Gaussians) -> None:
    from safetensors.torch import save

    tensors = {name: getattr(step, name).detach().cpu().float().contiguous() for name in _TENSORS}
    path.write_bytes(save(tensors))


def _manifest(scene: GaussianSequence, record: SceneRecord) -> dict[str, Any]:
    height, width = scene.cameras.image_size
    poses, intrinsics = (
        values.detach().double().tolist() for values in (scene.cameras.world_to_cam, scene.cameras.intrinsics)
    )
    return {
        "format": "fourreal-scene",
        "format_version": VERSION,
        "convention": CONVENTION,
        "caption": record.caption,
        "source": record.source,
        "license": record.licence,
        "w": width,
        "h": height,
        "cameras": [{"world_to_cam": p, "intrinsics": k} for p, k in zip(poses, intrinsics, strict=True)],
        "steps": [
            {"file_path": _step_name(index), "seconds": seconds, "gaussians": len(step)}
            for index, (step, seconds) in enumerate(
                zip(scene.steps, scene.seconds.detach().double().tolist(), strict=True)
            )
        ],
    }


def _step_name(index: int) -> str:
    return f"steps/t{index:03d}.safetensors"


def _read_cameras(manifest: Fields) -> Cameras:
    entries = manifest.objects("cameras")
    poses = [entry.matrix("world_to_cam", 4, 4) for entry in entries]
    intrinsics = [entry.matrix("intrinsics", 3, 3) for entry in entries]
    for entry, matrix in zip(entries, intrinsics, strict=True):
        if matrix[1][0] != 0 or matrix[2] != [0, 0, 1]:
            raise InputError(f"{entry.where}.intrinsics: expected [fx skew cx] [0 fy cy] [0 0 1], got {matrix}")
    with reading(f"{manifest.where}: cameras"):
        return Cameras(_stack(poses, 4), _stack(intrinsics, 3), read_image_size(manifest)).validated()


def _stack(matrices: list[list[list[float]]], side: int) -> Float[Tensor, "N side side"]:
    return torch.tensor(matrices, dtype=torch.float64).reshape(-1, side, side).float()


def _read_step(entry: Fields, folder: Path) -> Gaussians:
    from safetensors.torch import load

    path, count = entry.file("file_path", folder), entry.integer("gaussians", 0, 2**40)
    # Reading bytes, not mapping the file: a mapped file cut short later would kill the process.
    with reading(path, "tensors in a whole safetensors file"):
        tensors = load(read_bytes(path, MAX_HEADER_BYTES + 4 * count * MAX_NUMBERS))
    for name in _TENSORS:
        if name not in tensors or tensors[name].dtype != torch.float32:
            came = f"{tensors[name].dtype}" if name in tensors else "none"
            raise InputError(f"{path}: expected a float32 tensor '{name}', got {came}")
    with reading(path):
        step = Gaussians(**{name: tensors[name] for name in _TENSORS}).validated()
    if len(step) != count:
        raise InputError(f"{path}: expected {count} Gaussians as {SCENE_MANIFEST} says, got {len(step)}")
    return step
