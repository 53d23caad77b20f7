"""Write a scene in the formats other programs read.

| format | file | keeps |
|---|---|---|
| ply    | a folder, one 3DGS `.ply` per time | everything, exactly |
| spz    | a folder, one `.spz` per time | everything, 8 to 24 bits |
| splat  | a folder, one `.splat` per time | no view-dependent colour |
| sog    | a folder, one `.sog` per time | everything, 8 to 16 bits and a palette |
| gltf   | a folder, one `.glb` per time (KHR_gaussian_splatting) | everything, exactly |
| 4dgs   | one `.4dgs` file | everything, small errors stated in the file |
| usd    | one `.usdc`, `.usda` or `.usd` file | everything, exactly |

`docs/formats.md` has the errors measured and the programs that open each.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from fourreal.core.atomic import atomic_folder
from fourreal.core.errors import InputError
from fourreal.core.gaussians import DynamicScene, Gaussians
from fourreal.core.progress import Progress, silent
from fourreal.files.flip_y_down import flip_y_down
from fourreal.files.fourdgs_file import UpAxis, write_4dgs, write_gltf
from fourreal.files.packed import write_sog, write_splat, write_spz
from fourreal.files.ply import write_ply
from fourreal.files.usd_file import write_usd

MomentFormat = Literal["ply", "spz", "splat", "sog", "gltf"]
ExportFormat = Literal["ply", "spz", "splat", "sog", "gltf", "4dgs", "usd"]

WorldUp = Literal["z", "y", "-y"]
"""Which world axis points up, for formats that say so (gltf, 4dgs, usd); the others keep the world as it is.

z: worlds of this package. y: many captures. -y: reconstructions, whose world is their first camera's frame; no
format can say it, so these scenes are turned upright by half a turn about x, and said to be y-up.
"""
SAY_UP = frozenset({"gltf", "4dgs", "usd"})

SUFFIXES: dict[str, tuple[str, ...]] = {
    "ply": (".ply",),
    "spz": (".spz",),
    "splat": (".splat",),
    "sog": (".sog",),
    "gltf": (".glb",),
    "4dgs": (".4dgs",),
    "usd": (".usdc", ".usda", ".usd"),
}
_PLAIN: dict[str, Callable[[Path, Gaussians], None]] = {
    "ply": write_ply,
    "spz": write_spz,
    "splat": write_splat,
    "sog": write_sog,
}


def export_scene(
    scene: DynamicScene,
    target: str | os.PathLike[str],
    format: ExportFormat,
    *,
    up: WorldUp = "z",
    overwrite: bool = False,
    progress: Progress = silent,
) -> tuple[Path, ...]:
    """Write a scene at its own times. Returns the files written; they appear whole or not at all.

    Args:
        target: the folder to create, for formats of one moment; for others, and for a scene of
            one time when the name ends in the format's suffix, the file.
        up: see `WorldUp`.

    Raises:
        InputError: the name does not suit the format, exists already, or cannot be written; a
            moment without Gaussians where the format has no way to say so.
    """
    target = Path(target)
    suffixes = SUFFIXES[format]
    steps = [scene.at(seconds) for seconds in scene.seconds.tolist()]
    axis: UpAxis = "z" if up == "z" else "y"
    if up == "-y" and format in SAY_UP:
        steps = [flip_y_down(step) for step in steps]
    if format in ("4dgs", "usd"):
        _require_file_name(target, suffixes, overwrite)
        if format == "4dgs":
            write_4dgs(target, steps, scene.seconds, up=axis)
        else:
            write_usd(target, steps, scene.seconds, up=axis)
        progress(1, 1)
        return (target,)
    if target.suffix.lower() in suffixes:
        if len(steps) > 1:
            raise InputError(
                f"{target}: a {suffixes[0]} holds one moment and this scene has {len(steps)}; give a folder name"
            )
        _require_file_name(target, suffixes, overwrite)
        _write_moment(target, steps[0], format, axis)
        progress(1, 1)
        return (target,)
    names = [f"t{index:03d}{suffixes[0]}" for index in range(len(steps))]
    with atomic_folder(target, overwrite=overwrite) as partial:
        for index, (name, step) in enumerate(zip(names, steps, strict=True)):
            _write_moment(partial / name, step, format, axis)
            progress(index + 1, len(steps))
    return tuple(target / name for name in names)


def _write_moment(path: Path, gaussians: Gaussians, format: MomentFormat, up: UpAxis) -> None:
    if format == "gltf":
        write_gltf(path, gaussians, up=up)
    else:
        _PLAIN[format](path, gaussians)


def _require_file_name(target: Path, suffixes: tuple[str, ...], overwrite: bool) -> None:
    if target.suffix.lower() not in suffixes:
        raise InputError(f"{target}: expected a file name ending in {' or '.join(suffixes)}")
    if target.exists() and not overwrite:
        raise InputError(f"{target} already exists; choose another name or overwrite it")
