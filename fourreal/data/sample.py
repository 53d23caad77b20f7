"""`GridSample`: a complete grid with everything that is true about it, whatever made it.

Procedural worlds and rendered assets both end here. Every surface point belongs to one rigid
instance, so depth, instances, cameras and the instances' motions together give the optical flow
between any two cells; nothing else has to be stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.rotations import rigid_inverse

OCCLUSION_TOLERANCE = 0.01
"""A point counts as seen when it is at most this fraction behind the surface drawn at its target pixel."""

Cell = tuple[int, int]
"""(view, time) of a frame."""


@dataclass(frozen=True)
class FlowField:
    """Where the surface points seen at one cell's pixel centres are in another cell.

    Attributes:
        flow: displacement (x, y) in pixels; target = pixel centre + flow. Zero where the point falls behind
            the target camera.
        visible: the target lies inside the frame and nothing hides the point there.
    """

    flow: Float[Tensor, "H W 2"]
    visible: Bool[Tensor, "H W"]


@dataclass(frozen=True, kw_only=True)
class GridSample:
    """A complete grid with exact geometry, for training and for tests.

    Depth and instances belong to the ray through each pixel's centre; only colours are antialiased.

    Attributes:
        grid: every cell known, one camera per view.
        depth: z-depth in world units along each pixel's centre ray; `inf` where the ray meets nothing (sky,
            white background), which `isfinite` masks and whose inverse depth is a clean zero.
        instance_ids: 0 is the static surrounding (floor, walls, sky); k > 0 is rigid instance k. The parts
            of an articulated thing are instances of their own.
        caption: what is there and how it moves.
        source: what made the sample, enough to make it again.
        licence: terms of use of the pixels, SPDX where there is an identifier.
        instance_motion: instance-to-world pose of every instance at every time; instance 0 does not move.

    Raises:
        InputError: the grid has no per-view cameras, or shapes do not match it. `validated` checks the values.
    """

    grid: VideoGrid
    depth: Float[Tensor, "V T H W"]
    instance_ids: Int[Tensor, "V T H W"]
    caption: str
    source: str
    licence: str
    instance_motion: Float[Tensor, "T K 4 4"]

    def __post_init__(self) -> None:
        views, times = self.grid.num_views, self.grid.num_times
        cameras = self.grid.cameras
        if cameras is None or cameras.batch_shape != (views,):
            raise InputError(f"a training sample needs one camera per view [{views}]")
        pixels = (views, times, *self.grid.image_size)
        for name in ("depth", "instance_ids"):
            if tuple(getattr(self, name).shape) != pixels:
                raise InputError(f"{name} must have shape {list(pixels)}; got {list(getattr(self, name).shape)}")
        if self.instance_motion.shape[0] != times or self.instance_motion.shape[2:] != (4, 4):
            raise InputError(
                f"instance_motion must have shape [{times}, K, 4, 4]; got {list(self.instance_motion.shape)}"
            )

    def validated(self) -> GridSample:
        """Itself, values checked. Raises InputError: the grid is not complete, or an instance has no motion."""
        self.grid.validated().require_complete("a training sample")
        if int(self.instance_ids.max()) >= self.instance_motion.shape[1]:
            raise InputError(
                f"instance_ids name instance {int(self.instance_ids.max())} but instance_motion "
                f"holds {self.instance_motion.shape[1]}"
            )
        return self

    @property
    def cameras(self) -> Cameras:
        assert self.grid.cameras is not None
        return self.grid.cameras

    def to(self, device: torch.device | str) -> GridSample:
        return replace(
            self,
            grid=self.grid.to(device),
            depth=self.depth.to(device),
            instance_ids=self.instance_ids.to(device),
            instance_motion=self.instance_motion.to(device),
        )

    def flow(self, from_cell: Cell, to_cell: Cell) -> FlowField:
        """Optical flow from one cell to any other, across views, times or both.

        A point at infinity (`depth` inf) moves as its direction does. Visibility compares the point's
        depth with the up to four target pixels around it: it is seen when one of them shows the same
        instance and the farthest of these is not more than `OCCLUSION_TOLERANCE` nearer.

        Raises:
            InputError: a cell is outside the grid.
        """
        (from_view, from_time), (to_view, to_time) = self._checked(from_cell), self._checked(to_cell)
        pixels = self.cameras.pixel_centers()
        ids = self.instance_ids[from_view, from_time]
        points = self._moved_points(from_view, from_time, to_time)
        rotation, shift = self.cameras.world_to_cam[to_view].split((3, 1), -1)
        in_camera = points[..., :3] @ rotation[:3].mT + points[..., 3:] * shift[:3, 0]
        ahead = in_camera[..., 2] > 1e-6
        homogeneous = in_camera @ self.cameras.intrinsics[to_view].mT
        target = homogeneous[..., :2] / torch.where(ahead, in_camera[..., 2], 1.0)[..., None]
        flow = torch.where(ahead[..., None], target - pixels, 0.0)
        z_depth = torch.where(points[..., 3] > 0, in_camera[..., 2], torch.inf)
        visible = ahead & self._seen(target, z_depth, ids, to_view, to_time)
        return FlowField(flow, visible)

    def _checked(self, cell: Cell) -> Cell:
        view, time = cell
        if not (0 <= view < self.grid.num_views and 0 <= time < self.grid.num_times):
            raise InputError(
                f"cell {cell} is outside the grid of {self.grid.num_views} views x {self.grid.num_times} times"
            )
        return cell

    def _moved_points(self, view: int, time: int, to_time: int) -> Float[Tensor, "H W 4"]:
        """Homogeneous world points of a cell's pixels, carried along by their instances to `to_time`."""
        height, width = self.grid.image_size
        camera = self.cameras[view]
        depth = self.depth[view, time]
        finite = torch.isfinite(depth)
        directions = camera.ray_directions(camera.pixel_centers().reshape(-1, 2)).reshape(height, width, 3)
        scale = torch.where(finite, depth, 1.0)[..., None]
        here = torch.cat([directions * scale + finite[..., None] * camera.centers, finite[..., None].to(depth)], -1)
        change = self.instance_motion[to_time] @ rigid_inverse(self.instance_motion[time])
        return (change[self.instance_ids[view, time].long()] @ here[..., None]).squeeze(-1)

    def _seen(
        self,
        target: Float[Tensor, "H W 2"],
        z_depth: Float[Tensor, "H W"],
        ids: Int[Tensor, "H W"],
        view: int,
        time: int,
    ) -> Bool[Tensor, "H W"]:
        height, width = self.grid.image_size
        inside = (target >= 0).all(-1) & (target[..., 0] < width) & (target[..., 1] < height)
        corner = torch.floor(target.nan_to_num(0, 0, 0).clamp(-2, max(height, width) + 2) - 0.5).long()
        farthest = torch.full_like(z_depth, -torch.inf)
        for dy in (0, 1):
            for dx in (0, 1):
                x, y = (corner[..., 0] + dx).clamp(0, width - 1), (corner[..., 1] + dy).clamp(0, height - 1)
                same = self.instance_ids[view, time][y, x] == ids
                drawn = torch.where(same, self.depth[view, time][y, x], -torch.inf)
                farthest = torch.maximum(farthest, drawn)
        return inside & (z_depth <= farthest * (1 + OCCLUSION_TOLERANCE))
