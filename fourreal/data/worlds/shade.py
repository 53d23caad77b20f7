"""From visible points to display colours."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fourreal.data.worlds.atlas import Atlas
from fourreal.data.worlds.frames import LIGHT_COLUMNS, LOOK_COLUMNS, FrameTable, WorldTable, columns
from fourreal.data.worlds.occlusion import sun_and_sky
from fourreal.data.worlds.planar import dot, power
from fourreal.data.worlds.raycast import Rays, Visible
from fourreal.data.worlds.surface import Points, gather, rays_at, surface_points, texture_coordinates

SHOULDER = 0.62  # linear values above are rolled off towards 1
CORNER_M, CORNER_DARK = 0.3, 0.35  # how far and how much planes darken where they meet


def shade(
    table: WorldTable, frames: FrameTable, rays: Rays, visible: Visible, atlas: Atlas, index: Int[Tensor, "S"]
) -> Float[Tensor, "3 S"]:
    """Linear colours of the surface points behind some of the rays."""
    points = surface_points(table, frames, rays, visible, index)
    world = frames.world[points.frame]
    surfaces = table.planes + table.solids
    looks = gather(table.looks, world * surfaces + points.surface - 1)
    look = {name: looks[columns(LOOK_COLUMNS, name)] for name in LOOK_COLUMNS}
    lights = gather(table.lights, world)
    light = {name: lights[columns(LIGHT_COLUMNS, name)] for name in LIGHT_COLUMNS}

    uv, across, down = texture_coordinates(points, look["tile_m"][0], look["swap"][0] > 0.5)
    texels = atlas.sample(look["texture"][0].long(), uv + look["offset"], across, down)
    matrix = look["matrix"].reshape(3, 3, -1)
    albedo = (look["base"] + matrix[:, 0] * texels[0] + matrix[:, 1] * texels[1] + matrix[:, 2] * texels[2]).clamp(
        0.01, 0.9
    )

    sun_share, sky_share = sun_and_sky(table, frames, rays, visible, points)
    sky_share = sky_share * _corners(table, frames, points)
    facing = dot(points.normal, light["sun"]).clamp(min=0)
    direct = light["sun_colour"] * (facing * sun_share)
    upward = 0.5 + 0.5 * points.normal[2]
    ambient = (light["ground_light"] + (light["sky_light"] - light["ground_light"]) * upward) * sky_share
    glint = _highlight(points, light["sun"], look["gloss"][0]) * look["specular"][0] * sun_share * (facing > 0)
    colour = albedo * (direct + ambient) + light["sun_colour"] * glint
    haze = 1 - torch.exp(-((points.depth / light["haze_m"][0]) ** 2))
    haze = torch.where((points.surface <= table.planes) & (light["white"][0] < 0.5), haze, 0.0)
    return colour + (light["horizon"] - colour) * haze


def sky(table: WorldTable, frames: FrameTable, rays: Rays, index: Int[Tensor, "S"]) -> Float[Tensor, "3 S"]:
    """Linear colours of rays that meet nothing: a gradient, or endless white."""
    _, frame, ray = rays_at(frames, rays, index)
    lights = gather(table.lights, frames.world[frame])
    light = {name: lights[columns(LIGHT_COLUMNS, name)] for name in LIGHT_COLUMNS}
    height = (ray[2] / torch.sqrt(dot(ray, ray))).clamp(min=0)
    fall = (1 - height) * (1 - height)
    blend = 1 - fall * fall
    colour = light["horizon"] + (light["zenith"] - light["horizon"]) * blend
    return torch.where(light["white"][0] > 0.5, torch.inf, colour)


def display(linear: Float[Tensor, "3 S"]) -> Float[Tensor, "3 S"]:
    """Linear light to sRGB in [0, 1], highlights rolled off smoothly instead of clipped."""
    room = 1 - SHOULDER
    rolled = SHOULDER + room * (1 - torch.exp(-(linear - SHOULDER).clamp(min=0) / room))
    toned = torch.where(linear < SHOULDER, linear.clamp(min=0), rolled)
    # Written so that 1 gives exactly 1.
    curve = 1 - 1.055 * (1 - power(toned.clamp(min=0.0031308), 1 / 2.4))
    return torch.where(toned <= 0.0031308, 12.92 * toned, curve).clamp(0, 1)


def _highlight(points: Points, sun: Tensor, gloss: Tensor) -> Tensor:
    """Blinn-Phong."""
    half = sun - points.ray / torch.sqrt(dot(points.ray, points.ray))
    half = half / torch.sqrt(dot(half, half).clamp(min=1e-12))
    return power(dot(points.normal, half).clamp(min=1e-6), gloss)


def _corners(table: WorldTable, frames: FrameTable, points: Points) -> Float[Tensor, "S"]:
    """Floor and walls darken towards each other."""
    light = torch.ones_like(points.depth)
    heights = table.plane_heights[:, frames.world]
    if not bool((heights[1:] > -torch.inf).any()):
        return light
    for plane in range(table.planes):
        normal, position = frames.rotation[:, 2, :, plane], frames.position[:, :, plane]
        start = -dot(normal, position)
        packed = gather(torch.cat([normal, start[None], heights[plane][None]]).T.contiguous(), points.frame)
        distance = (dot(packed[:3], points.place) + packed[3]).clamp(min=0)
        applies = (points.surface <= table.planes) & (points.surface != plane + 1) & (packed[4] > -torch.inf)
        light = light * torch.where(applies, 1 - CORNER_DARK * torch.exp(-distance / CORNER_M), 1.0)
    return light
