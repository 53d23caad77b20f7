"""RealEstate10K and ACID: a text file of camera poses per clip, frames fetched by the user.

    CLIP.txt              line 1: the video's address; then one line a frame of 19 columns:
                          timestamp in microseconds, fx fy cx cy in units of width and height,
                          two zeros, the 3 x 4 world-to-camera matrix row by row
    FRAMES/TIMESTAMP.png  (or .jpg) frames named by their timestamps

OpenCV axes. The camera moves through a scene that stands still: a freeze-time video, V x 1.

Source: Zhou et al., "Stereo Magnification" (2018); Liu et al., "Infinite Nature" (2021).
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.media import IMAGE_SUFFIXES, probe_clip
from fourreal.core.reading import read_text, reading
from fourreal.data.captures.capture import (
    ALL,
    CalibratedView,
    Capture,
    Selection,
    grid_of_rows,
    read_picture,
    require_folder,
)
from fourreal.data.captures.foreign_axes import pinhole

COLUMNS = 19
LICENCE = "camera annotations CC-BY-4.0 (Google); the videos belong to their makers and are fetched by the user"


def read_realestate10k(
    poses: str | Path, selection: Selection = ALL, *, frames: str | Path | None = None, source: str = "RealEstate10K"
) -> Capture:
    """A clip as a V x 1 grid: one view a frame that is there, in order of time.

    Lines whose frame was not fetched are passed over; frames without a line are an error.

    Args:
        poses: the clip's text file.
        frames: the folder of its frames; the one called CLIP beside CLIP.txt when left out.
        source: "ACID" for that benchmark, whose files are alike.

    Raises:
        InputError: the text is of another kind, or no line has a frame, or a frame has no line.
    """
    poses = Path(poses)
    frames = require_folder(frames or poses.with_suffix(""))
    lines = read_pose_lines(poses)
    files = {p.stem: p for p in frames.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES}
    strangers = sorted(set(files) - set(lines))
    if strangers:
        raise InputError(f"{frames}: frame {strangers[0]} has no line in {poses.name} ({len(strangers)} such frames)")
    there = [stamp for stamp in sorted(lines, key=int) if stamp in files]
    if not there:
        raise InputError(f"{frames} holds none of the {len(lines)} frames of {poses.name}; name them by timestamp")
    rows, cameras = [], []
    chosen = selection.of_views(there, frames)
    for stamp in chosen:
        height, width = probe_clip(files[stamp]).image_size
        numbers = lines[stamp]
        fx, fy, cx, cy = numbers[:4].tolist()
        pose = torch.cat([numbers[6:].reshape(3, 4), torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)])
        # The normalised intrinsics hold for whatever size the frame was saved at.
        view = CalibratedView(pose, pinhole(fx * width, fy * height, cx * width, cy * height), (height, width))
        image, camera = read_picture(files[stamp], view, selection.size)
        rows.append(image[None])
        cameras.append(camera)
    grid = grid_of_rows(rows, torch.zeros(1), cameras, frames)
    return Capture(grid=grid, name=poses.stem, view_names=tuple(chosen), source=source, licence=LICENCE)


def read_pose_lines(path: Path) -> dict[str, Float64[Tensor, "18"]]:
    """The numbers after the timestamp, by timestamp. Header lines before the first pose are passed over.

    Raises:
        InputError: there is no pose line, or one is broken.
    """
    rows = [line.split() for line in read_text(path, "a RealEstate10K text file").splitlines() if line.strip()]
    first = next((i for i, row in enumerate(rows) if len(row) == COLUMNS), None)
    if first is None:
        raise InputError(f"{path} has no line of {COLUMNS} columns; expected a RealEstate10K text file")
    poses = {}
    for number, row in enumerate(rows[first:], first + 1):
        if len(row) != COLUMNS:
            raise InputError(f"{path}: line {number} has {len(row)} columns; expected {COLUMNS}")
        with reading(path, f"numbers in line {number}"):
            poses[str(int(row[0]))] = torch.tensor([float(value) for value in row[1:]], dtype=torch.float64)
    return poses
