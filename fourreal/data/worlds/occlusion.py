"""Sun and sky that reach each visible point past the other solids.

Which solids matter to a tile is decided once for the tile, from a box round its points in the light's
axes; only those (point, solid) pairs are evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass

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

MIN_BLUR_PIXELS = 0.7  # shadow edges are never sharper
MAX_BLUR_M = 0.2  # what that may come to on the farthest floor that matters


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The solids of B frames and the sun over them."""

    shapes: Int[Tensor, "B K"]
    half_sizes: Float[Tensor, "3 B K"]
    rotation: Float[Tensor, "3 3 B K"]
    centre: Float[Tensor, "3 B K"]
    sun: Float[Tensor, "3 B"]
    softness: Float[Tensor, "B"]


def sun_and_sky(
    table: WorldTable, frames: FrameTable, rays: Rays, visible: Visible, points: Points
) -> tuple[Float[Tensor, "S"], Float[Tensor, "S"]]:
    """Shares of the sun and of the sky that reach each point."""
    lights = table.lights[frames.world]
    scene = Scene(
        shapes=table.shapes[frames.world],
        half_sizes=table.half_sizes[:, frames.world],
        rotation=frames.rotation[:, :, :, table.planes :],
        centre=frames.position[:, :, table.planes :],
        sun=lights[:, columns(LIGHT_COLUMNS, "sun")].T,
        softness=lights[:, columns(LIGHT_COLUMNS, "softness")][:, 0],
    )
    half_axis, radius = contact_capsules(scene.shapes, scene.half_sizes, scene.rotation)
    contact_reach = torch.sqrt(dot(half_axis, half_axis)) + AO_REACH * radius
    boxes = _tile_boxes(frames, rays, visible, scene.sun)
    shadowed, near = _relevant(scene, *boxes, contact_reach, rays.tiles_per_frame)

    point, solid = _pairs(shadowed, points, table.planes)
    blur = MIN_BLUR_PIXELS * points.depth * frames.pixel_angle[points.frame]
    light = _sun_past(scene, points, point, points.frame[point] * table.solids + solid, blur)
    counts = torch.bincount(point, minlength=len(points.index))
    sun_share = torch.segment_reduce(light, "min", lengths=counts, initial=1.0)

    point, solid = _pairs(near, points, table.planes)
    packed = rearrange(torch.cat([scene.centre, half_axis, radius[None]]), "c b k -> (b k) c")
    packed = gather(packed, points.frame[point] * table.solids + solid)
    left = open_to_sky(points.place[:, point] - packed[:3], points.normal[:, point], packed[3:6], packed[6])
    counts = torch.bincount(point, minlength=len(points.index))
    return sun_share, torch.segment_reduce(left, "prod", lengths=counts, initial=1.0)


def _sun_past(
    scene: Scene, points: Points, point: Int[Tensor, "Q"], row: Int[Tensor, "Q"], blur: Float[Tensor, "S"]
) -> Float[Tensor, "Q"]:
    """Sunlight that (point, solid) pairs let past; `row` is the solid's place among all frames' solids."""
    packed = torch.cat([rearrange(scene.rotation, "i j b k -> (i j) b k"), scene.centre, scene.half_sizes])
    packed = rearrange(packed, "c b k -> (b k) c")
    kind = scene.shapes.reshape(-1)[row]
    light = torch.ones(len(row), dtype=blur.dtype, device=blur.device)
    for shape in Shape:
        chosen = (kind == int(shape)).nonzero().squeeze(-1)
        if len(chosen) == 0:
            continue
        pose, receiver = gather(packed, row[chosen]), point[chosen]
        axes = pose[:9].reshape(3, 3, -1)
        frame = points.frame[receiver]
        origin = rotated_back(axes, points.place[:, receiver] - pose[9:12])
        direction = rotated_back(axes, scene.sun[:, frame])
        light[chosen] = light_past(shape, origin, direction, pose[12:], scene.softness[frame], blur[receiver])
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
    scene: Scene,
    low: Float[Tensor, "3 N"],
    high: Float[Tensor, "3 N"],
    contact_reach: Float[Tensor, "B K"],
    tiles: int,
) -> tuple[Bool[Tensor, "N K"], Bool[Tensor, "N K"]]:
    """Solids that may shade each tile from the sun, and those that may stand close to it.

    A ball shades what is nearer than its radius (and penumbra) across the light and not beyond it along
    the light; "close" is the distance between ball and box.
    """
    axes = (*_light_axes(scene.sun), scene.sun)
    where = torch.stack([dot(axis[:, :, None], scene.centre) for axis in axes]).repeat_interleave(tiles, 1)
    radius = bounding_radius(scene.shapes, scene.half_sizes).repeat_interleave(tiles, 0)
    reach, present = contact_reach.repeat_interleave(tiles, 0), radius > 0
    gap = torch.maximum(low[:, :, None] - where, where - high[:, :, None]).clamp(min=0)
    way = (where[2] + radius - low[2][:, None]).clamp(min=0)
    penumbra = scene.softness.repeat_interleave(tiles)[:, None] * way + MAX_BLUR_M
    across = gap[0] * gap[0] + gap[1] * gap[1]
    limit = radius + penumbra
    return present & (way > 0) & (across < limit * limit), present & (across + gap[2] * gap[2] < reach * reach)
