"""`Capture`: what a benchmark reader returns, and `Selection`: which part of it to read.

A moving scene filmed by several cameras is a V x T grid; photos of a static scene are a V x 1 grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.cameras import Cameras, stack
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.media import fit, fit_window, probe_clip, read_clip, read_image
from fourreal.data.captures.lens import PINHOLE, Lens, undistort

Item = TypeVar("Item")
MAX_SIDE = 32768


@dataclass(frozen=True)
class Selection:
    """Which views and times to read, and at which size.

    Attributes:
        views: indices into the capture's own view order, in the order wanted; all when left out.
        times: indices of frames, increasing; all when left out.
        size: (height, width) to scale and centre-crop to; the capture's own when left out. Cameras follow.
    """

    views: tuple[int, ...] | None = None
    times: tuple[int, ...] | None = None
    size: tuple[int, int] | None = None

    def of_views(self, items: Sequence[Item], where: Path) -> list[Item]:
        """The chosen views of a list. Raises InputError naming an index that is not there."""
        return _chosen(items, self.views, "view", where)

    def of_times(self, items: Sequence[Item], where: Path) -> list[Item]:
        """The chosen times of a list. Raises InputError naming an index that is not there."""
        chosen = self.times
        if chosen is not None and any(b <= a for a, b in itertools.pairwise(chosen)):
            raise InputError(f"times must increase; got {list(chosen)}")
        return _chosen(items, chosen, "time", where)


ALL = Selection()


@dataclass(frozen=True, kw_only=True, eq=False)
class Capture:
    """A benchmark scene as a grid.

    Attributes:
        grid: frames, times and OpenCV cameras.
        name: the scene's.
        view_names: the capture's own names of the rows.
        source: which benchmark, enough to cite it.
        licence: its terms of use, as far as they are known.
        foreground: True on the annotated object, where the benchmark has masks.
        near_far: depth range of each view in world units, where the benchmark has it.
        points: sparse scene points, where the benchmark has them.
    """

    grid: VideoGrid
    name: str
    view_names: tuple[str, ...]
    source: str
    licence: str
    foreground: Bool[Tensor, "V T H W"] | None = None
    near_far: Float[Tensor, "V 2"] | None = None
    points: Float[Tensor, "N 3"] | None = None

    def __post_init__(self) -> None:
        if len(self.view_names) != self.grid.num_views:
            raise InputError(f"{self.name}: {self.grid.num_views} views but {len(self.view_names)} view names")


@dataclass(frozen=True)
class CalibratedView:
    """A camera as its benchmark writes it, already turned to OpenCV, for images of `image_size`.

    Attributes:
        world_to_cam: 4 x 4.
        intrinsics: 3 x 3, pixels of `image_size`, pixel centres at +0.5.
        image_size: (height, width) the calibration is for; images stored smaller are allowed.
        lens: distortion; pinhole when left out.
    """

    world_to_cam: Float[Tensor, "4 4"]
    intrinsics: Float[Tensor, "3 3"]
    image_size: tuple[int, int]
    lens: Lens = PINHOLE

    def __post_init__(self) -> None:
        finite = bool(torch.isfinite(self.world_to_cam).all() and torch.isfinite(self.intrinsics).all())
        if not finite or not all(1 <= side <= MAX_SIDE for side in self.image_size):
            raise InputError(
                f"expected a camera of finite numbers and sides from 1 to {MAX_SIDE} pixels; got (height, width) "
                f"{self.image_size}{'' if finite else ' and NaN or infinity'}"
            )

    def camera(self) -> Cameras:
        return Cameras(self.world_to_cam.float(), self.intrinsics.float(), self.image_size).validated()


def read_picture(
    path: Path, view: CalibratedView | None, size: tuple[int, int] | None
) -> tuple[Tensor, Cameras | None]:
    """One image [3, H, W] and its camera, fitted to `size`, undistorted.

    Raises:
        InputError: no image, or its proportions are not the calibration's.
    """
    image = read_image(path)
    stored = (image.shape[-2], image.shape[-1])
    frames, camera = _fitted(fit(image, size or stored)[None], stored, view, path)
    return frames[0], camera


def read_video(
    path: Path, view: CalibratedView | None, selection: Selection
) -> tuple[Float[Tensor, "T 3 H W"], Float[Tensor, "T"], Cameras | None]:
    """The chosen frames of a video (or image folder), their seconds, and the camera.

    Only the stretch from the first to the last chosen frame is decoded and kept, at the wanted size.

    Raises:
        InputError: no video, a chosen time it does not have, or other proportions than the calibration's.
    """
    info = probe_clip(path)
    chosen = selection.of_times(range(info.count), path)
    half = 0.5 / info.fps
    start, end = info.seconds[chosen[0]], info.seconds[chosen[-1]] + half
    clip = read_clip(path, size=selection.size, start_s=max(start - half, 0.0), end_s=end)
    keep = [index - chosen[0] for index in chosen]
    seconds = torch.tensor([info.seconds[index] - start for index in chosen], dtype=torch.float32)
    frames, camera = _fitted(clip.frames[keep], info.image_size, view, path)
    return frames, seconds, camera


def grid_of_rows(
    rows: Sequence[Float[Tensor, "T 3 _ _"]],
    seconds: Float[Tensor, "T"],
    cameras: Sequence[Cameras | None],
    where: Path,
) -> VideoGrid:
    """A complete grid of views with one camera each; without cameras when a view has none.

    Raises:
        InputError: rows differ in length or size.
    """
    shapes = {tuple(row.shape) for row in rows}
    if len(shapes) != 1:
        lengths, sizes = {s[0] for s in shapes}, {s[2:] for s in shapes}
        what = (
            f"lengths {sorted(lengths)}" if len(lengths) > 1 else f"sizes {sorted(sizes)}; give a size to fit them to"
        )
        raise InputError(f"{where}: views differ in {what}")
    known = [camera for camera in cameras if camera is not None]
    stacked = stack(known) if len(known) == len(rows) else None
    return VideoGrid.complete(torch.stack(list(rows)), seconds, stacked).validated()


def require_count(found: int, expected: int, what: str, where: Path) -> None:
    """Raises InputError when files and calibration entries do not match in number."""
    if found != expected:
        raise InputError(f"{where}: {found} {what} but the calibration has {expected}; they must match one to one")


def require_folder(folder: str | Path) -> Path:
    """The folder, or InputError when there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; expected a benchmark scene")
    return folder


def _fitted(
    frames: Float[Tensor, "T 3 H W"], stored: tuple[int, int], view: CalibratedView | None, path: Path
) -> tuple[Tensor, Cameras | None]:
    if view is None:
        return frames, None
    height, width = view.image_size
    # A row or column less, from halving odd sizes, is fine; another shape is another camera.
    if abs(stored[0] * width / height - stored[1]) > 2:
        raise InputError(
            f"{path} is (height, width) {stored} but its camera is calibrated for {view.image_size}: "
            "the proportions differ, so the images were cropped after calibration"
        )
    size = (frames.shape[-2], frames.shape[-1])
    top, left, window = fit_window(stored, size)
    camera = view.camera().resized(stored).cropped(top, left, window).resized(size)
    return undistort(frames, camera, view.lens), camera


def _chosen(items: Sequence[Item], indices: tuple[int, ...] | None, what: str, where: Path) -> list[Item]:
    if indices is None:
        return list(items)
    missing = [index for index in indices if not 0 <= index < len(items)]
    if missing:
        raise InputError(f"{where} has {len(items)} {what}s; there is no {what} {', '.join(map(str, missing))}")
    if not indices:
        raise InputError(f"at least one {what} must be chosen")
    return [items[index] for index in indices]
