"""Soft sun shadows and contact shading between solids.

Shadows are analytic: how far a ray towards the sun passes inside or outside the occluder's outline,
against a penumbra that widens with the distance between them. Contact shading takes a solid for a
capsule along its longest axis and darkens what faces it nearby.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fourreal.data.worlds.frames import ball_radius
from fourreal.data.worlds.planar import dot
from fourreal.data.worlds.scene import Shape

AO_REACH = 4.0  # contact shading ends at so many capsule radii
AO_STRENGTH = 0.7


def light_past(
    shape: Shape,
    origin: Float[Tensor, "3 Q"],
    direction: Float[Tensor, "3 Q"],
    half_size: Float[Tensor, "3 Q"],
    softness: Float[Tensor, "Q"],
    blur_m: Float[Tensor, "Q"],
) -> Float[Tensor, "Q"]:
    """Share of the sun that gets past an occluder: 0 in full shadow, 1 in full light.

    Args:
        origin, direction: receiver and unit direction of the sun in the occluder's axes, metres.
        softness: widening of the penumbra per metre.
        blur_m: least width, from the size of a pixel there.
    """
    to_centre = -dot(origin, direction)
    across = origin + to_centre * direction
    if shape is Shape.ELLIPSOID:
        outside, ahead = _past_ellipsoid(origin, direction, half_size)
    elif shape is Shape.CAPSULE:
        outside, ahead = _past_capsule(origin, direction, half_size)
    elif shape is Shape.BOX:
        outside, ahead = _past_box(origin, direction, half_size)
    else:
        outside, ahead = _past_cylinder(origin, direction, half_size)
    # No outline reaches beyond the bounding ball, though its straight edges, prolonged, would.
    outside = torch.maximum(outside, torch.sqrt(dot(across, across)) - ball_radius(shape, half_size))
    share = (0.5 + 0.5 * outside / (softness * to_centre.clamp(min=0) + blur_m)).clamp(0, 1)
    return torch.where(ahead, share * share * (3 - 2 * share), 1.0)


def _past_ellipsoid(origin: Tensor, direction: Tensor, half_size: Tensor) -> tuple[Tensor, Tensor]:
    """Signed distance of the ray outside the outline, and whether the solid is ahead of it."""
    unit_origin, unit_direction = origin / half_size, direction / half_size
    along = -dot(unit_origin, unit_direction) / dot(unit_direction, unit_direction)
    nearest = unit_origin + along * unit_direction
    mean_radius = (half_size[0] + half_size[1] + half_size[2]) / 3
    return (torch.sqrt(dot(nearest, nearest)) - 1) * mean_radius, along > 0


def _past_capsule(origin: Tensor, direction: Tensor, half_size: Tensor) -> tuple[Tensor, Tensor]:
    """Distance between the ray and the axis, the nearest pair of points found in closed form."""
    tilt = direction[2]
    level = dot(origin, direction)
    along = (tilt * origin[2] - level) / (1 - tilt * tilt).clamp(min=1e-6)
    height = torch.clamp(origin[2] + along * tilt, -half_size[2], half_size[2])
    along = height * tilt - level
    nearest = origin + along * direction
    gap = torch.stack([nearest[0], nearest[1], nearest[2] - height])
    return torch.sqrt(dot(gap, gap)) - half_size[0], along > 0


def _past_box(origin: Tensor, direction: Tensor, half_size: Tensor) -> tuple[Tensor, Tensor]:
    """The largest distance outside the lines that the outline's edges lie on.

    Entering through the face of axis i and leaving through that of axis j, the chord changes by
    sqrt(1 / d_i^2 + 1 / d_j^2) per metre of sideways motion; negative chords are misses.
    """
    inverse = 1 / torch.where(direction.abs() < 1e-6, 1e-6, direction)
    middle, reach = -origin * inverse, half_size * inverse.abs()
    near, far = middle - reach, middle + reach
    squares = inverse * inverse
    outside = torch.full_like(near[0], -torch.inf)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        gap = torch.maximum(near[i] - far[j], near[j] - far[i])
        outside = torch.maximum(outside, gap / torch.sqrt(squares[i] + squares[j]))
    return outside, far.amin(0) > 0


def _past_cylinder(origin: Tensor, direction: Tensor, half_size: Tensor) -> tuple[Tensor, Tensor]:
    """The larger of the distances outside the endless tube and outside the slab between the caps."""
    radius = half_size[0]
    square = (direction[0] * direction[0] + direction[1] * direction[1]).clamp(min=1e-6)
    nearest = -(origin[0] * direction[0] + origin[1] * direction[1]) / square
    x, y = origin[0] + nearest * direction[0], origin[1] + nearest * direction[1]
    from_axis = torch.sqrt((x * x + y * y).clamp(min=1e-12))
    reach = torch.sqrt((radius * radius - x * x - y * y).clamp(min=0) / square)
    inverse = 1 / torch.where(direction[2].abs() < 1e-6, 1e-6, direction[2])
    middle, cap = -origin[2] * inverse, half_size[2] * inverse.abs()
    entry, leave = torch.maximum(nearest - reach, middle - cap), torch.minimum(nearest + reach, middle + cap)
    beyond_caps = (entry - leave) * direction[2].abs() * torch.sqrt(square)
    return torch.maximum(from_axis - radius, beyond_caps), leave > 0


def contact_capsules(
    shapes: Int[Tensor, "*n"], half_sizes: Float[Tensor, "3 *n"], rotation: Float[Tensor, "3 3 *n"]
) -> tuple[Float[Tensor, "3 *n"], Float[Tensor, "*n"]]:
    """Half axis (world axes, metres) and radius of the capsule that stands for a solid.

    Its length is what the longest half size has over the second longest, so that a turning disc or cube,
    which has no longest axis, stays a ball.
    """
    x, y, z = half_sizes
    longest, shortest = half_sizes.amax(0), half_sizes.amin(0)
    second = x + y + z - longest - shortest
    is_capsule = shapes == int(Shape.CAPSULE)
    radius = torch.where(is_capsule, x, (second + shortest) / 2)
    half = torch.where(is_capsule, z, longest - second)
    along_x, along_y = ~is_capsule & (x >= longest), ~is_capsule & (y >= longest)
    axis = torch.where(along_x, rotation[:, 0], torch.where(along_y, rotation[:, 1], rotation[:, 2]))
    return axis * half, radius


def open_to_sky(
    from_centre: Float[Tensor, "3 Q"],
    normal: Float[Tensor, "3 Q"],
    half_axis: Float[Tensor, "3 Q"],
    radius: Float[Tensor, "Q"],
) -> Float[Tensor, "Q"]:
    """Share of the sky light left beside one capsule; `from_centre` is the receiver seen from its centre."""
    square = dot(half_axis, half_axis).clamp(min=1e-9)
    stop = (dot(from_centre, half_axis) / square).clamp(-1, 1)
    away = from_centre - stop * half_axis
    distance = torch.sqrt(dot(away, away).clamp(min=1e-9))
    facing = (-dot(normal, away) / distance).clamp(min=0)
    near = (radius / distance).clamp(max=1)
    fade = (1 - distance / (AO_REACH * radius)).clamp(min=0)
    return 1 - AO_STRENGTH * facing * near * near * torch.minimum(2 * fade, torch.ones_like(fade))
