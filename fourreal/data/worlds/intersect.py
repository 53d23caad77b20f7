"""Where rays enter convex primitives, with rays in the last dimension.

Origins and directions are in units of `half_size` for ellipsoids, boxes and cylinders (the primitive
is a unit one) and of the radius for capsules. Directions are not unit: their scale makes the ray
parameter the z-depth. A miss is `inf`; so is an entry behind the camera.

Distances are measured from the ray's point nearest to the centre, not from the camera, which keeps
float32 errors small for small, far objects (the discriminant does not cancel).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fourreal.data.worlds.planar import dot
from fourreal.data.worlds.scene import Face, Shape

Hit = tuple[Float[Tensor, "*n"], Int[Tensor, "*n"]]
"""Ray parameter and `Face`."""


def enter(shape: Shape, origin: Tensor, direction: Tensor, length: Float[Tensor, "*#n"]) -> Hit:
    """First intersection with a unit primitive.

    Args:
        origin, direction: [3, P, 1] and [3, P, R].
        length: a capsule's half length over its radius; other shapes do not look at it.
    """
    if shape is Shape.ELLIPSOID:
        depth = _sphere(origin, direction)
        face = torch.zeros_like(depth, dtype=torch.int32)
    elif shape is Shape.BOX:
        depth, face = _box(origin, direction)
    elif shape is Shape.CYLINDER:
        depth, face = _cylinder(origin, direction)
    else:
        depth = _capsule(origin, direction, length)
        face = torch.zeros_like(depth, dtype=torch.int32)
    return torch.where(depth > 0, depth, torch.inf), face


def _sphere(origin: Tensor, direction: Tensor) -> Tensor:
    square = dot(direction, direction)
    middle = -dot(origin, direction) / square
    nearest = origin + middle * direction
    room = 1 - dot(nearest, nearest)
    return torch.where(room > 0, middle - torch.sqrt(room.clamp(min=0) / square), torch.inf)


def _slab(origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Entry into and exit from |x| <= 1 along one axis; a parallel ray is never or always inside."""
    inverse = 1 / torch.where(direction.abs() < 1e-12, 1e-12, direction)
    middle, reach = -origin * inverse, inverse.abs()
    return middle - reach, middle + reach


def _box(origin: Tensor, direction: Tensor) -> Hit:
    near, far = zip(*(_slab(origin[axis], direction[axis]) for axis in range(3)), strict=True)
    entry = torch.maximum(torch.maximum(near[0], near[1]), near[2])
    leave = torch.minimum(torch.minimum(far[0], far[1]), far[2])
    # Entering by the positive face means going in the negative direction.
    sides = [torch.where(direction[axis] < 0, 2 * axis + 1, 2 * axis + 2) for axis in range(3)]
    face = torch.where(near[0] >= entry, sides[0], torch.where(near[1] >= entry, sides[1], sides[2]))
    return torch.where(entry < leave, entry, torch.inf), face.int()


def _tube(origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Entry, exit and hit-or-miss of the endless unit cylinder along z."""
    square = (direction[0] * direction[0] + direction[1] * direction[1]).clamp(min=1e-12)
    middle = -(origin[0] * direction[0] + origin[1] * direction[1]) / square
    x, y = origin[0] + middle * direction[0], origin[1] + middle * direction[1]
    room = 1 - (x * x + y * y)
    reach = torch.sqrt(room.clamp(min=0) / square)
    return middle - reach, middle + reach, room > 0


def _cylinder(origin: Tensor, direction: Tensor) -> Hit:
    side_near, side_far, meets = _tube(origin, direction)
    cap_near, cap_far = _slab(origin[2], direction[2])
    entry, leave = torch.maximum(side_near, cap_near), torch.minimum(side_far, cap_far)
    cap = torch.where(direction[2] < 0, int(Face.Z_POSITIVE), int(Face.Z_NEGATIVE))
    face = torch.where(cap_near > side_near, cap, int(Face.ROUND)).int()
    return torch.where(meets & (entry < leave), entry, torch.inf), face


def _capsule(origin: Tensor, direction: Tensor, length: Tensor) -> Tensor:
    """The tube between the ends, or the ball at the end where the tube's entry lies beyond it."""
    near, _, meets = _tube(origin, direction)
    z = origin[2] + near * direction[2]
    end = torch.where(z > 0, length, -length)
    # A ray that misses the endless tube misses the balls inside it too.
    ball = _sphere(torch.stack([origin[0].expand_as(end), origin[1].expand_as(end), origin[2] - end]), direction)
    return torch.where(meets, torch.where(z.abs() <= length, near, ball), torch.inf)
