"""NVIDIA Dynamic Scenes: twelve synchronised cameras, in the multi-view layout of NSFF and DynIBaR.

    SCENE/[dense/]mv_images/00000/cam01.jpg ... cam12.jpg    one folder an instant
    SCENE/[dense/]poses_bounds.npy  or  poses_bounds_cvd.npy

A camera file with more rows than cameras lists the round-robin monocular video (frame i by camera
i mod 12); its first rows are then the cameras in order.

Source: Yoon et al., "Novel View Synthesis of Dynamic Scenes with Globally Coherent Depths" (2020).
"""

from __future__ import annotations

from pathlib import Path

import torch

from fourreal.core.errors import InputError
from fourreal.core.media import IMAGE_SUFFIXES, natural_order
from fourreal.data.captures.capture import ALL, Capture, Selection, grid_of_rows, read_picture, require_folder
from fourreal.data.captures.llff import read_poses_bounds

LICENCE = "research data of the Dynamic Scene Dataset (CVPR 2020); no explicit licence"


def read_nvidia_dynamic(folder: str | Path, selection: Selection = ALL, *, fps: float = 30.0) -> Capture:
    """A scene as a V x T grid.

    Args:
        fps: rate of the instants; the files do not record it.

    Raises:
        InputError: the layout is another, instants lack a camera, or there are fewer poses than cameras.
    """
    folder = require_folder(folder)
    inside = folder / "dense" if (folder / "dense").is_dir() else folder
    instants = natural_order([p for p in require_folder(inside / "mv_images").iterdir() if p.is_dir()])
    if not instants:
        raise InputError(f"{inside / 'mv_images'} holds no instants; expected folders 00000, 00001, ...")
    poses = next((p for n in ("poses_bounds.npy", "poses_bounds_cvd.npy") if (p := inside / n).is_file()), None)
    views, near_far = read_poses_bounds(poses or inside / "poses_bounds.npy")
    names = [p.name for p in natural_order([p for p in instants[0].iterdir() if p.suffix.lower() in IMAGE_SUFFIXES])]
    if len(views) < len(names):
        raise InputError(f"{poses} has {len(views)} cameras, fewer than the {len(names)} in {instants[0]}")
    lacking = [f"{p.name}/{name}" for p in instants for name in names if not (p / name).is_file()]
    if lacking:
        raise InputError(f"{inside / 'mv_images'} lacks {lacking[0]} ({len(lacking)} files missing)")
    chosen = selection.of_views(range(len(names)), inside)
    times = selection.of_times(range(len(instants)), inside)
    rows, cameras = [], []
    for view in chosen:
        read = [read_picture(instants[time] / names[view], views[view], selection.size) for time in times]
        rows.append(torch.stack([image for image, _ in read]))
        cameras.append(read[0][1])
    seconds = torch.tensor([(time - times[0]) / fps for time in times], dtype=torch.float32)
    grid = grid_of_rows(rows, seconds, cameras, inside)
    labels = tuple(Path(names[view]).stem for view in chosen)
    return Capture(
        grid=grid,
        name=folder.name,
        view_names=labels,
        source="NVIDIA Dynamic Scenes",
        licence=LICENCE,
        near_far=near_far[chosen],
    )
