"""Camera rigs that keep the whole action in view: arcs, rising arcs and dollies.

A rig is first drawn round a point at distance about 1; then the smallest distance at which every part
stays inside every frame at every time is solved for in closed form, since a look-at camera that backs
off along its own line of sight keeps its orientation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from fourreal.core.camera_paths import arc, dolly
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.rotations import rigid, rigid_inverse
from fourreal.data.worlds.config import WorldConfig
from fourreal.data.worlds.layout import extents
from fourreal.data.worlds.scene import Part
from fourreal.data.worlds.seeding import pick

LOWEST_EYE_M = 0.25


@dataclass(frozen=True)
class Rig:
    """The cameras and what they do, in the words' keys of `caption.py`."""

    cameras: Cameras
    motion: str
    middle_azimuth: float


def draw_rig(
    config: WorldConfig,
    rng: np.random.Generator,
    parts: list[Part],
) -> Rig:
    """A rig that looks at the given parts.

    The field of view is that of the image's smaller side, so upright images see no less.
    """
    kind = config.rig if config.rig != "mixed" else pick(rng, ("arc", "arc", "rising_arc", "dolly"))
    span = float(rng.uniform(*config.arc_deg))
    start, elevation = float(rng.uniform(0, 360)), float(rng.choice([rng.uniform(6, 20), rng.uniform(15, 38)]))
    counter_clockwise = rng.random() < 0.5
    rise = float(rng.uniform(8, 22) * span / 60) * (1 if rng.random() < 0.6 else -1)
    fov, margin = float(rng.uniform(*config.fov_deg)), float(rng.uniform(1.03, 1.22))
    push = float(rng.uniform(-0.2, 0.2))
    signed = span if counter_clockwise else -span
    origin = torch.zeros(3, dtype=torch.float64)
    if kind == "dolly":
        unit, motion = _dolly(config.views, signed, start, elevation, push * span / 60)
    else:
        if kind == "rising_arc":
            rise = max(rise, 5 - elevation)
        rise = rise if kind == "rising_arc" else 0.0
        unit = arc(
            origin,
            1.0,
            config.views,
            span_deg=signed,
            start_deg=start,
            elevation_deg=elevation,
            elevation_rise_deg=rise,
        )
        motion = "arc" if rise == 0 else ("arc up" if rise > 0 else "arc down")
    # Counter-clockwise seen from above is to the camera's own right.
    motion += " right" if counter_clockwise else " left"
    height, width = config.image_size
    fov_y = fov if height <= width else 2 * np.degrees(np.arctan(np.tan(np.radians(fov / 2)) * height / width))
    intrinsics = intrinsics_from_fov(torch.full((config.views,), float(fov_y)), config.image_size).double()
    target = _middle(parts)
    distance = margin * _fitting_distance(unit, intrinsics, config.image_size, parts, target)
    eyes = rigid_inverse(unit)[:, :3, 3] * distance + torch.from_numpy(target)
    to_world = rigid(rigid_inverse(unit)[:, :3, :3], _above_floor(eyes, config))
    cameras = Cameras(rigid_inverse(to_world).float(), intrinsics.float(), config.image_size)
    return Rig(cameras, motion, np.radians(start + signed / 2))


def _dolly(views: int, signed: float, start: float, elevation: float, push: float) -> tuple[torch.Tensor, str]:
    """Straight across, so that the scene sees the ends `signed` degrees apart, nearing by `push`."""
    half, up = np.radians(signed / 2), np.tan(np.radians(elevation))
    ends = []
    for side in (-1, 1):
        reach = 1 - side * push / 2
        turned = np.radians(start) + np.radians(signed / 2) + side * half
        ends.append(torch.tensor([reach * np.cos(turned), reach * np.sin(turned), reach * up], dtype=torch.float64))
    return dolly(ends[0], ends[1], torch.zeros(3, dtype=torch.float64), views), "dolly"


def _middle(parts: list[Part]) -> Float[np.ndarray, "3"]:
    """The centre of the box round everything at all times."""
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    reach = extents(parts, axes).max((1, 2))
    return (reach[:3] - reach[3:]) / 2


def _fitting_distance(
    unit: torch.Tensor, intrinsics: torch.Tensor, image_size: tuple[int, int], parts: list[Part], target: np.ndarray
) -> float:
    """Smallest scale of the unit rig that keeps every part inside every frame.

    A side of the frustum with half angle a has the outward normal (cos a, 0, -sin a) in camera axes. Seen
    from the target, parts reach s along it, and backing off by d takes d sin a away: d >= s / sin a. Views
    whose unit eye is farther than 1 need a smaller scale.
    """
    rotation = unit[:, :3, :3].numpy()
    reach = np.linalg.norm(rigid_inverse(unit)[:, :3, 3].numpy(), axis=-1)
    focal = intrinsics[0].diagonal()[:2].numpy()
    needed = np.zeros(len(unit))
    for axis, extent in ((0, image_size[1]), (1, image_size[0])):
        half = np.arctan(extent / 2 / focal[axis])
        for side in (-1, 1):
            normals = side * np.cos(half) * rotation[:, axis] - np.sin(half) * rotation[:, 2]
            needed = np.maximum(needed, (extents(parts, normals).max((1, 2)) - normals @ target) / np.sin(half))
    return float((needed / reach).max())


def _above_floor(eyes: torch.Tensor, config: WorldConfig) -> torch.Tensor:
    """Eyes never sink below knee height; lifting them all keeps the rig's shape."""
    lift = max(0.0, LOWEST_EYE_M - float(eyes[:, 2].min()))
    return eyes + torch.tensor([0.0, 0.0, lift], dtype=eyes.dtype)
