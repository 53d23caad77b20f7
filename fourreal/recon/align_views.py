"""Direct alignment: cameras and depth of one moment made to agree, by carrying each view's pixels into the next view.

A small network's cameras and depth are roughly right; laid over each other, four such views show everything four
times. Here poses, one focal factor and a smooth factor on every view's depth are moved until neighbouring views
tell the same colours and depths, on pictures from 16 to 64 pixels. The network's own cameras compete with orbits round
what the first view looks at, because colours alone only pull from nearby. Takes seconds, at any frame size.

Not in the papers, whose backbone is a thousand times as large and needs it less. In the spirit of direct visual
odometry; views are expected in their order along the camera's way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from fourreal.core.cameras import Cameras
from fourreal.core.progress import Progress, silent
from fourreal.core.rotations import axis_angle_to_matrix

NEAREST = 0.05
"""Depth that nothing comes closer than, in units of the first view's median depth."""
ROBUST_COLOUR, ROBUST_DEPTH = 0.25, 0.2
"""Differences above these count no further: they are something hidden, or something that moved."""
DETAIL = 0.15
"""Weight of local contrast beside colour: textures show where, flat colours show what."""


@dataclass(frozen=True, kw_only=True)
class AlignSettings:
    """How views are aligned.

    Attributes:
        orbits_deg: angles between the first and the last view that are tried as starts, beside the network's cameras.
        sizes: longer side of the pictures, coarse to fine.
        steps: at each size.
        scouting_steps: at the first size, to choose a start.
        depth_cells: cells per side of the factor on depth.
        depth_weight: of neighbours' disagreement on depth, beside their disagreement on colours.
        smoothness: of the factor on depth.
        focal_weight: of the squared logarithm of the focal factor. A nearer, wider camera shows almost the same, so
            views alone hardly hold the focal length.
    """

    orbits_deg: tuple[float, ...] = (-36.0, -18.0, 0.0, 18.0, 36.0)
    sizes: tuple[int, ...] = (16, 32, 64)
    steps: tuple[int, ...] = (60, 100, 100)
    scouting_steps: int = 50
    depth_cells: int = 16
    depth_weight: float = 0.1
    smoothness: float = 0.02
    focal_weight: float = 0.02


@dataclass(frozen=True)
class AlignedViews:
    """What alignment found.

    Attributes:
        cameras: one per view, in the first view's frame and the unit that came in.
        depth_factor: what to multiply depth with.
        disagreement: mean difference of colours between neighbours where they overlap.
    """

    cameras: Cameras
    depth_factor: Float[Tensor, "V H W"]
    disagreement: float


def align_views(
    frames: Float[Tensor, "V 3 H W"],
    depth: Float[Tensor, "V H W"],
    cameras: Cameras,
    settings: AlignSettings = AlignSettings(),
    progress: Progress = silent,
) -> AlignedViews:
    """Make the views of one moment agree.

    Args:
        frames: sRGB in [0, 1].
        depth: predicted z-depth.
        cameras: predicted, batch `[V]`.
        progress: called after each start and each size.
    """
    unit = float(depth[0].median())
    views = _Views.of(frames, depth / unit, cameras.moved(cameras.world_to_cam[0], 1 / unit))
    starts = [views.poses, *(_orbit(len(frames), math.radians(angle), frames) for angle in settings.orbits_deg)]
    total = len(starts) + len(settings.sizes)
    found = []
    for number, start in enumerate(starts):
        rig = _Rig.at(start, settings)
        found.append(_descend(views, rig, settings.sizes[0], settings.scouting_steps, settings))
        progress(number + 1, total)
    rig = _Rig.at(starts[min(range(len(found)), key=found.__getitem__)], settings)
    disagreement = 0.0
    for number, (size, steps) in enumerate(zip(settings.sizes, settings.steps, strict=True)):
        disagreement = _descend(views, rig, size, steps, settings)
        progress(len(starts) + number + 1, total)
    return _answer(rig, cameras, unit, depth, disagreement)


def refit_depth(
    frames: Float[Tensor, "V 3 H W"],
    depth: Float[Tensor, "V H W"],
    aligned: AlignedViews,
    settings: AlignSettings = AlignSettings(),
) -> Float[Tensor, "V H W"]:
    """The factor on depth at another moment, with the cameras that alignment found: what moved stands elsewhere now.

    Starts from the factor of the aligned moment and depends on nothing but that and the moment itself.
    """
    cameras = aligned.cameras
    unit = float(depth[0].median())
    views = _Views.of(frames, depth / unit, cameras.moved(cameras.world_to_cam[0], 1 / unit))
    rig = _Rig.at(views.poses, settings)
    cells = (settings.depth_cells, settings.depth_cells)
    with torch.no_grad():
        rig.log_depth += F.interpolate(aligned.depth_factor.log()[:, None], size=cells, mode="area")
    for size, steps in zip(settings.sizes[1:], settings.steps[1:], strict=True):
        _descend(views, rig, size, steps // 2, settings, cameras=False)
    with torch.no_grad():
        return _stretched(rig.log_depth, (depth.shape[-2], depth.shape[-1])).exp()


@dataclass(frozen=True, kw_only=True)
class _Views:
    """The moment in the first view's frame and a unit of its median depth; focal lengths in image widths."""

    frames: Float[Tensor, "V 3 H W"]
    depth: Float[Tensor, "V H W"]
    poses: Float[Tensor, "V 4 4"]
    focal: Float[Tensor, "V 2"]
    centre: Float[Tensor, "V 2"]

    @classmethod
    def of(cls, frames: Tensor, depth: Tensor, cameras: Cameras) -> _Views:
        height, width = cameras.image_size
        size = cameras.intrinsics.new_tensor([width, height])
        focal = torch.stack([cameras.intrinsics[:, 0, 0], cameras.intrinsics[:, 1, 1]], -1) / size
        centre = cameras.intrinsics[:, :2, 2] / size
        return cls(frames=frames, depth=depth, poses=cameras.world_to_cam, focal=focal, centre=centre)


@dataclass(kw_only=True)
class _Rig:
    """What is moved: a small motion after every start pose but the first's, one focal factor, factors on depth."""

    start: Float[Tensor, "V 4 4"]
    turn: Float[Tensor, "V 3"]
    shift: Float[Tensor, "V 3"]
    log_focal: Float[Tensor, ""]
    log_depth: Float[Tensor, "V 1 g g"]

    @classmethod
    def at(cls, start: Float[Tensor, "V 4 4"], settings: AlignSettings) -> _Rig:
        views, cells = len(start), settings.depth_cells
        shapes = {"turn": (views, 3), "shift": (views, 3), "log_focal": (), "log_depth": (views, 1, cells, cells)}
        return cls(start=start, **{name: start.new_zeros(shape).requires_grad_() for name, shape in shapes.items()})

    def groups(self, *, cameras: bool) -> list[dict[str, object]]:
        rates = [(self.log_depth, 0.02)]
        if cameras:
            rates += [(self.turn, 0.01), (self.shift, 0.01), (self.log_focal, 0.005)]
        return [{"params": [part], "lr": rate} for part, rate in rates]

    def poses(self) -> Float[Tensor, "V 4 4"]:
        moving = torch.arange(len(self.start), device=self.start.device)[:, None] > 0
        turn = axis_angle_to_matrix(self.turn * moving)
        rotation = turn @ self.start[:, :3, :3]
        position = self.start[:, :3, 3] + self.shift * moving
        bottom = self.start[:, 3:]
        return torch.cat([torch.cat([rotation, position[..., None]], -1), bottom], -2)

    def depth(self, base: Float[Tensor, "V h w"]) -> Float[Tensor, "V h w"]:
        return base * _stretched(self.log_depth, (base.shape[-2], base.shape[-1])).exp()


def _descend(
    views: _Views, rig: _Rig, size: int, steps: int, settings: AlignSettings, *, cameras: bool = True
) -> float:
    """Move the rig downhill at one picture size. Returns the disagreement on colours it ends with."""
    scale = min(1.0, size / max(views.frames.shape[-2:]))
    shape = (max(4, round(views.frames.shape[-2] * scale)), max(4, round(views.frames.shape[-1] * scale)))
    features = _features(F.interpolate(views.frames, size=shape, mode="area"))
    base = F.interpolate(views.depth[:, None], size=shape, mode="area")[:, 0]
    optimiser = torch.optim.Adam(rig.groups(cameras=cameras), betas=(0.9, 0.99))
    colour = features.new_zeros(())
    with torch.enable_grad():
        for _ in range(steps):
            colour, depth = _disagreement(views, rig, features, base)
            factors = rig.log_depth
            rough = factors.diff(dim=-1).abs().mean() + factors.diff(dim=-2).abs().mean() + factors.abs().mean() / 2
            loss = colour + settings.depth_weight * depth + settings.smoothness * rough
            loss = loss + settings.focal_weight * rig.log_focal.square()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return float(colour.detach())


def _disagreement(
    views: _Views, rig: _Rig, features: Float[Tensor, "V C h w"], base: Float[Tensor, "V h w"]
) -> tuple[Tensor, Tensor]:
    """Between neighbours, both ways: difference of colours and of depths, where neither is out of the picture."""
    height, width = base.shape[-2:]
    depth, poses = rig.depth(base), rig.poses()
    focal, centre = views.focal * rig.log_focal.exp(), views.centre
    one, other = _neighbours(len(base), base.device)
    pixels = _pixel_places(height, width, base)
    rays = F.pad((pixels - centre[:, None]) / focal[:, None], (0, 1), value=1.0)
    points = rays * depth.flatten(1)[..., None]
    step = poses[other] @ torch.linalg.inv(poses[one])
    seen = points[one] @ step[:, :3, :3].mT + step[:, None, :3, 3]
    z = seen[..., 2].clamp_min(NEAREST)
    places = (seen[..., :2] / z[..., None] * focal[other][:, None] + centre[other][:, None]) * 2 - 1
    inside = ((places.abs() < 1).all(-1) & (seen[..., 2] > NEAREST)).to(base.dtype)
    there = torch.cat([features, depth[:, None]], 1)[other]
    sampled = F.grid_sample(
        there, rearrange(places, "p (h w) c -> p h w c", h=height), padding_mode="border", align_corners=False
    ).flatten(2)
    colour = (sampled[:, :-1] - features[one].flatten(2)).abs().mean(1).clamp_max(ROBUST_COLOUR)
    relative = ((sampled[:, -1] - z).abs() / (sampled[:, -1] + z)).clamp_max(ROBUST_DEPTH)
    count = inside.sum(-1).clamp_min(1)
    colour, relative = ((part * inside).sum(-1) / count for part in (colour, relative))
    return colour.mean(), relative.mean()


def _answer(rig: _Rig, cameras: Cameras, unit: float, depth: Tensor, disagreement: float) -> AlignedViews:
    with torch.no_grad():
        poses = rig.poses().clone()
        poses[:, :3, 3] *= unit
        intrinsics = cameras.intrinsics.clone()
        intrinsics[:, 0, 0] *= rig.log_focal.exp()
        intrinsics[:, 1, 1] *= rig.log_focal.exp()
        factor = _stretched(rig.log_depth, (depth.shape[-2], depth.shape[-1])).exp()
    return AlignedViews(Cameras(poses, intrinsics, cameras.image_size), factor, disagreement)


def _orbit(views: int, angle: float, like: Tensor) -> Float[Tensor, "V 4 4"]:
    """Cameras that turn evenly round the point at distance 1 in front of the first one."""
    angles = torch.linspace(0, angle, views, dtype=like.dtype, device=like.device)
    axis = like.new_tensor([0.0, 1.0, 0.0])
    rotation = axis_angle_to_matrix(angles[:, None] * axis)
    centre = like.new_tensor([0.0, 0.0, 1.0])
    poses = torch.eye(4, dtype=like.dtype, device=like.device).repeat(views, 1, 1)
    poses[:, :3, :3], poses[:, :3, 3] = rotation, centre - rotation @ centre
    return poses


def _features(frames: Float[Tensor, "V 3 h w"]) -> Float[Tensor, "V 4 h w"]:
    """Colours, and luminance relative to what is around it."""
    luminance = frames.mean(1, keepdim=True)
    detail = luminance - _local_mean(luminance)
    return torch.cat([frames, DETAIL * detail / (_local_mean(detail.square()) + 1e-3).sqrt()], 1)


def _local_mean(values: Float[Tensor, "V 1 h w"]) -> Float[Tensor, "V 1 h w"]:
    return F.avg_pool2d(F.pad(values, (2, 2, 2, 2), mode="replicate"), 5, 1)


def _neighbours(views: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Both directions between consecutive views."""
    first = torch.arange(views - 1, device=device)
    return torch.cat([first, first + 1]), torch.cat([first + 1, first])


def _pixel_places(height: int, width: int, like: Tensor) -> Float[Tensor, "P 2"]:
    """Pixel centres in image widths and heights, row by row."""
    y, x = (torch.arange(count, dtype=like.dtype, device=like.device) + 0.5 for count in (height, width))
    grid = torch.meshgrid(y / height, x / width, indexing="ij")
    return torch.stack([grid[1], grid[0]], -1).flatten(0, 1)


def _stretched(values: Float[Tensor, "V 1 g g"], size: Sequence[int]) -> Float[Tensor, "V h w"]:
    return F.interpolate(values, size=tuple(size), mode="bilinear", align_corners=False)[:, 0]
