"""Floor, walls, sky and light of a world."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from fourreal.data.worlds.colours import to_linear
from fourreal.data.worlds.config import Background
from fourreal.data.worlds.layout import extents
from fourreal.data.worlds.motion import turn
from fourreal.data.worlds.rigs import Rig
from fourreal.data.worlds.scene import Environment, Part

PLANES = 3  # a floor and up to two walls
ABSENT = -np.inf

# Zenith and horizon in sRGB: clear, hazy, overcast, evening, pale studio.
SKIES = (
    ((0.36, 0.54, 0.78), (0.76, 0.83, 0.88)),
    ((0.52, 0.65, 0.78), (0.82, 0.84, 0.84)),
    ((0.70, 0.73, 0.76), (0.80, 0.81, 0.82)),
    ((0.42, 0.48, 0.64), (0.85, 0.74, 0.64)),
    ((0.78, 0.79, 0.80), (0.86, 0.86, 0.85)),
)


def draw_environment(
    background: Background,
    rng: np.random.Generator,
    rig: Rig,
    parts: list[Part],
    *,
    floor_albedo: Float[np.ndarray, "3"],
) -> tuple[Environment, int]:
    """The surroundings and how many walls they have.

    The sun stands on the cameras' side or beside them, never straight behind the scene, as a
    photographer would have it. Walls stand behind the scene, in front of every camera.
    """
    white = background == "white"
    sky = to_linear(np.array(SKIES[int(rng.integers(len(SKIES)))]) * rng.uniform(0.94, 1.04))
    azimuth = rig.middle_azimuth + np.radians(rng.uniform(15, 115)) * (1 if rng.random() < 0.5 else -1)
    elevation = np.radians(rng.uniform(32, 68))
    sun = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    warmth = rng.uniform(0.0, 1.0)
    strength, ambient = rng.uniform(0.62, 0.95), rng.uniform(0.34, 0.52)
    softness = float(rng.uniform(0.03, 0.12))
    tint = 0.6 * sky[0] / sky[0].mean() + 0.4
    if white:
        # A white surround lights from everywhere, also from below.
        ambient, tint, floor_albedo = ambient + 0.08, np.ones(3), np.full(3, 0.55)
    sun_colour = strength * np.array([1.0, 0.97 - 0.05 * warmth, 0.92 - 0.14 * warmth])
    bounce = 0.75 * floor_albedo * (strength * sun[2] * 0.6 + ambient)
    poses, heights, walls = _planes(background, rng, rig, parts)
    tensor = lambda values: torch.from_numpy(np.asarray(values, dtype=np.float32))  # noqa: E731
    environment = Environment(
        plane_poses=tensor(poses),
        plane_heights=tensor(heights),
        white=white,
        zenith=tensor(sky[0]),
        horizon=tensor(sky[1]),
        haze_m=float(rng.uniform(14, 40)),
        sun_direction=tensor(sun),
        sun_colour=tensor(sun_colour),
        sky_light=tensor(ambient * tint),
        ground_light=tensor(bounce),
        sun_softness=softness,
    )
    return environment, walls


def _planes(
    background: Background,
    rng: np.random.Generator,
    rig: Rig,
    parts: list[Part],
) -> tuple[np.ndarray, np.ndarray, int]:
    """Plane poses, their heights and the number of walls."""
    poses, heights = np.tile(np.eye(4), (PLANES, 1, 1)), np.full(PLANES, ABSENT)
    floor_turn, two, indoor = rng.uniform(0, 2 * np.pi), rng.random() < 0.5, rng.random() < 0.6
    margin, low = rng.uniform(0.25, 1.2, 2), rng.uniform(0.9, 2.2)
    lean = np.radians(rng.uniform(-18, 18))
    if background != "white":
        heights[0] = np.inf
    if background != "walls":
        poses[0] = turn("z", floor_turn)[0]
        return poses, heights, 0
    # Normals point towards the cameras; a corner opens symmetrically.
    angles = [rig.middle_azimuth + lean + side * np.pi / 4 for side in (-1, 1)] if two else [rig.middle_azimuth + lean]
    poses[0] = turn("z", angles[0])[0]
    eyes = rig.cameras.centers.double().numpy()
    walls = 0
    for angle, gap in zip(angles, margin, strict=False):
        normal = np.array([np.cos(angle), np.sin(angle), 0.0])
        offset = -extents(parts, -normal[None]).max() - gap
        if (eyes @ normal).min() < offset + 0.3:
            continue
        walls += 1
        # Plane z is the wall's normal, plane y points down the wall, so that patterns stand upright.
        poses[walls, :3, :3] = np.stack([np.cross([0, 0, -1.0], normal), [0, 0, -1.0], normal], -1)
        poses[walls, :3, 3] = offset * normal
        heights[walls] = np.inf if indoor else low
    return poses, heights, walls
