"""`fourreal export`: a scene folder to other programs' formats; cameras of a grid or scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from fourreal.files.formats import CAMERA_FORMATS, SCENE_FORMATS

if TYPE_CHECKING:
    Format = str
    from fourreal.core.cameras import Cameras
    from fourreal.files.export import WorldUp
else:
    Format = Literal[(*SCENE_FORMATS, *CAMERA_FORMATS)]


@dataclass(frozen=True)
class Export:
    """Write a scene or its cameras in another program's format.

    Scenes: ply, spz, splat, sog and gltf are one file per time in a folder; 4dgs and usd are one animated
    file. Cameras of a scene or a grid: nerfstudio (transforms.json) and colmap (text). What each
    format keeps, with measured errors, is in docs/formats.md.

    Examples:
        fourreal export scene --format ply --out splats
        fourreal export scene --format usd --out scene.usdc
        fourreal export grid --format colmap --out colmap
    """

    path: tyro.conf.Positional[Path]
    """Scene or grid folder."""
    format: Format
    """Format to write."""
    out: Path
    """Folder (one file per time, cameras) or file (4dgs, usd) to write."""
    up: Literal["automatic", "z", "y", "-y"] = "automatic"
    """Which world axis points up, for formats that say so (gltf, 4dgs, usd). automatic: the one nearest to what is
    up for the input cameras, z without any. -y: the scene is turned upright, for no format can say it."""
    time: int | None = None
    """Cameras only: the one time (its index) whose images or points to write. nerfstudio and COLMAP expect a
    world that stands still."""
    overwrite: bool = False
    """Replace what exists."""

    def run(self) -> None:
        from fourreal.core.errors import InputError
        from fourreal.core.progress import progress_bar
        from fourreal.files.export import export_scene
        from fourreal.files.export_cameras import export_cameras
        from fourreal.files.grid_folder import StoredGrid
        from fourreal.files.open_any import folder_kind, open_any, opened_at
        from fourreal.files.scene_folder import load_scene

        path = opened_at(self.path)
        if self.format in CAMERA_FORMATS:
            opened = open_any(path)
            source = opened.grid if isinstance(opened, StoredGrid) else opened
            export_cameras(source, self.out, self.format, time=self.time, overwrite=self.overwrite)
            print(f"{self.out}: cameras for {self.format}")
            return
        if folder_kind(path) == "grid":
            raise InputError(
                f"{self.path} is a grid; it has frames and cameras but no Gaussians to write as {self.format}"
            )
        scene = load_scene(path)
        up = _nearest_up(scene.cameras) if self.up == "automatic" else self.up
        with progress_bar(f"export {self.format}") as progress:
            written = export_scene(scene, self.out, self.format, up=up, overwrite=self.overwrite, progress=progress)
        size = sum(file.stat().st_size for file in written)
        print(f"{self.out}: {len(written)} file{'s' * (len(written) > 1)}, {size / 1e6:.1f} MB")


def _nearest_up(cameras: Cameras) -> WorldUp:
    from fourreal.view.viewer_frame import axis_direction, world_up

    if not len(cameras):
        return "z"
    found = world_up(cameras)
    axes: tuple[WorldUp, ...] = ("z", "y", "-y")
    return max(axes, key=lambda axis: float(axis_direction(axis) @ found))
