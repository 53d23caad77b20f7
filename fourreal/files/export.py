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

import importlib
import os
from functools import partial
from pathlib import Path
from typing import Literal

from fourreal.core.atomic import atomic_folder
from fourreal.core.errors import InputError
from fourreal.core.gaussians import DynamicScene
from fourreal.core.progress import Progress, silent
from fourreal.files.flip_y_down import flip_y_down
from fourreal.files.formats import SCENE_FORMATS

WorldUp = Literal["z", "y", "-y"]
"""Which world axis points up, for formats that say so (gltf, 4dgs, usd); the others keep the world as it is.

z: worlds of this package. y: many captures. -y: reconstructions, whose world is their first camera's frame; no
format can say it, so these scenes are rotated by 180 degrees about x and written as y-up.
"""


def export_scene(
    scene: DynamicScene,
    target: str | os.PathLike[str],
    format: str,
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
    if format not in SCENE_FORMATS:
        raise InputError(f"there is no format '{format}'; expected {', '.join(SCENE_FORMATS)}")
    module, writer, files, suffixes, says_up = SCENE_FORMATS[format]
    write = getattr(importlib.import_module(f"fourreal.files.{module}"), writer)
    target = Path(target)
    steps = [scene.at(seconds) for seconds in scene.seconds.tolist()]
    if says_up:
        write = partial(write, up="z" if up == "z" else "y")
        if up == "-y":
            steps = [flip_y_down(step) for step in steps]
    if files == "one file" or target.suffix.lower() in suffixes:
        _require_file_name(target, suffixes, overwrite)
        if files == "one file":
            write(target, steps, scene.seconds)
        elif len(steps) > 1:
            raise InputError(
                f"{target}: a {suffixes[0]} holds one moment and this scene has {len(steps)}; give a folder name"
            )
        else:
            write(target, steps[0])
        progress(1, 1)
        return (target,)
    names = [f"t{index:03d}{suffixes[0]}" for index in range(len(steps))]
    with atomic_folder(target, overwrite=overwrite) as folder:
        for index, (name, step) in enumerate(zip(names, steps, strict=True)):
            write(folder / name, step)
            progress(index + 1, len(steps))
    return tuple(target / name for name in names)


def _require_file_name(target: Path, suffixes: tuple[str, ...], overwrite: bool) -> None:
    if target.suffix.lower() not in suffixes:
        raise InputError(f"{target}: expected a file name ending in {' or '.join(suffixes)}")
    if target.exists() and not overwrite:
        raise InputError(f"{target} already exists; choose another name or overwrite it")
