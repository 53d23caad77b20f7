"""Surface points of the rays that need a colour: position, normal, texture coordinates and footprint."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from fourreal.data.worlds.frames import FrameTable, WorldTable
from fourreal.data.worlds.planar import angle, dot, rotated, rotated_back
from fourreal.data.worlds.raycast import CENTRE_AND_2X2, FACES, TILE, Rays, Visible
from fourreal.data.worlds.scene import Shape


@dataclass(frozen=True, kw_only=True)
class Points:
    """S visible points; `index` is their place in the flattened [N, R] rays.

    Attributes:
        frame, tile, surface, face: where and on what (surface 0, the sky, has no points here).
        ray: world direction whose camera z is 1.
        place: world position.
        normal: unit, towards the camera.
        local, local_normal: the same in the surface's own axes, metres.
        across, down: how `local` moves from one pixel to the next, along the surface.
    """

    index: Int[Tensor, "S"]
    tile: Int[Tensor, "S"]
    frame: Int[Tensor, "S"]
    surface: Int[Tensor, "S"]
    face: Int[Tensor, "S"]
    depth: Float[Tensor, "S"]
    ray: Float[Tensor, "3 S"]
    place: Float[Tensor, "3 S"]
    normal: Float[Tensor, "3 S"]
    local: Float[Tensor, "3 S"]
    local_normal: Float[Tensor, "3 S"]
    across: Float[Tensor, "3 S"]
    down: Float[Tensor, "3 S"]
    half_size: Float[Tensor, "3 S"]
    is_ellipsoid: Tensor


def gather(table: Float[Tensor, "N C"], rows: Int[Tensor, "S"]) -> Float[Tensor, "C S"]:
    """Rows of a table, turned so that samples come last. Row-wise reading is what caches like."""
    return table.index_select(0, rows).T.contiguous()


def rays_at(frames: FrameTable, rays: Rays, index: Int[Tensor, "S"]) -> tuple[Tensor, Tensor, Tensor]:
    """Tile, frame and world direction of some of the flattened rays."""
    tile = torch.div(index, len(rays.x), rounding_mode="floor")
    within = index - tile * len(rays.x)
    frame = torch.div(tile, rays.tiles_per_frame, rounding_mode="floor")
    x, y = rays.x[within] + rays.left[tile, 0], rays.y[within] + rays.top[tile, 0]
    view = gather(torch.cat([frames.corner, frames.right, frames.down]).T.contiguous(), frame)
    return tile, frame, view[:3] + x * view[3:6] + y * view[6:]


def surface_points(
    table: WorldTable, frames: FrameTable, rays: Rays, visible: Visible, index: Int[Tensor, "S"]
) -> Points:
    """The points that the rays `index` meet; none of them may be sky."""
    tile, frame, ray = rays_at(frames, rays, index)
    depth, code = visible.depth.reshape(-1)[index], visible.code.reshape(-1)[index]
    surface, face = torch.div(code, FACES, rounding_mode="floor").long(), (code % FACES).long()
    pose_table = torch.cat(
        [rearrange(frames.rotation, "i j b l -> (b l) (i j)"), rearrange(frames.position, "i b l -> (b l) i")], -1
    )
    surfaces = frames.position.shape[2]
    pose = gather(pose_table, frame * surfaces + surface - 1)
    rotation, position = pose[:9].reshape(3, 3, -1), pose[9:]
    view = gather(torch.cat([frames.centre, frames.right, frames.down]).T.contiguous(), frame)
    place = view[:3] + depth * ray
    local = rotated_back(rotation, place - position)
    half_size, shape = _sizes(table, frames, frame, surface)
    local_normal = _local_normal(local, face, half_size, shape)
    # Two samples of one pixel are half a pixel apart, so their footprints are half as wide.
    spacing = torch.where(index % len(rays.x) < TILE * TILE, 1.0, 2 / (len(CENTRE_AND_2X2) - 1)).to(depth)
    local_ray = rotated_back(rotation, ray)
    slope = dot(local_normal, local_ray).clamp(max=-1e-3)

    def footprint(step: Tensor) -> Tensor:
        moved = rotated_back(rotation, step)
        return depth * spacing * (moved - local_ray * (dot(local_normal, moved) / slope))

    return Points(
        index=index,
        tile=tile,
        frame=frame,
        surface=surface,
        face=face,
        depth=depth,
        ray=ray,
        place=place,
        normal=rotated(rotation, local_normal),
        local=local,
        local_normal=local_normal,
        across=footprint(view[3:6]),
        down=footprint(view[6:]),
        half_size=half_size,
        is_ellipsoid=shape == int(Shape.ELLIPSOID),
    )


def _sizes(table: WorldTable, frames: FrameTable, frame: Tensor, surface: Tensor) -> tuple[Tensor, Tensor]:
    """Half sizes and shape of each point's solid; anything for a plane, which has neither."""
    solid = (surface - 1 - table.planes).clamp(min=0)
    row = frames.world[frame] * table.solids + solid
    half_size = gather(rearrange(table.half_sizes, "c w k -> (w k) c"), row)
    shape = torch.where(surface > table.planes, table.shapes.reshape(-1)[row], int(Shape.BOX))
    return half_size, shape


def _local_normal(local: Tensor, face: Tensor, half_size: Tensor, shape: Tensor) -> Tensor:
    """Flat faces have the axis their number says; round ones point away from their core.

    The core is the centre of an ellipsoid (in its unit form), a capsule's straight middle or a
    cylinder's whole axis.
    """
    axis = torch.div(face - 1, 2, rounding_mode="floor")
    sign = torch.where(face % 2 == 1, 1.0, -1.0).to(local)
    flat = torch.stack([torch.where(axis == dim, sign, torch.zeros_like(sign)) for dim in range(3)])
    is_ellipsoid = shape == int(Shape.ELLIPSOID)
    core = torch.where(shape == int(Shape.CYLINDER), torch.inf, torch.where(is_ellipsoid, 0.0, half_size[2]))
    away = torch.stack([local[0], local[1], local[2] - torch.clamp(local[2], -core, core)])
    away = torch.where(is_ellipsoid, away / (half_size * half_size), away)
    away = away / torch.sqrt(dot(away, away).clamp(min=1e-20))
    return torch.where(face > 0, flat, away)


def texture_coordinates(
    points: Points, tile_m: Float[Tensor, "S"], swap: Tensor
) -> tuple[Float[Tensor, "2 S"], Float[Tensor, "2 S"], Float[Tensor, "2 S"]]:
    """Texture coordinates in periods, and how they change across and down one pixel.

    Flat faces take their two axes; round ones go by angle (a whole number of periods, so there is no
    seam) and by height, or by latitude on an ellipsoid.
    """
    axis = torch.div(points.face - 1, 2, rounding_mode="floor")

    def flat(vector: Tensor) -> Tensor:
        u = torch.where(axis == 0, vector[1], vector[0])
        v = torch.where(axis == 2, vector[1], vector[2])
        return torch.stack([u, v]) / tile_m

    coordinates = [flat(points.local), flat(points.across), flat(points.down)]
    rounded = (points.face == 0).nonzero().squeeze(-1)
    if len(rounded):
        wrapped = _round_coordinates(points, tile_m, rounded)
        for straight, bent in zip(coordinates, wrapped, strict=True):
            straight[:, rounded] = bent
    uv, across, down = (torch.where(swap, pair.flip(0), pair) for pair in coordinates)
    return uv, across, down


def _round_coordinates(points: Points, tile_m: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    local, half_size, tile_m = points.local[:, chosen], points.half_size[:, chosen], tile_m[chosen]
    is_ellipsoid = points.is_ellipsoid[chosen]
    unit = local / half_size
    rim = torch.sqrt((unit[0] * unit[0] + unit[1] * unit[1]).clamp(min=1e-6))
    around = torch.pi * (half_size[0] + half_size[1])
    periods = torch.round(around / tile_m).clamp(min=1) / (2 * torch.pi)
    height = torch.where(is_ellipsoid, angle(unit[2], rim) * half_size[2], local[2]) / tile_m

    def change(step: Tensor) -> Tensor:
        moved = step[:, chosen] / half_size
        turn = (unit[0] * moved[1] - unit[1] * moved[0]) / (rim * rim)
        outward = (unit[0] * moved[0] + unit[1] * moved[1]) / rim
        climb = (moved[2] * rim - unit[2] * outward) / (rim * rim + unit[2] * unit[2])
        return torch.stack([turn * periods, torch.where(is_ellipsoid, climb, moved[2]) * half_size[2] / tile_m])

    uv = torch.stack([angle(unit[1], unit[0]) * periods, height])
    return uv, change(points.across), change(points.down)
