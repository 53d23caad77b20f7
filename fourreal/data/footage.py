"""Real footage to grids: synchronised cameras, a fixed-view video, a freeze-time video, or a cell pattern.

Source: 4Real-Video-V2, Figure 2 (the kinds of input) and section 3.1 (their shared first frame).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.media import Clip, ClipInfo, probe_clip, read_clip, read_image, sample_clip
from fourreal.core.notes import notify

MAX_GRID_BYTES = 8 << 30
CORNER_TOLERANCE = 0.03
"""Mean absolute difference (of 1) above which two videos do not share their first frame. Re-encoding
one picture with a common codec stays below 0.015; a hand-held camera moved by a step is above 0.05."""


@dataclass(frozen=True)
class Sampling:
    """Which frames of each clip to take, and at which size.

    Attributes:
        frames: number of columns; all frames of the cut when left out.
        fps: rate of the columns; the clip's own when left out.
        size: (height, width) to scale and centre-crop to; the footage's own when left out.
        start_s: leave out what comes before.
        end_s: leave out what comes at this time or after it.
    """

    frames: int | None = None
    fps: float | None = None
    size: tuple[int, int] | None = None
    start_s: float = 0.0
    end_s: float = math.inf

    def __post_init__(self) -> None:
        if self.frames is not None and self.frames < 1:
            raise InputError(f"a grid needs at least one frame; got {self.frames}")
        if self.size is not None and min(self.size) < 1:
            raise InputError(f"a frame size is (height, width), at least 1 pixel each; got {self.size}")


@dataclass(frozen=True)
class ImportedGrid:
    """A grid from footage.

    `corner_difference` is the mean absolute difference between the two inputs' shared cell, in
    [0, 1], when both a fixed-view and a freeze-time video were given.
    """

    grid: VideoGrid
    corner_difference: float | None = None


def grid_from_cameras(rows: Sequence[Path], sampling: Sampling = Sampling()) -> VideoGrid:
    """A complete grid from synchronised cameras, one clip a view, that start at the same moment.

    Raises:
        InputError: no clip; clips of different length, rate or size; too much for the memory.
    """
    if not rows:
        raise InputError("expected at least one clip, one per camera; got none")
    infos = [probe_clip(path) for path in rows]
    first = infos[0]
    for path, info in zip(rows, infos, strict=True):
        if sampling.size is None and info.image_size != first.image_size:
            raise InputError(
                f"{path} is (height, width) {info.image_size} but {rows[0]} is {first.image_size}; "
                "give a size to fit them to"
            )
        if info.count != first.count or abs(info.seconds[-1] - first.seconds[-1]) > 0.5 / first.fps:
            raise InputError(
                f"{path} has {info.count} frames in {info.seconds[-1]:.2f} s but {rows[0]} has {first.count} in "
                f"{first.seconds[-1]:.2f} s; synchronised cameras need clips of one length and rate, cut them first"
            )
    _refuse_too_large(len(rows), expected_times(first, sampling), sampling.size or first.image_size)
    clips = [_read(path, sampling) for path in rows]
    return VideoGrid.complete(torch.stack([clip.frames for clip in clips]), clips[0].seconds).validated()


def grid_from_videos(
    fixed: Path | Clip | None, freeze: Path | Clip | None, sampling: Sampling = Sampling(), views: int | None = None
) -> ImportedGrid:
    """A partly known grid from a fixed-view video (its row), a freeze-time video (its column), or both.

    Notes when the two inputs do not share their first frame.

    Args:
        fixed: a video from a camera that stands still; a file, or frames in memory.
        freeze: a video, or a folder of photos, that moves round a moment that stands still.
        sampling: cuts and samples the fixed-view video; its size holds for both.
        views: number of views to take of the freeze-time video, evenly (all when left out);
            without one, the number of rows to leave open (8 when left out).

    Raises:
        InputError: neither is given, or they cannot be read, or sizes differ and none is given.
    """
    size = sampling.size
    if size is None and fixed is not None and freeze is not None:
        size = info_of(fixed).image_size
    rows, columns = views or 8, sampling.frames or 13
    if freeze is not None:
        rows = views or info_of(freeze).count
    if fixed is not None:
        columns = expected_times(info_of(fixed), sampling)
    given = fixed or freeze
    if given is not None:
        _refuse_too_large(rows, columns, size or info_of(given).image_size)
    column = None if freeze is None else _read(freeze, Sampling(views, size=size)).frames
    row = None if fixed is None else _read(fixed, replace(sampling, size=size))
    # Without a fixed-view video the columns are yet to be generated: 13 at 8 per second unless said otherwise.
    seconds = row.seconds if row is not None else torch.arange(columns) / (sampling.fps or 8.0)
    grid = VideoGrid.from_inputs(
        fixed=None if row is None else row.frames, freeze=column, seconds=seconds, views=views or 8
    ).validated()
    if row is None or column is None:
        return ImportedGrid(grid)
    difference = float((row.frames[0] - column[0]).abs().mean())
    if difference > CORNER_TOLERANCE:
        notify(
            "the fixed-view video's first frame and the freeze-time video's first view should be one picture, but "
            f"they differ by {difference:.3f} on average (up to {CORNER_TOLERANCE} is re-encoding); "
            "the fixed-view frame was kept"
        )
    return ImportedGrid(grid, difference)


def grid_from_cells(pattern: str, sampling: Sampling = Sampling()) -> VideoGrid:
    """A complete grid from one image a cell, found by a pattern such as `folder/cam{v}_t{t}.png`.

    Views and times are the numbers that stand at `{v}` and `{t}`, in increasing order; gaps in the
    numbering are fine, missing cells are not. Columns are `1 / sampling.fps` seconds apart (1 s).

    Raises:
        InputError: the pattern lacks a part, nothing matches, cells are missing, sizes differ.
    """
    if "{v}" not in pattern or "{t}" not in pattern:
        raise InputError(f"a cell pattern names the view by {{v}} and the time by {{t}}; got '{pattern}'")
    found = _match_cells(pattern)
    views, times = sorted({v for v, _ in found}), sorted({t for _, t in found})
    missing = [(v, t) for v in views for t in times if (v, t) not in found]
    if missing:
        raise InputError(
            f"'{pattern}' lacks view {missing[0][0]} at time {missing[0][1]} ({len(missing)} cells missing)"
        )
    keep = times if sampling.frames is None else times[: sampling.frames]
    if sampling.frames is not None and sampling.frames > len(times):
        raise InputError(f"'{pattern}' has {len(times)} times, fewer than the {sampling.frames} asked for")
    size = sampling.size or _image_size(found[views[0], keep[0]])
    _refuse_too_large(len(views), len(keep), size)
    frames = [[_sized(found[v, t], sampling.size, size) for t in keep] for v in views]
    seconds = torch.arange(len(keep)) / (sampling.fps or 1.0)
    return VideoGrid.complete(torch.stack([torch.stack(row) for row in frames]), seconds).validated()


def info_of(source: Path | Clip) -> ClipInfo:
    """`probe_clip`, also of frames in memory."""
    if isinstance(source, Clip):
        return ClipInfo(tuple(source.seconds.tolist()), source.image_size, "frames")
    return probe_clip(source)


def _read(source: Path | Clip, sampling: Sampling) -> Clip:
    cut: dict[str, Any] = {
        "count": sampling.frames,
        "fps": sampling.fps,
        "size": sampling.size,
        "start_s": sampling.start_s,
        "end_s": sampling.end_s,
    }
    return sample_clip(source, **cut) if isinstance(source, Clip) else read_clip(source, **cut)


def expected_times(info: ClipInfo, sampling: Sampling) -> int:
    """How many frames of a clip the sampling takes, without reading it."""
    cut = [second for second in info.seconds if sampling.start_s <= second < sampling.end_s]
    if sampling.frames is not None or not cut:
        return sampling.frames or 1
    at_rate = math.inf if sampling.fps is None else (cut[-1] - cut[0]) * sampling.fps + 1
    return math.ceil(min(len(cut), at_rate))


def _image_size(path: Path) -> tuple[int, int]:
    image = read_image(path)
    return image.shape[1], image.shape[2]


def _sized(path: Path, asked: tuple[int, int] | None, expected: tuple[int, int]) -> torch.Tensor:
    frame = read_clip(path, size=asked).frames[0]
    if tuple(frame.shape[1:]) != expected:
        raise InputError(f"{path} is (height, width) {tuple(frame.shape[1:])} but others are {expected}; give a size")
    return frame


def _match_cells(pattern: str) -> dict[tuple[int, int], Path]:
    folder = Path(pattern).parent
    if "{" in str(folder):
        # Views or times in folder names: walk from the deepest folder that is spelt out.
        folder = next(parent for parent in Path(pattern).parents if "{" not in str(parent))
    spelled = re.escape(str(Path(pattern)))
    expression = spelled.replace(re.escape("{v}"), r"(?P<v>\d+)", 1).replace(re.escape("{t}"), r"(?P<t>\d+)", 1)
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist; '{pattern}' looks for its cells there")
    matches = ((re.fullmatch(expression, str(path)), path) for path in sorted(folder.rglob("*")))
    found = {(int(match["v"]), int(match["t"])): path for match, path in matches if match}
    if not found:
        raise InputError(f"no file matches '{pattern}'; {{v}} and {{t}} stand for whole numbers")
    return found


def _refuse_too_large(views: int, times: int, size: tuple[int, int]) -> None:
    needed = views * times * 3 * size[0] * size[1] * 4
    if needed > MAX_GRID_BYTES:
        raise InputError(
            f"{views} views x {times} times at (height, width) {size} would take {needed / 2**30:.0f} GiB of memory; "
            "ask for fewer times, a smaller size or a shorter cut"
        )
