"""Write a scene in the formats other programs read: `formats.py` lists them, `docs/formats.md` has their errors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from fourreal.core.atomic import atomic_folder
from fourreal.core.errors import InputError
from fourreal.core.gaussians import DynamicScene
from fourreal.core.progress import Progress, silent
from fourreal.files.flip_y_down import flip_y_down
from fourreal.files.formats import FORMATS

WorldUp = Literal["z", "y", "-y"]
"""Which world axis points up, for formats that say so (gltf, 4dgs, usd); the others keep the world as it is.

z: worlds of this package. y: many captures. -y: reconstructions, whose world is their first camera's frame; no
format can say it, so these scenes are turned upright by half a turn about x, and said to be y-up.
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
        format: a name in `FORMATS`.
        up: see `WorldUp`.

    Raises:
        InputError: the name does not suit the format, exists already, or cannot be written; a
            moment without Gaussians where the format has no way to say so.
    """
    target, chosen = Path(target), FORMATS[format]
    write, options = chosen.load_writer(), {}
    steps = [scene.at(seconds) for seconds in scene.seconds.tolist()]
    if chosen.has_up:
        options["up"] = "z" if up == "z" else "y"
        steps = [flip_y_down(step) for step in steps] if up == "-y" else steps
    if chosen.holds == "scene" or target.suffix.lower() in chosen.suffixes:
        _require_file_name(target, chosen.suffixes, overwrite)
        if chosen.holds == "scene":
            write(target, steps, scene.seconds, **options)
        elif len(steps) > 1:
            raise InputError(
                f"{target}: a {target.suffix} holds one moment and this scene has {len(steps)}; give a folder name"
            )
        else:
            write(target, steps[0], **options)
        progress(1, 1)
        return (target,)
    names = [f"t{index:03d}{chosen.suffixes[0]}" for index in range(len(steps))]
    with atomic_folder(target, overwrite=overwrite) as partial:
        for index, (name, step) in enumerate(zip(names, steps, strict=True)):
            write(partial / name, step, **options)
            progress(index + 1, len(steps))
    return tuple(target / name for name in names)


def _require_file_name(target: Path, suffixes: tuple[str, ...], overwrite: bool) -> None:
    if target.suffix.lower() not in suffixes:
        raise InputError(f"{target}: expected a file name ending in {' or '.join(suffixes)}")
    if target.exists() and not overwrite:
        raise InputError(f"{target} already exists; choose another name or overwrite it")
