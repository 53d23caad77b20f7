"""Sun and sky that reach each visible point past the other solids.

Which solids matter to a tile is decided once for the tile, from a box round its points in the light's
axes; only those (point, solid) pairs are evaluated.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fourreal.data.worlds.frames import (
    LIGHT_COLUMNS,
    FrameTable,
    WorldTable,
    bounding_radius,
    columns,
)
from fourreal.data.worlds.planar import dot, rotated_back
from fourreal.data.worlds.raycast import Rays, Visible
from fourreal.data.worlds.scene import Shape
from fourreal.data.worlds.shadows import AO_REACH, contact_capsules, light_past, open_to_sky
from fourreal.data.worlds.surface import Points, gather

MIN_BLUR_PIXELS = 0.7


def sun_and_sky(
    table: WorldTable, frames: FrameTable, rays: Rays, visible: Visible, points: Points
) -> tuple[Float[Tensor, "S"], Float[Tensor, "S"]]:
    """Shares of the sun and of the sky that reach each point."""
    shapes, half_sizes = table.shapes[frames.world], table.half_sizes[:, frames.world]
    centre, rotation = frames.position[:, :, table.planes :], frames.rotation[:, :, :, table.planes :]
    lights = table.lights[frames.world]
    sun = lights[:, columns(LIGHT_COLUMNS, "sun")].T
    softness = lights[:, columns(LIGHT_COLUMNS, "softness")][:, 0]
    radius = bounding_radius(shapes, half_sizes)
    half_axis, contact_radius = contact_capsules(shapes, half_sizes, rotation)
    contact_reach = torch.sqrt(dot(half_axis, half_axis)) + AO_REACH * contact_radius
    low, high = _tile_boxes(frames, rays, visible, sun)
    shadowed, near = _relevant(low, high, rays, sun, centre, radius, softness, contact_reach)
    present = (shapes >= 0).repeat_interleave(rays.tiles_per_frame, 0)

    point, solid = _pairs(shadowed & present, points, table.planes)
    row = points.frame[point] * table.solids + solid
    blur = MIN_BLUR_PIXELS * points.depth * frames.pixel_angle[points.frame]
    light = _sun_past(shapes, half_sizes, rotation, centre, sun, row, point, points, softness, blur)
    counts = torch.bincount(point, minlength=len(points.index))
    sun_share = torch.segment_reduce(light, "min", lengths=counts, initial=1.0)

    point, solid = _pairs(near & present, points, table.planes)
    row = points.frame[point] * table.solids + solid
    packed = torch.cat([centre, half_axis, contact_radius[None]])
    packed = gather(rearrange(packed, "c b k -> (b k) c"), row)
    left = open_to_sky(points.place[:, point] - packed[:3], points.normal[:, point], packed[3:6], packed[6])
    counts = torch.bincount(point, minlength=len(points.index))
    return sun_share, torch.segment_reduce(left, "prod", lengths=counts, initial=1.0)


def _sun_past(
    shapes: Tensor,
    half_sizes: Tensor,
    rotation: Tensor,
    centre: Tensor,
    sun: Tensor,
    row: Int[Tensor, "Q"],
    point: Int[Tensor, "Q"],
    points: Points,
    softness: Tensor,
    blur: Tensor,
) -> Float[Tensor, "Q"]:
    packed = torch.cat([rearrange(rotation, "i j b k -> (i j) b k"), centre, half_sizes])
    packed = rearrange(packed, "c b k -> (b k) c")
    kind = shapes.reshape(-1)[row]
    light = torch.ones(len(row), dtype=blur.dtype, device=blur.device)
    for shape in Shape:
        chosen = (kind == int(shape)).nonzero().squeeze(-1)
        if len(chosen) == 0:
            continue
        pose, receiver = gather(packed, row[chosen]), point[chosen]
        axes = pose[:9].reshape(3, 3, -1)
        frame = points.frame[receiver]
        origin = rotated_back(axes, points.place[:, receiver] - pose[9:12])
        direction = rotated_back(axes, sun[:, frame])
        light[chosen] = light_past(shape, origin, direction, pose[12:], softness[frame], blur[receiver])
    return light


def _pairs(relevant: Bool[Tensor, "N K"], points: Points, planes: int) -> tuple[Int[Tensor, "Q"], Int[Tensor, "Q"]]:
    """(point, solid) pairs sorted by point; a convex solid does not shade itself."""
    solids = torch.arange(relevant.shape[1], device=relevant.device)
    mask = relevant[points.tile] & (solids != (points.surface - 1 - planes)[:, None])
    point, solid = mask.nonzero().unbind(-1)
    return point, solid


def _light_axes(sun: Float[Tensor, "3 B"]) -> tuple[Tensor, Tensor]:
    """Two unit directions across the light."""
    side = torch.stack([-sun[1], sun[0], torch.zeros_like(sun[0])])
    side = side / torch.sqrt(dot(side, side).clamp(min=1e-12))
    return side, torch.linalg.cross(sun, side, dim=0)


def _tile_boxes(
    frames: FrameTable, rays: Rays, visible: Visible, sun: Float[Tensor, "3 B"]
) -> tuple[Float[Tensor, "3 N"], Float[Tensor, "3 N"]]:
    """Bounds of each tile's points along the two axes across the light and along it; empty for sky."""
    tiles, depth = rays.tiles_per_frame, visible.depth
    is_sky = torch.isinf(depth)
    bounds: list[list[Tensor]] = [[], []]
    for axis in (*_light_axes(sun), sun):
        start, corner, right, down = (
            dot(axis, v).repeat_interleave(tiles)[:, None]
            for v in (frames.centre, frames.corner, frames.right, frames.down)
        )
        slope = corner + rays.left * right + rays.top * down + right * rays.x + down * rays.y
        along = start + depth * slope
        bounds[0].append(torch.where(is_sky, torch.inf, along).amin(1))
        bounds[1].append(torch.where(is_sky, -torch.inf, along).amax(1))
    return torch.stack(bounds[0]), torch.stack(bounds[1])


def _relevant(
    low: Float[Tensor, "3 N"],
    high: Float[Tensor, "3 N"],
    rays: Rays,
    sun: Float[Tensor, "3 B"],
    centre: Float[Tensor, "3 B K"],
    radius: Float[Tensor, "B K"],
    softness: Float[Tensor, "B"],
    contact_reach: Float[Tensor, "B K"],
) -> tuple[Bool[Tensor, "N K"], Bool[Tensor, "N K"]]:
    """Solids that may shade each tile from the sun, and those that may stand close to it.

    A ball shades what is nearer than its radius (and penumbra) across the light and not beyond it along
    the light; "close" is the distance between ball and box.
    """
    tiles = rays.tiles_per_frame
    where = torch.stack([dot(axis[:, :, None], centre) for axis in (*_light_axes(sun), sun)])
    where = where.repeat_interleave(tiles, 1)
    radius, reach = radius.repeat_interleave(tiles, 0), contact_reach.repeat_interleave(tiles, 0)
    gap = torch.maximum(low[:, :, None] - where, where - high[:, :, None]).clamp(min=0)
    way = (where[2] + radius - low[2][:, None]).clamp(min=0)
    penumbra = softness.repeat_interleave(tiles)[:, None] * way + 0.05
    across = gap[0] * gap[0] + gap[1] * gap[1]
    shaded = (way > 0) & (across < (radius + penumbra) ** 2)
    return shaded, across + gap[2] * gap[2] < reach * reach
