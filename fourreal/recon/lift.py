"""Gaussians straight from depth and cameras, no network: one disc per pixel.

Used for procedural grids, whose depth is exact, and wherever depth comes from outside. A disc lies
in the surface the depth map describes, is as wide as the pixel's footprint there, and is left out
when another view shows that piece of surface at least as finely, so that eight views of a room
cost little more than one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians, GaussianSequence, concatenate
from fourreal.core.grid import VideoGrid
from fourreal.core.progress import Progress, silent
from fourreal.core.rotations import matrix_to_quat

COARSEST_SLANT = 0.1
"""Cosine between surface and ray below which a slope no longer counts: about 84 degrees."""


@dataclass(frozen=True, kw_only=True)
class LiftSettings:
    """How depth becomes Gaussians.

    Attributes:
        footprint: standard deviation of a disc in pixels of the view that made it. 0.4 leaves few
            gaps between neighbours; wider blurs, narrower opens holes in views between the inputs.
        same_surface: relative depth difference under which two views show the same surface.
        edge: depth step between neighbours, in pixel footprints, above which they are different
            surfaces; 6 follows slopes up to 80 degrees at any resolution.
        shell: distance at which pixels without depth (sky) are placed, as a multiple of the
            farthest depth seen; None drops them (white backgrounds).
        opacity: of every disc.
    """

    footprint: float = 0.4
    same_surface: float = 0.01
    edge: float = 6.0
    shell: float | None = 2.0
    opacity: float = 0.95


def lift_grid(
    grid: VideoGrid,
    depth: Float[Tensor, "V T H W"],
    settings: LiftSettings = LiftSettings(),
    progress: Progress = silent,
) -> GaussianSequence:
    """Gaussians for every time of a complete grid with cameras and z-depth.

    Args:
        depth: world units along the camera's z; infinite where nothing was hit.

    Raises:
        InputError: the grid is not complete, has no cameras or moving ones, or the depth does not
            match the frames or is not positive.
    """
    grid.validated().require_complete("lifting depth to Gaussians")
    if grid.cameras is None:
        raise InputError("lifting needs the grid's cameras and it has none; reconstruct it instead")
    if len(grid.cameras.batch_shape) != 1:
        raise InputError("lifting needs one camera per view, fixed over time; this grid's cameras move")
    if tuple(depth.shape) != (grid.num_views, grid.num_times, *grid.image_size):
        raise InputError(f"depth {list(depth.shape)} does not match the frames {list(grid.frames.shape)}")
    if bool(depth.isnan().any()) or bool((depth <= 0).any()):
        raise InputError("depth must be positive along the camera's z, infinite where nothing was hit")
    steps = []
    for time in range(grid.num_times):
        steps.append(lift_views(grid.frames[:, time], depth[:, time], grid.cameras, settings))
        progress(time + 1, grid.num_times)
    return GaussianSequence(tuple(steps), grid.seconds, grid.cameras).validated()


def lift_views(
    frames: Float[Tensor, "V 3 H W"], depth: Float[Tensor, "V H W"], cameras: Cameras, settings: LiftSettings
) -> Gaussians:
    """Gaussians of one time from all its views, each surface once."""
    hit = torch.isfinite(depth)
    if settings.shell is not None:
        farthest = depth[hit].amax() if bool(hit.any()) else depth.new_tensor(1.0)
        depth = torch.where(hit, depth, settings.shell * farthest)
        hit = torch.ones_like(hit)
    levels = torch.stack([_footprint_level(depth[view], cameras[view], settings) for view in range(len(cameras))])
    parts = []
    for view in range(len(cameras)):
        keep = hit[view] & ~_shown_elsewhere(depth, levels, cameras, view, settings.same_surface)
        discs = lift_view(frames[view], depth[view], cameras[view], settings)
        parts.append(discs.select(keep.flatten()))
    return concatenate(parts)


def lift_view(
    frame: Float[Tensor, "3 H W"], depth: Float[Tensor, "H W"], camera: Cameras, settings: LiftSettings
) -> Gaussians:
    """One disc per pixel of one view, row by row."""
    height, width = depth.shape
    flat = torch.where(torch.isfinite(depth), depth, torch.ones_like(depth))
    points = camera.unproject(camera.pixel_centers().reshape(-1, 2), flat.flatten()).reshape(height, width, 3)
    pixel = flat / camera.intrinsics.diagonal()[:2].mean()
    normals, slant, _ = _surface_normals(points, flat, camera, settings.edge * pixel)
    narrow = settings.footprint * pixel
    # A slanted surface is crossed faster, so its disc is longer along the slope.
    scales = torch.stack([narrow / slant.clamp(min=COARSEST_SLANT), narrow, 0.1 * narrow], -1)
    quats = matrix_to_quat(_disc_axes(normals, points - camera.centers))
    return Gaussians.from_colors(
        points.reshape(-1, 3),
        quats.reshape(-1, 4),
        scales.reshape(-1, 3),
        flat.new_full((height * width,), settings.opacity),
        frame.permute(1, 2, 0).reshape(-1, 3),
    )


def _footprint_level(depth: Float[Tensor, "H W"], camera: Cameras, settings: LiftSettings) -> Float[Tensor, "H W"]:
    """How coarsely each pixel samples its surface, in steps of half as coarse again."""
    flat = torch.where(torch.isfinite(depth), depth, torch.ones_like(depth))
    pixel = flat / camera.intrinsics.diagonal()[:2].mean()
    points = camera.unproject(camera.pixel_centers().reshape(-1, 2), flat.flatten()).reshape(*depth.shape, 3)
    _, slant, smooth = _surface_normals(points, flat, camera, settings.edge * pixel)
    # Without a neighbour on its surface a pixel sees it edge-on, and beside a silhouette its colour is mixed with the
    # other surface's: the coarsest look there is, kept only where no other view has a better one.
    farthest, nearest = (sign * functional.max_pool2d(sign * flat[None], 3, stride=1, padding=1)[0] for sign in (1, -1))
    pure = farthest - nearest < 3 * settings.edge * pixel
    slant = torch.where(smooth & pure, slant, slant.new_tensor(COARSEST_SLANT))
    return (torch.log(pixel / slant.clamp(min=COARSEST_SLANT)) / math.log(1.5)).round()


def _shown_elsewhere(
    depth: Float[Tensor, "V H W"],
    levels: Float[Tensor, "V H W"],
    cameras: Cameras,
    view: int,
    tolerance: float,
) -> Bool[Tensor, "H W"]:
    """Pixels of `view` whose surface point another view shows more finely, or as finely and earlier.

    Levels and view numbers order all views of a point, so its best one always stays. Inverse depth is
    linear across a plane's image, so interpolating it is exact there; at a silhouette the interpolated
    value belongs to neither surface and nothing is left out, which overlaps instead of gaping.
    """
    height, width = depth.shape[1:]
    camera = cameras[view]
    shown = torch.zeros(height * width, dtype=torch.bool, device=depth.device)
    far = torch.where(torch.isfinite(depth[view]), depth[view], torch.ones_like(depth[view]))
    points = camera.unproject(camera.pixel_centers().reshape(-1, 2), far.flatten())
    size = points.new_tensor([width, height])
    # At an edge of a surface the neighbouring pixel's look is another surface's: count the coarsest around.
    around = functional.max_pool2d(levels[:, None], 3, stride=1, padding=1)
    for other in range(len(cameras)):
        if other == view:
            continue
        pixels, there = cameras[other].project(points)
        inside = (there > 0) & ((pixels >= 0.5) & (pixels <= size - 0.5)).all(-1)
        grid = torch.where(inside[:, None], pixels / size * 2 - 1, torch.zeros_like(pixels))[None, None]
        inverse = functional.grid_sample(1 / depth[other][None, None], grid, align_corners=False).flatten()
        level = functional.grid_sample(around[other][None], grid, mode="nearest", align_corners=False).flatten()
        own = levels[view].flatten()
        better = (level < own) | ((level == own) & (other < view))
        shown |= inside & better & ((inverse * there - 1).abs() < tolerance)
    return shown.reshape(height, width)


def _surface_normals(
    points: Float[Tensor, "H W 3"], depth: Float[Tensor, "H W"], camera: Cameras, edge: Float[Tensor, "H W"]
) -> tuple[Float[Tensor, "H W 3"], Float[Tensor, "H W"], Bool[Tensor, "H W"]]:
    """Unit normals towards the camera, their cosine to the viewing ray, and where a slope was found.

    Each axis takes the neighbour that is nearer in depth, so that a silhouette pixel follows its own
    surface; with no neighbour on its surface a pixel faces the camera.
    """
    along_x, whole_x = _tangent(points, depth, 1, edge)
    along_y, whole_y = _tangent(points, depth, 0, edge)
    rays = functional.normalize(points - camera.centers, dim=-1)
    normals = functional.normalize(torch.linalg.cross(along_y, along_x), dim=-1)
    smooth = whole_x & whole_y
    normals = torch.where(smooth[..., None], normals, -rays)
    cosine = -(normals * rays).sum(-1)
    return normals, cosine.clamp(min=1e-3), smooth


def _tangent(
    points: Float[Tensor, "H W 3"], depth: Float[Tensor, "H W"], axis: int, edge: Float[Tensor, "H W"]
) -> tuple[Float[Tensor, "H W 3"], Bool[Tensor, "H W"]]:
    """Difference to the neighbour nearer in depth along `axis`, and whether it is the same surface."""
    count = depth.shape[axis]
    if count == 1:
        return torch.zeros_like(points), torch.zeros_like(depth, dtype=torch.bool)
    index = torch.arange(count, device=depth.device)
    # At the border the only neighbour stands in for the missing one.
    after, before = (index + 1).clamp(max=count - 1), (index - 1).clamp(min=0)
    after[-1], before[0] = count - 2, 1
    sign = torch.ones(count, device=depth.device, dtype=depth.dtype)
    sign_after, sign_before = sign.clone(), -sign
    sign_after[-1], sign_before[0] = -1, 1
    shape = (-1, 1) if axis == 0 else (1, -1)
    steps_after = (points.index_select(axis, after) - points) * sign_after.reshape(*shape, 1)
    steps_before = (points.index_select(axis, before) - points) * sign_before.reshape(*shape, 1)
    jump_after = (depth.index_select(axis, after) - depth).abs()
    jump_before = (depth.index_select(axis, before) - depth).abs()
    nearer = jump_after <= jump_before
    steps = torch.where(nearer[..., None], steps_after, steps_before)
    return steps, torch.minimum(jump_after, jump_before) < edge


def _disc_axes(normals: Float[Tensor, "H W 3"], rays: Float[Tensor, "H W 3"]) -> Float[Tensor, "H W 3 3"]:
    """Rotations whose columns are: down the slope seen along the ray, across it, and the normal."""
    across = torch.linalg.cross(normals, rays)
    # Facing the camera head on, every direction across is as good: take one that is never parallel.
    spare = functional.one_hot(normals.abs().argmin(-1), 3).to(normals)
    flat = across.norm(dim=-1, keepdim=True) < 1e-4 * rays.norm(dim=-1, keepdim=True)
    across = functional.normalize(torch.where(flat, torch.linalg.cross(normals, spare), across), dim=-1)
    slope = torch.linalg.cross(across, normals)
    return torch.stack([slope, across, normals], -1)
