"""Which surface every ray meets first, and at what depth: exact, for many frames at once.

The image is cut into tiles of 8x8 pixels. A projected bounding ball says which tiles a solid can touch;
only those (tile, solid) pairs are intersected, all pairs of a shape together, with the tile's rays in
the last dimension.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fourreal.data.worlds.frames import (
    FrameTable,
    WorldTable,
    bounding_radius,
    in_local,
    local_scale,
)
from fourreal.data.worlds.intersect import enter
from fourreal.data.worlds.planar import dot, rotated_back
from fourreal.data.worlds.scene import Face, Shape

TILE = 8
FACES = 8  # a surface code is FACES * surface + face
CENTRE_ONLY = ((0.0, 0.0),)
CENTRE_AND_2X2 = ((0.0, 0.0), (-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25))


@dataclass(frozen=True, kw_only=True)
class Rays:
    """The rays of all tiles of all frames; N = B * tile rows * tile columns tiles, R rays each.

    The R rays are sample by sample (the pixel centres first), pixel by pixel within a tile.
    """

    left: Float[Tensor, "N 1"]
    top: Float[Tensor, "N 1"]
    x: Float[Tensor, "R"]
    y: Float[Tensor, "R"]
    samples: int
    rows: int
    columns: int

    @property
    def tiles_per_frame(self) -> int:
        return self.rows * self.columns


@dataclass(frozen=True)
class Visible:
    """What the rays meet: z-depth (`inf` for the sky) and surface code."""

    depth: Float[Tensor, "N R"]
    code: Int[Tensor, "N R"]


def make_rays(frames: FrameTable, image_size: tuple[int, int], antialias: bool) -> Rays:
    height, width = image_size
    rows, columns = math.ceil(height / TILE), math.ceil(width / TILE)
    like = {"dtype": frames.centre.dtype, "device": frames.centre.device}
    offsets = torch.tensor(CENTRE_AND_2X2 if antialias else CENTRE_ONLY, **like)
    y, x = torch.meshgrid(torch.arange(TILE, **like) + 0.5, torch.arange(TILE, **like) + 0.5, indexing="ij")
    top, left = torch.meshgrid(torch.arange(rows, **like), torch.arange(columns, **like), indexing="ij")
    return Rays(
        left=repeat(left * TILE, "r c -> (b r c) 1", b=len(frames)),
        top=repeat(top * TILE, "r c -> (b r c) 1", b=len(frames)),
        x=(offsets[:, :1] + x.reshape(-1)).reshape(-1),
        y=(offsets[:, 1:] + y.reshape(-1)).reshape(-1),
        samples=len(offsets),
        rows=rows,
        columns=columns,
    )


def cast(table: WorldTable, frames: FrameTable, rays: Rays) -> Visible:
    """Trace all rays."""
    depth, code = _meet_planes(table, frames, rays)
    solids = slice(table.planes, None)
    shapes, half_sizes = table.shapes[frames.world], table.half_sizes[:, frames.world]
    candidates = _touched_tiles(frames, rays, bounding_radius(shapes, half_sizes))
    tile, solid = candidates.nonzero().unbind(-1)
    if len(tile) == 0:
        return Visible(depth, code)
    row = tile // rays.tiles_per_frame * table.solids + solid
    scale = local_scale(shapes, half_sizes)
    offset = frames.centre[:, :, None] - frames.position[:, :, solids]
    origin = rotated_back(frames.rotation[:, :, :, solids], offset) / scale
    axes = [in_local(frames, axis, solids) / scale for axis in (frames.corner, frames.right, frames.down)]
    origin, corner, right, down = (rearrange(v, "c b k -> c (b k)")[:, row, None] for v in (origin, *axes))
    corner = corner + rays.left[tile] * right + rays.top[tile] * down
    pair_shape = shapes.reshape(-1)[row]
    length = (half_sizes[2] / half_sizes[0]).reshape(-1)[row][:, None]
    pair_depth = torch.empty(len(tile), len(rays.x), dtype=depth.dtype, device=depth.device)
    pair_code = torch.empty(pair_depth.shape, dtype=torch.int32, device=depth.device)
    for shape in Shape:
        chosen = (pair_shape == int(shape)).nonzero().squeeze(-1)
        if len(chosen):
            direction = corner[:, chosen] + right[:, chosen] * rays.x + down[:, chosen] * rays.y
            met, face = enter(shape, origin[:, chosen], direction, length[chosen])
            pair_depth[chosen] = met
            pair_code[chosen] = face + ((solid[chosen] + 1 + table.planes) * FACES).int()[:, None]
    _keep_nearest(depth, code, tile, pair_depth, pair_code)
    return Visible(depth, code)


def _keep_nearest(depth: Tensor, code: Tensor, tile: Tensor, pair_depth: Tensor, pair_code: Tensor) -> None:
    """Merge pairs (sorted by tile) into their tiles in place: every tile's first pair, then the second, ..."""
    start = torch.searchsorted(tile, tile)
    layer = torch.arange(len(tile), device=tile.device) - start
    for index in range(int(layer.max()) + 1):
        pairs = (layer == index).nonzero().squeeze(-1)
        tiles = tile[pairs]
        before, new = depth[tiles], pair_depth[pairs]
        nearer = new < before
        depth[tiles] = torch.where(nearer, new, before)
        code[tiles] = torch.where(nearer, pair_code[pairs], code[tiles])


def _meet_planes(table: WorldTable, frames: FrameTable, rays: Rays) -> tuple[Tensor, Tensor]:
    """Depth and code of the nearest plane; `inf` and 0 where there is none."""
    tiles = rays.tiles_per_frame
    depth = torch.full((len(rays.left), len(rays.x)), torch.inf, dtype=frames.centre.dtype, device=frames.centre.device)
    code = torch.zeros(depth.shape, dtype=torch.int32, device=depth.device)
    heights = table.plane_heights[:, frames.world]

    def ramp(corner: Tensor, right: Tensor, down: Tensor) -> Tensor:
        """A quantity that is linear over each frame, at every ray."""
        corner, right, down = (v.repeat_interleave(tiles)[:, None] for v in (corner, right, down))
        return corner + rays.left * right + rays.top * down + right * rays.x + down * rays.y

    for plane in range(table.planes):
        if not bool((heights[plane] > -torch.inf).any()):
            continue
        normal = frames.rotation[:, 2, :, plane]
        above = dot(normal, frames.centre - frames.position[:, :, plane])
        slope = ramp(*(dot(normal, axis) for axis in (frames.corner, frames.right, frames.down)))
        above = above.repeat_interleave(tiles)[:, None]
        met = torch.where((slope < 0) & (above > 0), -above / torch.where(slope < 0, slope, -1.0), torch.inf)
        top = heights[plane].repeat_interleave(tiles)[:, None]
        if bool(torch.isfinite(heights[plane]).any() or (heights[plane] == -torch.inf).any()):
            rise = ramp(frames.corner[2], frames.right[2], frames.down[2])
            base = frames.centre[2].repeat_interleave(tiles)[:, None]
            reached = torch.where(torch.isfinite(met), base + met * rise, torch.inf)
            met = torch.where(reached <= top, met, torch.inf)
        nearer = met < depth
        depth = torch.where(nearer, met, depth)
        code = torch.where(nearer, (plane + 1) * FACES + int(Face.Z_POSITIVE), code)
    return depth, code


def _touched_tiles(frames: FrameTable, rays: Rays, radius: Float[Tensor, "B K"]) -> Bool[Tensor, "N K"]:
    """Tiles that the image of each solid's bounding ball may reach."""
    planes = frames.position.shape[2] - radius.shape[1]
    offset = frames.position[:, :, planes:] - frames.centre[:, :, None]
    forward = torch.linalg.cross(frames.right, frames.down, dim=0)
    forward = forward / torch.sqrt(dot(forward, forward))
    ahead = dot(forward[:, :, None], offset)
    columns = _touched_strips(frames.right, frames.corner, offset, ahead, radius, rays.columns)
    rows = _touched_strips(frames.down, frames.corner, offset, ahead, radius, rays.rows)
    touched = rows[:, :, None] & columns[:, None] & (radius > 0)[:, None, None]
    return rearrange(touched, "b r c k -> (b r c) k")


def _touched_strips(
    step: Float[Tensor, "3 B"],
    corner: Float[Tensor, "3 B"],
    offset: Float[Tensor, "3 B K"],
    ahead: Float[Tensor, "B K"],
    radius: Float[Tensor, "B K"],
    count: int,
) -> Bool[Tensor, "B count K"]:
    """Tile columns (or rows) that balls may reach; `step` is the ray's change from pixel to pixel.

    Seen from above, a ball at angle a off axis and of angular radius b spans tan(a - b) to tan(a + b);
    one that reaches beside or behind the camera may appear anywhere up to the border.
    """
    focal = 1 / torch.sqrt(dot(step, step))
    axis = step * focal
    across = dot(axis[:, :, None], offset)
    angle, spread = torch.atan2(across, ahead), torch.arcsin((radius / torch.hypot(across, ahead)).clamp(max=1))
    low, high, quarter = angle - spread, angle + spread, torch.pi / 2 - 1e-3
    first = torch.where(low <= -quarter, -torch.inf, torch.tan(low.clamp(-quarter, quarter)))
    last = torch.where(high >= quarter, torch.inf, torch.tan(high.clamp(-quarter, quarter)))
    # One pixel to spare for the samples beside a pixel's centre and for rounding.
    principal = (-dot(corner, axis) * focal)[:, None]
    first, last = first * focal[:, None] + principal - 1, last * focal[:, None] + principal + 1
    edges = torch.arange(count, dtype=radius.dtype, device=radius.device)[:, None] * TILE
    return (first[:, None] < edges + TILE) & (last[:, None] > edges)
