"""`render_worlds`: many worlds to samples, in chunks of frames that suit the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.data.sample import GridSample
from fourreal.data.worlds.atlas import Atlas, build_atlas
from fourreal.data.worlds.frames import FrameTable, WorldTable, frame_table, select_frames, world_table
from fourreal.data.worlds.raycast import FACES, TILE, Rays, Visible, cast, make_rays
from fourreal.data.worlds.scene import World
from fourreal.data.worlds.shade import display, shade, sky
from fourreal.data.worlds.textures import PROCEDURAL

RAYS_PER_CHUNK = {"cpu": 400_000, "cuda": 20_000_000}
"""On a CPU the arrays of a chunk should stay near the caches; a GPU wants long ones."""


@dataclass(frozen=True)
class Pixels:
    """Colour, depth and instances of B frames."""

    colour: Float[Tensor, "B 3 H W"]
    depth: Float[Tensor, "B H W"]
    ids: Int[Tensor, "B H W"]


def render_world(world: World, device: torch.device | str = "cpu") -> GridSample:
    """One world as a sample."""
    return render_worlds([world], device)[0]


@torch.no_grad()
def render_worlds(
    worlds: Sequence[World], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> list[GridSample]:
    """Worlds as samples, rendered together; a world's pixels do not depend on its company.

    Args:
        dtype: of the arithmetic; float64 is for checking. Samples are float32 unless it is.

    Raises:
        InputError: worlds of different image size or antialiasing.
    """
    if not worlds:
        return []
    device = torch.device(device)
    config = worlds[0].config
    for world in worlds[1:]:
        if (world.config.image_size, world.config.antialias) != (config.image_size, config.antialias):
            raise InputError(
                "worlds rendered together must share image_size and antialias; got "
                f"{config.image_size}, {config.antialias} and {world.config.image_size}, {world.config.antialias}"
            )
    photographs = any(int(world.materials.texture.max()) >= len(PROCEDURAL) for world in worlds)
    atlas = build_atlas(photographs, device)
    table = world_table(list(worlds), device, dtype)
    frames = frame_table(list(worlds), device, dtype)
    rays = config.image_size[0] * config.image_size[1] * (5 if config.antialias else 1)
    step = max(1, RAYS_PER_CHUNK.get(device.type, RAYS_PER_CHUNK["cuda"]) // rays)
    chunks = [
        _render_frames(
            table, select_frames(frames, slice(first, first + step)), atlas, config.image_size, config.antialias
        )
        for first in range(0, len(frames), step)
    ]
    pixels = Pixels(
        torch.cat([chunk.colour for chunk in chunks]),
        torch.cat([chunk.depth for chunk in chunks]),
        torch.cat([chunk.ids for chunk in chunks]),
    )
    samples, first = [], 0
    for world in worlds:
        count = len(world.cameras) * len(world.seconds)
        samples.append(_sample(world, pixels, slice(first, first + count), device))
        first += count
    return samples


def _render_frames(
    table: WorldTable, frames: FrameTable, atlas: Atlas, image_size: tuple[int, int], antialias: bool
) -> Pixels:
    rays = make_rays(frames, image_size, antialias)
    visible = cast(table, frames, rays)
    colour = _untile(_resolve(table, frames, rays, visible, atlas), rays, image_size)
    depth = _untile(visible.depth[:, None, : TILE * TILE], rays, image_size)[:, 0]
    code = _untile(visible.code[:, None, : TILE * TILE], rays, image_size)[:, 0]
    ids = (torch.div(code, FACES, rounding_mode="floor") - table.planes).clamp(min=0)
    return Pixels(colour, depth, ids)


def _resolve(
    table: WorldTable, frames: FrameTable, rays: Rays, visible: Visible, atlas: Atlas
) -> Float[Tensor, "N 3 P"]:
    """A display colour per pixel, P = 64 pixels a tile.

    A pixel whose five rays meet one face is shaded once, at its centre, where the texture is already
    filtered over the pixel; one that an outline or an edge crosses is the mean of its 2x2 samples.
    """
    code = rearrange(visible.code, "n (s p) -> n s p", s=rays.samples)
    needed = torch.zeros_like(code, dtype=torch.bool)
    mixed = (code[:, 1:] != code[:, :1]).any(1)
    needed[:, 0] = ~mixed
    needed[:, 1:] = mixed[:, None]
    is_sky = code == 0
    colour = torch.zeros(3, code.numel(), dtype=visible.depth.dtype, device=code.device)
    solid_index = (needed & ~is_sky).reshape(-1).nonzero().squeeze(-1)
    sky_index = (needed & is_sky).reshape(-1).nonzero().squeeze(-1)
    if len(solid_index):
        colour[:, solid_index] = display(shade(table, frames, rays, visible, atlas, solid_index))
    if len(sky_index):
        colour[:, sky_index] = display(sky(table, frames, rays, sky_index))
    colour = rearrange(colour, "c (n s p) -> n s c p", n=code.shape[0], s=rays.samples)
    if rays.samples == 1:
        return colour[:, 0]
    mean = (colour[:, 1] + colour[:, 2] + colour[:, 3] + colour[:, 4]) / 4
    return torch.where(mixed[:, None], mean, colour[:, 0])


def _untile(tiles: Tensor, rays: Rays, image_size: tuple[int, int]) -> Tensor:
    image = rearrange(tiles, "(b r q) c (y x) -> b c (r y) (q x)", r=rays.rows, q=rays.columns, y=TILE, x=TILE)
    return image[..., : image_size[0], : image_size[1]]


def _sample(world: World, pixels: Pixels, rows: slice, device: torch.device) -> GridSample:
    views, times = len(world.cameras), len(world.seconds)
    shape = {"v": views, "t": times}
    frames = rearrange(pixels.colour[rows], "(v t) c h w -> v t c h w", **shape)
    motion = torch.cat([torch.eye(4).expand(times, 1, 4, 4), world.poses], 1).to(device)
    cameras = world.cameras.to(device)
    return GridSample(
        grid=VideoGrid.complete(frames, world.seconds.to(device), cameras),
        depth=rearrange(pixels.depth[rows], "(v t) h w -> v t h w", **shape),
        instance_ids=rearrange(pixels.ids[rows], "(v t) h w -> v t h w", **shape),
        caption=world.caption,
        source=f"fourreal procedural world, seed {world.seed}",
        licence=world.licence,
        instance_motion=motion,
    )
