"""Worlds and their frames as rows of tensors, so that many render at once.

Surfaces of a world are numbered: 0 the sky, 1 to P the planes, from P + 1 on the solids; tables below
have no row for the sky. Worlds with fewer solids than others are padded with solids of shape -1.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from fourreal.data.worlds.planar import dot, rotated_back
from fourreal.data.worlds.scene import Shape, World

ABSENT_SHAPE = -1


@dataclass(frozen=True, kw_only=True)
class WorldTable:
    """What is constant over a world's frames; W worlds, P planes, K solids, L = P + K surfaces."""

    shapes: Int[Tensor, "W K"]
    half_sizes: Float[Tensor, "3 W K"]
    plane_heights: Float[Tensor, "P W"]
    looks: Float[Tensor, "R C"]  # R = W * L rows
    lights: Float[Tensor, "W D"]
    planes: int

    @property
    def solids(self) -> int:
        return self.shapes.shape[1]


@dataclass(frozen=True)
class FrameTable:
    """What changes from frame to frame; B frames of possibly different worlds.

    A pixel's ray is `centre + depth * (corner + x * right + y * down)` with x, y in pixels, so that the
    parameter along it is the z-depth.
    """

    world: Int[Tensor, "B"]
    centre: Float[Tensor, "3 B"]
    corner: Float[Tensor, "3 B"]
    right: Float[Tensor, "3 B"]
    down: Float[Tensor, "3 B"]
    rotation: Float[Tensor, "3 3 B L"]
    position: Float[Tensor, "3 B L"]
    pixel_angle: Float[Tensor, "B"]

    def __len__(self) -> int:
        return len(self.world)


LOOK_COLUMNS = {"texture": 1, "tile_m": 1, "offset": 2, "swap": 1, "matrix": 9, "base": 3, "specular": 1, "gloss": 1}
LIGHT_COLUMNS = {
    "sun": 3,
    "sun_colour": 3,
    "sky_light": 3,
    "ground_light": 3,
    "zenith": 3,
    "horizon": 3,
    "haze_m": 1,
    "softness": 1,
    "white": 1,
}


def columns(names: dict[str, int], name: str) -> slice:
    """Where a named quantity lies in a table's last dimension."""
    start = 0
    for key, width in names.items():
        if key == name:
            return slice(start, start + width)
        start += width
    raise KeyError(name)


def world_table(worlds: list[World], device: torch.device, dtype: torch.dtype) -> WorldTable:
    """Stack worlds."""
    count, planes = max(len(world.shapes) for world in worlds), worlds[0].environment.plane_poses.shape[0]
    shapes = torch.full((len(worlds), count), ABSENT_SHAPE)
    half_sizes = torch.ones(len(worlds), count, 3)
    looks, lights = [], []
    for row, world in enumerate(worlds):
        own = len(world.shapes)
        shapes[row, :own], half_sizes[row, :own] = world.shapes, world.half_sizes
        looks.append(torch.nn.functional.pad(_looks(world), (0, 0, 0, count - own)))
        lights.append(_lights(world))
    heights = torch.stack([world.environment.plane_heights for world in worlds], -1)
    return WorldTable(
        shapes=shapes.to(device),
        half_sizes=rearrange(half_sizes, "w k c -> c w k").to(device, dtype),
        plane_heights=heights.to(device, dtype),
        looks=torch.cat(looks).to(device, dtype),
        lights=torch.stack(lights).to(device, dtype),
        planes=planes,
    )


def _looks(world: World) -> Float[Tensor, "L C"]:
    m = world.materials
    parts = (m.texture, m.tile_m, m.offset, m.swap, m.colour_matrix.flatten(1), m.colour_base, m.specular, m.gloss)
    return torch.cat([part.float().reshape(len(m.texture), -1) for part in parts], -1)


def _lights(world: World) -> Float[Tensor, "D"]:
    e = world.environment
    scalars = torch.tensor([e.haze_m, e.sun_softness, float(e.white)])
    vectors = (e.sun_direction, e.sun_colour, e.sky_light, e.ground_light, e.zenith, e.horizon)
    return torch.cat([*vectors, scalars])


def frame_table(worlds: list[World], device: torch.device, dtype: torch.dtype) -> FrameTable:
    """All frames of all worlds: world by world, view by view, time by time."""
    solids = max(len(world.shapes) for world in worlds)
    tables = [_world_frames(world, index, solids, device, dtype) for index, world in enumerate(worlds)]

    def joined(name: str) -> Tensor:
        dim = {"rotation": 2, "position": 1}.get(name, -1)
        return torch.cat([getattr(table, name) for table in tables], dim)

    return FrameTable(*(joined(field.name) for field in fields(FrameTable)))


def _world_frames(world: World, index: int, solids: int, device: torch.device, dtype: torch.dtype) -> FrameTable:
    views, times = len(world.cameras), len(world.seconds)
    planes = world.environment.plane_poses
    surfaces = torch.cat([planes.expand(times, *planes.shape), world.poses], 1)
    missing = planes.shape[0] + solids - surfaces.shape[1]
    surfaces = torch.cat([surfaces, torch.eye(4).expand(times, missing, 4, 4)], 1).to(device, dtype)
    to_cam = world.cameras.world_to_cam.to(device, dtype)
    intrinsics = world.cameras.intrinsics.to(device, dtype)
    rows = rearrange(to_cam[:, :3, :3], "v i j -> i j v")  # rows[i] is camera axis i in the world
    fx, fy = intrinsics[:, 0, 0], intrinsics[:, 1, 1]
    cx, cy = intrinsics[:, 0, 2], intrinsics[:, 1, 2]
    right, down = rows[0] / fx, rows[1] / fy
    corner = rows[2] - cx * right - cy * down
    centre = -rotated_back(rows, to_cam[:, :3, 3].T)

    def per_cell(per_view: Tensor) -> Tensor:
        return per_view.repeat_interleave(times, -1)

    return FrameTable(
        world=torch.full((views * times,), index, device=device),
        centre=per_cell(centre),
        corner=per_cell(corner),
        right=per_cell(right),
        down=per_cell(down),
        rotation=rearrange(surfaces[..., :3, :3], "t l i j -> i j t l").repeat(1, 1, views, 1),
        position=rearrange(surfaces[..., :3, 3], "t l i -> i t l").repeat(1, views, 1),
        pixel_angle=per_cell(1 / fx),
    )


def select_frames(frames: FrameTable, rows: slice) -> FrameTable:
    """Some of the frames."""
    return FrameTable(
        world=frames.world[rows],
        centre=frames.centre[:, rows],
        corner=frames.corner[:, rows],
        right=frames.right[:, rows],
        down=frames.down[:, rows],
        rotation=frames.rotation[:, :, rows],
        position=frames.position[:, rows],
        pixel_angle=frames.pixel_angle[rows],
    )


def local_scale(shapes: Int[Tensor, "*n"], half_sizes: Float[Tensor, "3 *n"]) -> Float[Tensor, "3 *n"]:
    """What turns a primitive into its unit form: half sizes, but a capsule's radius in all directions."""
    is_capsule = shapes == int(Shape.CAPSULE)
    return torch.stack([half_sizes[0], half_sizes[1], torch.where(is_capsule, half_sizes[0], half_sizes[2])])


def ball_radius(shape: Shape, half_size: Float[Tensor, "3 *n"]) -> Float[Tensor, "*n"]:
    """Radius of the smallest ball round the centre that holds a primitive."""
    x, _, z = half_size
    if shape is Shape.ELLIPSOID:
        return half_size.amax(0)
    if shape is Shape.BOX:
        return torch.sqrt(dot(half_size, half_size))
    return torch.sqrt(x * x + z * z) if shape is Shape.CYLINDER else x + z


def bounding_radius(shapes: Int[Tensor, "*n"], half_sizes: Float[Tensor, "3 *n"]) -> Float[Tensor, "*n"]:
    """`ball_radius` of mixed shapes; 0 for padding."""
    radius = torch.zeros_like(half_sizes[0])
    for shape in Shape:
        radius = torch.where(shapes == int(shape), ball_radius(shape, half_sizes), radius)
    return radius


def in_local(frames: FrameTable, vector: Float[Tensor, "3 B"], surfaces: slice) -> Float[Tensor, "3 B n"]:
    """A direction per frame in the axes of some of its surfaces."""
    return rotated_back(frames.rotation[:, :, :, surfaces], vector[:, :, None])
