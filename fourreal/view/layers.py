"""What a viewer draws: the splats of a moment and the input cameras, in the live viewer and in the page.

Each layer draws in a `ViewerFrame` and has `show(seconds)`; showing what is already shown sends nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.gaussians import DynamicScene
from fourreal.core.grid import VideoGrid
from fourreal.core.media import to_uint8
from fourreal.splat.smoothing import smooth
from fourreal.view.contact_sheet import hatch
from fourreal.view.thin import thin
from fourreal.view.viewer_frame import FRAME_DISTANCE, ViewerFrame, ViewerSplats, fov_y_deg, to_viewer_frame

if TYPE_CHECKING:
    import viser

WALL_CELL_PX = 384
FIRST_COLOR, LAST_COLOR = (38, 99, 196), (214, 84, 38)


def rig_of(scene: DynamicScene | None, grid: VideoGrid | None, cameras: Cameras | None = None) -> Cameras | None:
    """The cameras to show: those given, else the scene's own, else the grid's.

    A reconstruction has a world of its own, so its cameras come before those of its input.

    Raises:
        InputError: they do not fit the grid whose frames they are to show, or move in time without one.
    """
    if cameras is None:
        cameras = getattr(scene, "cameras", None)
    if cameras is None and grid is not None:
        cameras = grid.cameras
    if cameras is None:
        return None
    shape = cameras.batch_shape
    if grid is not None and shape not in ((grid.num_views,), (grid.num_views, grid.num_times)):
        raise InputError(
            f"cameras of shape {list(shape)} cannot show a grid of {grid.num_views} views x {grid.num_times} times; "
            "give the grid the scene was made from"
        )
    if grid is None and len(shape) != 1:
        raise InputError(f"without a grid, one camera per view is expected; got cameras of shape {list(shape)}")
    return cameras


class SplatLayer:
    """The Gaussians of one moment, replaced as a whole when the time changes."""

    def __init__(
        self,
        scene: viser.SceneApi,
        source: DynamicScene,
        viewer_frame: ViewerFrame,
        *,
        seen_by: Cameras | None,
        keep: float = 1.0,
        grid_step: float = 0.0,
    ) -> None:
        """Args:
        seen_by: the input cameras, to close the gaps between pixel-sized Gaussians, see `smooth`; None leaves them.
        keep: fraction of the Gaussians to show, see `thin`.
        grid_step: round centres to multiples of this (viewer units), 0 for not at all. Rounded ones compress better.
        """
        self._source, self._viewer_frame, self._seen_by = source, viewer_frame, seen_by
        self._keep, self._grid_step = keep, grid_step
        first = self._splats(float(source.seconds[0]))
        self._handle = scene.add_gaussian_splats(
            "/splats", first.centers, first.covariances, first.rgbs, first.opacities
        )

    @property
    def node(self) -> viser.GaussianSplatHandle:
        return self._handle

    def show(self, seconds: float) -> None:
        splats = self._splats(seconds)
        # One message with everything: a changed count never meets the old colours.
        self._handle.set_gaussians(splats.centers, splats.covariances, splats.rgbs, splats.opacities)

    def _splats(self, seconds: float) -> ViewerSplats:
        gaussians = thin(self._source.at(seconds), self._keep)
        if self._seen_by is not None:
            gaussians = smooth(gaussians, self._seen_by)
        splats = to_viewer_frame(gaussians, self._viewer_frame)
        if not self._grid_step:
            return splats
        rounded = np.round(splats.centers / self._grid_step) * self._grid_step
        return ViewerSplats(rounded.astype(np.float32), splats.covariances, splats.rgbs, splats.opacities)


class RigLayer:
    """The input cameras as frusta, first one blue to last one orange, with the frame of each at the time."""

    def __init__(
        self,
        scene: viser.SceneApi,
        cameras: Cameras,
        viewer_frame: ViewerFrame,
        grid: VideoGrid | None,
        *,
        thumbnail_px: int,
    ) -> None:
        self._cameras, self._viewer_frame, self._grid, self._thumbnail_px = cameras, viewer_frame, grid, thumbnail_px
        self._shown: int | None = None
        at_start = self.cameras_at(float("-inf"))
        count = len(at_start)
        quats, positions = viewer_frame.poses(at_start)
        size = _frustum_size(positions)
        height, width = at_start.image_size
        self.frusta: list[viser.CameraFrustumHandle] = []
        for view in range(count):
            mix = view / max(count - 1, 1)
            color = tuple(
                round(first + (last - first) * mix) for first, last in zip(FIRST_COLOR, LAST_COLOR, strict=True)
            )
            frustum = scene.add_camera_frustum(
                f"/cameras/view_{view}",
                fov=np.deg2rad(fov_y_deg(at_start[view])),
                aspect=width / height,
                scale=size,
                thickness=size / 25,
                color=(color[0], color[1], color[2]),
                image=self._thumbnail(view, 0),
                jpeg_quality=75,
                wxyz=quats[view],
                position=positions[view],
                cast_shadow=False,
                receive_shadow=False,
            )
            self.frusta.append(frustum)

    def cameras_at(self, seconds: float) -> Cameras:
        """One camera per view, at the grid's time nearest to `seconds`."""
        if len(self._cameras.batch_shape) == 1:
            return self._cameras
        assert self._grid is not None
        return self._cameras[:, nearest(self._grid.seconds, seconds)]

    def show(self, seconds: float) -> None:
        if self._grid is None:
            return
        time = nearest(self._grid.seconds, seconds)
        if time == self._shown:
            return
        self._shown = time
        moving = len(self._cameras.batch_shape) == 2
        quats, positions = self._viewer_frame.poses(self.cameras_at(seconds))
        for view, frustum in enumerate(self.frusta):
            frustum.image = self._thumbnail(view, time)
            if moving:
                frustum.wxyz, frustum.position = quats[view], positions[view]

    def set_visible(self, visible: bool) -> None:
        for frustum in self.frusta:
            frustum.visible = visible

    def _thumbnail(self, view: int, time: int) -> UInt8[np.ndarray, "H W 3"] | None:
        return None if self._grid is None else cell_picture(self._grid, view, time, self._thumbnail_px)


class GridWall:
    """All views of one moment side by side on a wall: for a grid without cameras."""

    def __init__(self, scene: viser.SceneApi, grid: VideoGrid, viewer_frame: ViewerFrame) -> None:
        self._grid, self._shown = grid, 0
        picture = self._picture(0)
        # Within the first look of a window that is at least as wide as high.
        reach = 1.8 * FRAME_DISTANCE * np.tan(np.deg2rad(viewer_frame.fov_y_deg) / 2)
        width = reach * min(1.0, picture.shape[1] / picture.shape[0])
        # The wall faces the viewer, who looks along +y with z up; pictures lie in x and y, y down.
        upright = (np.sqrt(0.5), -np.sqrt(0.5), 0.0, 0.0)
        self._handle = scene.add_image(
            "/wall",
            picture,
            width,
            width * picture.shape[0] / picture.shape[1],
            wxyz=upright,
            jpeg_quality=85,
            cast_shadow=False,
            receive_shadow=False,
        )

    def show(self, seconds: float) -> None:
        time = nearest(self._grid.seconds, seconds)
        if time != self._shown:
            self._shown = time
            self._handle.image = self._picture(time)

    def _picture(self, time: int) -> UInt8[np.ndarray, "H W 3"]:
        cells = [cell_picture(self._grid, view, time, WALL_CELL_PX) for view in range(self._grid.num_views)]
        columns = int(np.ceil(np.sqrt(len(cells))))
        cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
        rows = [np.concatenate(cells[first : first + columns], 1) for first in range(0, len(cells), columns)]
        return np.concatenate(rows, 0)


def cell_picture(grid: VideoGrid, view: int, time: int, longest_px: int) -> UInt8[np.ndarray, "H W 3"]:
    """A cell's frame, scaled down to `longest_px` at most, or hatching where there is none."""
    height, width = grid.image_size
    scale = min(1.0, longest_px / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    if not bool(grid.known[view, time]):
        return to_uint8(hatch(size)[None])[0]
    frame = grid.frames[view, time].detach().float()[None]
    if scale < 1:
        frame = torch.nn.functional.interpolate(frame, size=size, mode="bilinear", antialias=True)
    return to_uint8(frame)[0]


def nearest(seconds: Float[Tensor, "T"], wanted: float) -> int:
    """Index of the time nearest to `wanted`, the earlier one of two equally near."""
    return int((seconds.double() - wanted).abs().argmin()) if np.isfinite(wanted) else 0


def _frustum_size(positions: Float[np.ndarray, "V 3"]) -> float:
    """Large enough to see the frame, small enough that neighbours do not cover each other."""
    if len(positions) < 2:
        return 0.05 * FRAME_DISTANCE
    gaps = np.linalg.norm(positions[:, None] - positions[None], axis=-1) + np.diag(np.full(len(positions), np.inf))
    return float(np.clip(0.5 * np.median(gaps.min(1)), 0.015 * FRAME_DISTANCE, 0.05 * FRAME_DISTANCE))
