"""The slow, obvious twin of `fourreal.data.worlds.render`: one frame at a time, vectors last, loops over solids.

It shares the scene's nouns and the texture images with the package and nothing else: intersections,
normals, texture filtering, shadows and tone are written again from their definitions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fourreal.data.worlds.scene import Shape, World
from fourreal.data.worlds.textures import texture_image

EPS = 1e-12
SUBPIXELS = ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25))


class SlowWorld:
    """Renders and traces one world."""

    def __init__(self, world: World, dtype: torch.dtype = torch.float32) -> None:
        self.world, self.dtype = world, dtype
        self.planes = world.environment.plane_poses.to(dtype)
        self.poses = world.poses.to(dtype)
        self.half = world.half_sizes.to(dtype)
        self.shapes = [Shape(int(shape)) for shape in world.shapes]
        self.pyramids: dict[int, list[Tensor]] = {}

    # ---- rays ---------------------------------------------------------------------------------

    def rays(self, view: int, shift: tuple[float, float] = (0.0, 0.0)) -> tuple[Tensor, Tensor]:
        """Centre [3] and directions [H*W, 3] (camera z is 1) through the pixels, `shift`ed from their centres."""
        camera = self.world.cameras[view]
        pixels = camera.pixel_centers().reshape(-1, 2).to(self.dtype) + torch.tensor(shift, dtype=self.dtype)
        return self.rays_through(view, pixels)

    def rays_through(self, view: int, pixels: Tensor) -> tuple[Tensor, Tensor]:
        camera = self.world.cameras[view]
        to_cam, intrinsics = camera.world_to_cam.to(self.dtype), camera.intrinsics.to(self.dtype)
        in_camera = torch.cat([pixels, torch.ones_like(pixels[:, :1])], -1) @ torch.linalg.inv(intrinsics).T
        return -to_cam[:3, :3].T @ to_cam[:3, 3], in_camera @ to_cam[:3, :3]

    def trace(self, centre: Tensor, directions: Tensor, time: int) -> tuple[Tensor, Tensor, Tensor]:
        """Depth, surface (0 sky, then planes, then solids) and face of the first hit of each ray."""
        depth = torch.full((len(directions),), torch.inf, dtype=self.dtype)
        surface = torch.zeros(len(directions), dtype=torch.long)
        face = torch.zeros(len(directions), dtype=torch.long)
        for number, (met, met_face) in enumerate(self._hits(centre, directions, time), start=1):
            nearer = met < depth
            depth = torch.where(nearer, met, depth)
            surface[nearer] = number
            face[nearer] = met_face[nearer]
        return depth, surface, face

    def _hits(self, centre: Tensor, directions: Tensor, time: int):
        for pose, height in zip(self.planes, self.world.environment.plane_heights, strict=True):
            origin, local = to_local(pose, centre, directions)
            met = torch.where((local[:, 2] < 0) & (origin[2] > 0), -origin[2] / local[:, 2], torch.inf)
            top = centre[2] + met * directions[:, 2]
            met = torch.where(torch.isfinite(met) & (top <= height), met, torch.inf)
            yield met, torch.full_like(met, 5).long()
        for solid, shape in enumerate(self.shapes):
            origin, local = to_local(self.poses[time, solid], centre, directions)
            yield first_hit(shape, origin, local, self.half[solid])

    # ---- pictures -------------------------------------------------------------------------------

    def render(self, view: int, time: int) -> tuple[Tensor, Tensor, Tensor]:
        """Image [3, H, W], depth [H, W] and instance ids [H, W] of one cell."""
        height, width = self.world.config.image_size
        centre, directions = self.rays(view)
        depth, surface, face = self.trace(centre, directions, time)
        image = self.colours(view, time, centre, directions, depth, surface, face, 1.0)
        if self.world.config.antialias:
            samples = []
            for shift in SUBPIXELS:
                _, shifted = self.rays(view, shift)
                samples.append((shifted, self.trace(centre, shifted, time)))
            mixed = torch.zeros_like(surface, dtype=torch.bool)
            for _, (_, other, other_face) in samples:
                mixed |= (other != surface) | (other_face != face)
            total = torch.zeros(int(mixed.sum()), 3, dtype=self.dtype)
            for shifted, traced in samples:
                met, which, side = (part[mixed] for part in traced)
                total += self.colours(view, time, centre, shifted[mixed], met, which, side, 0.5)
            image[mixed] = total / 4
        ids = (surface - len(self.planes)).clamp(min=0)
        return image.T.reshape(3, height, width), depth.reshape(height, width), ids.reshape(height, width)

    def colours(self, view, time, centre, directions, depth, surface, face, spacing) -> Tensor:
        """Display colours [N, 3] of traced rays."""
        light = self.world.environment
        up = (directions[:, 2] / directions.norm(dim=-1)).clamp(min=0)[:, None]
        sky = light.horizon + (light.zenith - light.horizon).to(self.dtype) * (1 - (1 - up) ** 4)
        result = torch.full_like(directions, torch.inf) if light.white else sky
        for number in range(1, len(self.planes) + len(self.shapes) + 1):
            here = surface == number
            if here.any():
                result[here] = self._surface_colour(
                    view, time, centre, directions[here], depth[here], face[here], number, spacing
                )
        return to_display(result)

    def _surface_colour(self, view, time, centre, directions, depth, face, number, spacing) -> Tensor:
        light, materials, row = self.world.environment, self.world.materials, number - 1
        is_plane = row < len(self.planes)
        solid = row - len(self.planes)
        pose = self.planes[row] if is_plane else self.poses[time, solid]
        shape = Shape.BOX if is_plane else self.shapes[solid]
        half = self.half[max(solid, 0)]
        place = centre + depth[:, None] * directions
        local = (place - pose[:3, 3]) @ pose[:3, :3]
        local_normal = normal_of(shape, local, face, half)
        normal = local_normal @ pose[:3, :3].T
        steps = self._steps(view, pose, directions, local_normal, depth, spacing)
        texels = self._texture(row, shape, local, face, half, steps)
        albedo = materials.colour_base[row].to(self.dtype) + texels @ materials.colour_matrix[row].to(self.dtype).T
        sun = light.sun_direction.to(self.dtype)
        shadow, open_sky = self._shading(time, place, normal, depth, sun, row, view)
        facing = (normal @ sun).clamp(min=0)[:, None]
        low, high = light.ground_light.to(self.dtype), light.sky_light.to(self.dtype)
        ambient = low + (high - low) * (0.5 + 0.5 * normal[:, 2:])
        halfway = torch.nn.functional.normalize(sun - torch.nn.functional.normalize(directions, dim=-1), dim=-1)
        glint = (normal * halfway).sum(-1, keepdim=True).clamp(min=1e-6) ** materials.gloss[row].to(self.dtype)
        glint = glint * materials.specular[row] * shadow * (facing > 0)
        colour = albedo.clamp(0.01, 0.9) * (light.sun_colour * facing * shadow + ambient * open_sky)
        colour = colour + light.sun_colour * glint
        if is_plane and not light.white:
            haze = 1 - torch.exp(-((depth[:, None] / light.haze_m) ** 2))
            colour = colour + (light.horizon - colour) * haze
        return colour

    def _steps(self, view, pose, directions, local_normal, depth, spacing) -> tuple[Tensor, Tensor]:
        """Local displacement on the tangent plane for one pixel to the right and one down."""
        camera = self.world.cameras[view]
        axes, focal = camera.world_to_cam[:3, :3].to(self.dtype), camera.intrinsics.diagonal().to(self.dtype)
        local_ray = directions @ pose[:3, :3]
        slope = (local_normal * local_ray).sum(-1, keepdim=True).clamp(max=-1e-3)
        steps = []
        for axis in (0, 1):
            moved = (axes[axis] / focal[axis]) @ pose[:3, :3]
            steps.append(depth[:, None] * spacing * (moved - local_ray * (local_normal @ moved)[:, None] / slope))
        return steps[0], steps[1]

    def _texture(self, row, shape, local, face, half, steps) -> Tensor:
        materials = self.world.materials
        tile = materials.tile_m[row].to(self.dtype)
        uv, *changes = [flat_uv(vector, face) / tile for vector in (local, *steps)]
        if (face == 0).any():
            bent = round_uv(shape, local, half, tile, steps)
            uv, *changes = [torch.where((face == 0)[:, None], b, f) for b, f in zip(bent, (uv, *changes), strict=True)]
        if bool(materials.swap[row]):
            uv, *changes = [pair.flip(-1) for pair in (uv, *changes)]
        return self._filtered(int(materials.texture[row]), uv + materials.offset[row], *changes)

    def _filtered(self, texture: int, uv: Tensor, across: Tensor, down: Tensor) -> Tensor:
        if texture not in self.pyramids:
            levels = [torch.from_numpy(texture_image(texture)).to(self.dtype)]
            while levels[-1].shape[-1] > 1:
                levels.append(torch.nn.functional.avg_pool2d(levels[-1], 2))
            self.pyramids[texture] = levels
        levels = self.pyramids[texture]
        lengths = torch.stack([across.norm(dim=-1), down.norm(dim=-1)], -1)
        longer = torch.where((lengths[:, 0] >= lengths[:, 1])[:, None], across, down)
        footprint = torch.maximum(lengths.amin(-1), lengths.amax(-1) / 2)
        level = (torch.log2(footprint.clamp(min=1e-6)) + len(levels) - 1).clamp(0, len(levels) - 1)
        result = torch.zeros(len(uv), 3, dtype=self.dtype)
        for number, image in enumerate(levels):
            weight = (1 - (level - number).abs()).clamp(min=0)[:, None]
            here = weight[:, 0] > 0
            for tap in (-0.25, 0.25):
                result[here] += weight[here] * wrapped_bilinear(image, (uv + tap * longer)[here]) / 2
        return result

    def _shading(self, time, place, normal, depth, sun, row, view) -> tuple[Tensor, Tensor]:
        light = self.world.environment
        blur = 0.7 * depth / self.world.cameras.intrinsics[view, 0, 0].to(self.dtype)
        shadow, open_sky = torch.ones_like(depth), torch.ones_like(depth)
        for solid, shape in enumerate(self.shapes):
            if solid + len(self.planes) == row:
                continue
            pose, half = self.poses[time, solid], self.half[solid]
            local = (place - pose[:3, 3]) @ pose[:3, :3]
            past = sunlight_past(shape, local, sun @ pose[:3, :3], half, light.sun_softness, blur)
            shadow = torch.minimum(shadow, past)
            open_sky = open_sky * beside(shape, pose, half, place, normal)
        if row < len(self.planes):
            for plane, (pose, height) in enumerate(zip(self.planes, light.plane_heights, strict=True)):
                if plane != row and height > -math.inf:
                    distance = ((place - pose[:3, 3]) @ pose[:3, 2]).clamp(min=0)
                    open_sky = open_sky * (1 - 0.35 * torch.exp(-distance / 0.3))
        return shadow[:, None], open_sky[:, None]


# ---- geometry ---------------------------------------------------------------------------------------


def to_local(pose: Tensor, centre: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    return (centre - pose[:3, 3]) @ pose[:3, :3], directions @ pose[:3, :3]


def first_hit(shape: Shape, origin: Tensor, ray: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """Depth (inf for a miss) and face of the first hit of rays [N, 3] from one origin."""
    round_face = torch.zeros(len(ray), dtype=torch.long)
    if shape is Shape.ELLIPSOID:
        near, _ = ball_span(origin / half, ray / half)
        return positive(near), round_face
    if shape is Shape.BOX:
        near, far = slab_span(origin, ray, half)
        entry, axis = near.max(-1)
        direction = ray.gather(1, axis[:, None])[:, 0]
        return positive(torch.where(entry < far.amin(-1), entry, torch.inf)), 2 * axis + torch.where(
            direction < 0, 1, 2
        )
    side_near, side_far = ball_span(origin[:2] / half[0], ray[:, :2] / half[0])
    if shape is Shape.CYLINDER:
        cap_near, cap_far = (span[:, 2] for span in slab_span(origin, ray, half))
        entry = torch.maximum(side_near, cap_near)
        cap = torch.where(ray[:, 2] < 0, 5, 6)
        hit = torch.isfinite(side_near) & (entry < torch.minimum(side_far, cap_far))
        return positive(torch.where(hit, entry, torch.inf)), torch.where(cap_near > side_near, cap, round_face)
    height = origin[2] + side_near * ray[:, 2]
    result = torch.where(height.abs() <= half[2], side_near, torch.inf)
    for end in (-1.0, 1.0):
        ball, _ = ball_span((origin - torch.stack([0 * half[2], 0 * half[2], end * half[2]])) / half[0], ray / half[0])
        result = torch.where(end * height > half[2], ball, result)
    return positive(result), round_face


def positive(depth: Tensor) -> Tensor:
    return torch.where(depth > 0, depth, torch.inf)


def ball_span(origin: Tensor, ray: Tensor) -> tuple[Tensor, Tensor]:
    """Entry into and exit from the unit ball (or disc) at the origin; inf for a miss."""
    square = (ray * ray).sum(-1).clamp(min=EPS)
    middle = -(ray @ origin) / square
    nearest = origin + middle[:, None] * ray
    room = 1 - (nearest * nearest).sum(-1)
    reach = torch.sqrt(room.clamp(min=0) / square)
    return torch.where(room > 0, middle - reach, torch.inf), torch.where(room > 0, middle + reach, torch.inf)


def slab_span(origin: Tensor, ray: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """Entry into and exit from the three slabs [N, 3]."""
    safe = torch.where(ray.abs() < EPS, EPS, ray)
    first, second = (-half - origin) / safe, (half - origin) / safe
    return torch.minimum(first, second), torch.maximum(first, second)


def normal_of(shape: Shape, local: Tensor, face: Tensor, half: Tensor) -> Tensor:
    flat = torch.zeros_like(local)
    for number in range(1, 7):
        flat[face == number, (number - 1) // 2] = 1.0 if number % 2 else -1.0
    away = local.clone()
    if shape is Shape.ELLIPSOID:
        away = local / half**2
    elif shape is Shape.CYLINDER:
        away[:, 2] = 0
    elif shape is Shape.CAPSULE:
        away[:, 2] -= local[:, 2].clamp(-half[2], half[2])
    return torch.where((face == 0)[:, None], torch.nn.functional.normalize(away, dim=-1, eps=1e-10), flat)


# ---- textures -----------------------------------------------------------------------------------------


def flat_uv(vector: Tensor, face: Tensor) -> Tensor:
    x, y, z = vector.unbind(-1)
    on_x, on_z = face <= 2, face >= 5
    return torch.stack([torch.where(on_x, y, x), torch.where(on_z, y, z)], -1)


def round_uv(shape: Shape, local: Tensor, half: Tensor, tile: Tensor, steps) -> list[Tensor]:
    x, y, z = (local / half).unbind(-1)
    rim = torch.hypot(x, y).clamp(min=1e-3)
    periods = torch.round(math.pi * (half[0] + half[1]) / tile).clamp(min=1) / (2 * math.pi)
    is_ellipsoid = shape is Shape.ELLIPSOID
    height = torch.atan2(z, rim) * half[2] if is_ellipsoid else local[:, 2]
    result = [torch.stack([torch.atan2(y, x) * periods, height / tile], -1)]
    for step in steps:
        dx, dy, dz = (step / half).unbind(-1)
        turn = (x * dy - y * dx) / rim**2
        climb = (dz * rim - z * (x * dx + y * dy) / rim) / (rim**2 + z**2) if is_ellipsoid else dz
        result.append(torch.stack([turn * periods, climb * half[2] / tile], -1))
    return result


def wrapped_bilinear(image: Tensor, uv: Tensor) -> Tensor:
    """Bilinear look-up in a [3, S, S] image that repeats; uv in periods, texel centres at (i + 0.5) / S."""
    size = image.shape[-1]
    position = uv * size - 0.5
    corner = position.floor()
    (fx, fy), (x, y) = (position - corner).unbind(-1), corner.long().unbind(-1)
    total = torch.zeros(len(uv), 3, dtype=image.dtype)
    for dy in (0, 1):
        for dx in (0, 1):
            weight = (fx if dx else 1 - fx) * (fy if dy else 1 - fy)
            total += weight[:, None] * image[:, (y + dy) % size, (x + dx) % size].T
    return total


# ---- light --------------------------------------------------------------------------------------------


def sunlight_past(shape: Shape, origin: Tensor, sun: Tensor, half: Tensor, softness: float, blur: Tensor) -> Tensor:
    to_centre = -(origin @ sun)
    if shape is Shape.ELLIPSOID:
        unit, ray = origin / half, sun / half
        along = -(unit @ ray) / (ray @ ray)
        outside, ahead = ((unit + along[:, None] * ray).norm(dim=-1) - 1) * half.mean(), along > 0
        ball = half.max()
    elif shape is Shape.CAPSULE:
        along = (sun[2] * origin[:, 2] + to_centre) / (1 - sun[2] ** 2).clamp(min=1e-6)
        height = torch.clamp(origin[:, 2] + along * sun[2], -half[2], half[2])
        along = height * sun[2] + to_centre
        gap = origin + along[:, None] * sun
        gap[:, 2] -= height
        outside, ahead = gap.norm(dim=-1) - half[0], along > 0
        ball = half[0] + half[2]
    elif shape is Shape.BOX:
        safe = torch.where(sun.abs() < 1e-6, 1e-6, sun)
        near, far = -origin / safe - half / safe.abs(), -origin / safe + half / safe.abs()
        pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
        gaps = [(near[:, i] - far[:, j]) / torch.sqrt(1 / safe[i] ** 2 + 1 / safe[j] ** 2) for i, j in pairs]
        outside, ahead = torch.stack(gaps).amax(0), far.amin(-1) > 0
        ball = half.norm()
    else:
        outside, ahead = past_cylinder(origin, sun, half)
        ball = half[1:].norm()
    outside = torch.maximum(outside, (origin + to_centre[:, None] * sun).norm(dim=-1) - ball)
    share = (0.5 + 0.5 * outside / (softness * to_centre.clamp(min=0) + blur)).clamp(0, 1)
    return torch.where(ahead, share**2 * (3 - 2 * share), 1.0)


def past_cylinder(origin: Tensor, sun: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    square = (sun[:2] @ sun[:2]).clamp(min=1e-6)
    nearest = -(origin[:, :2] @ sun[:2]) / square
    from_axis = (origin[:, :2] + nearest[:, None] * sun[:2]).norm(dim=-1)
    reach = torch.sqrt((half[0] ** 2 - from_axis**2).clamp(min=0) / square)
    safe = torch.where(sun[2].abs() < 1e-6, 1e-6, sun[2])
    middle, cap = -origin[:, 2] / safe, half[2] / safe.abs()
    entry, leave = torch.maximum(nearest - reach, middle - cap), torch.minimum(nearest + reach, middle + cap)
    beyond = (entry - leave) * sun[2].abs() * torch.sqrt(square)
    return torch.maximum(from_axis - half[0], beyond), leave > 0


def beside(shape: Shape, pose: Tensor, half: Tensor, place: Tensor, normal: Tensor) -> Tensor:
    """Sky left beside the capsule that stands for a solid."""
    if shape is Shape.CAPSULE:
        axis, radius, length = 2, half[0], half[2]
    else:
        axis = int(half.argmax())
        shortest, second, longest = half.sort().values
        radius, length = (second + shortest) / 2, longest - second
    half_axis = pose[:3, axis] * length
    offset = place - pose[:3, 3]
    stop = ((offset @ half_axis) / (half_axis @ half_axis).clamp(min=1e-9)).clamp(-1, 1)
    away = offset - stop[:, None] * half_axis
    distance = away.norm(dim=-1).clamp(min=math.sqrt(1e-9))
    facing = (-(normal * away).sum(-1) / distance).clamp(min=0)
    fade = (2 * (1 - distance / (4 * radius)).clamp(min=0)).clamp(max=1)
    return 1 - 0.7 * facing * (radius / distance).clamp(max=1) ** 2 * fade


def to_display(linear: Tensor) -> Tensor:
    rolled = 0.62 + 0.38 * (1 - torch.exp(-(linear - 0.62).clamp(min=0) / 0.38))
    toned = torch.where(linear < 0.62, linear.clamp(min=0), rolled)
    return torch.where(
        toned <= 0.0031308, 12.92 * toned, 1.055 * toned.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    ).clamp(0, 1)
