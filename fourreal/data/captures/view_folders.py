"""One folder of frames a view: renders of Objaverse, Consistent4D and SV4D, with orbit cameras.

    OBJECT/eval_0/0.png, 1.png, ...    folders in natural order are views, frames in natural order times
    OBJECT/eval_1/0.png, ...

The folders hold no cameras; the benchmark's paper states azimuths and elevations, which go in as an
`OrbitRig`. Transparent renders are laid on white.

Source: Jiang et al., "Consistent4D" (2023), evaluation layout; SV4D 2.0, section 5 (21 frames x 8 views).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from fourreal.core.camera_paths import orbit
from fourreal.core.cameras import intrinsics_from_fov
from fourreal.core.errors import InputError
from fourreal.core.media import IMAGE_SUFFIXES, natural_order, probe_clip
from fourreal.data.captures.capture import (
    ALL,
    CalibratedView,
    Capture,
    Selection,
    grid_of_rows,
    read_picture,
    require_folder,
)


@dataclass(frozen=True)
class OrbitRig:
    """Cameras on a sphere round the origin of a z-up world, looking at it.

    Attributes:
        azimuths_deg: one a view; 0 stands on +x, growing counter-clockwise seen from above.
        elevations_deg: one a view, above the horizon; one number for all.
        radius: distance from the origin, world units.
        fov_y_deg: vertical field of view.
    """

    azimuths_deg: Sequence[float]
    elevations_deg: Sequence[float] | float = 0.0
    radius: float = 2.0
    fov_y_deg: float = 33.8

    def views(self, image_size: tuple[int, int]) -> list[CalibratedView]:
        """Raises InputError when there are not as many elevations as azimuths."""
        azimuths = torch.tensor(list(self.azimuths_deg), dtype=torch.float64)
        elevations = torch.as_tensor(self.elevations_deg, dtype=torch.float64)
        if elevations.ndim and len(elevations) != len(azimuths):
            raise InputError(f"{len(azimuths)} azimuths but {len(elevations)} elevations; one of each a view")
        poses = orbit(torch.zeros(3, dtype=torch.float64), self.radius, azimuths, elevations.expand(len(azimuths)))
        intrinsics = intrinsics_from_fov(self.fov_y_deg, image_size).double()
        return [CalibratedView(pose, intrinsics, image_size) for pose in poses]


def read_view_folders(
    folder: str | Path,
    selection: Selection = ALL,
    *,
    rig: OrbitRig | None = None,
    fps: float = 10.0,
    source: str = "per-view folders",
    licence: str = "unknown",
) -> Capture:
    """An object as a V x T grid; without a `rig` it has no cameras.

    Args:
        fps: rate of the frames; the files do not record it.

    Raises:
        InputError: there are no folders with images, they differ in number of frames or in size, or the
            rig has another number of views.
    """
    folder = require_folder(folder)
    folders = natural_order([p for p in folder.iterdir() if p.is_dir() and p.name[0] != "." and _frames(p)])
    if not folders:
        raise InputError(f"{folder} has no folder with images; expected one a view")
    files = [_frames(view) for view in folders]
    for view, frames in zip(folders, files, strict=True):
        if len(frames) != len(files[0]):
            raise InputError(
                f"{view} has {len(frames)} frames but {folders[0].name} has {len(files[0])}; a grid needs equally many"
            )
    calibrated = None if rig is None else rig.views(probe_clip(files[0][0]).image_size)
    if calibrated is not None and len(calibrated) != len(folders):
        raise InputError(f"{folder} has {len(folders)} views but the rig has {len(calibrated)} azimuths")
    times = selection.of_times(range(len(files[0])), folder)
    rows, cameras = [], []
    chosen = selection.of_views(range(len(folders)), folder)
    for view in chosen:
        camera_of = calibrated[view] if calibrated is not None else None
        read = [read_picture(files[view][time], camera_of, selection.size) for time in times]
        rows.append(torch.stack([image for image, _ in read]))
        cameras.append(read[0][1])
    seconds = torch.tensor([(time - times[0]) / fps for time in times], dtype=torch.float32)
    grid = grid_of_rows(rows, seconds, cameras, folder)
    return Capture(
        grid=grid,
        name=folder.name,
        view_names=tuple(folders[view].name for view in chosen),
        source=source,
        licence=licence,
    )


def _frames(folder: Path) -> list[Path]:
    return natural_order([p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.name[0] != "."])
