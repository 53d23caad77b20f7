"""Placing groups on the floor so that nothing ever runs into anything it does not play with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from fourreal.data.worlds.motion import shift, turn
from fourreal.data.worlds.scene import Group, Part, Thing

CLEARANCE_M = 0.04
ATTEMPTS = 40


def moved(group: Group, yaw: float, x: float, y: float, lift: float = 0.0) -> Group:
    """The group turned about the vertical and carried to a place on the floor."""
    place = shift(x, y, lift) @ turn("z", yaw)

    def carried(part: Part) -> Part:
        return replace(part, poses=place @ part.poses)

    return Group(tuple(Thing(t.noun, t.motion, tuple(map(carried, t.parts))) for t in group.things))


def parts_of(groups: list[Group]) -> list[Part]:
    return [part for group in groups for thing in group.things for part in thing.parts]


def centres_and_radii(parts: list[Part]) -> tuple[Float[np.ndarray, "T K 3"], Float[np.ndarray, "K"]]:
    """Bounding balls of parts over time."""
    return np.stack([part.poses[:, :3, 3] for part in parts], 1), np.array([part.bounding_radius for part in parts])


def arrange(groups: list[Group], rng: np.random.Generator, spread_m: float) -> list[Group]:
    """Put the first group in the middle and the others round it; drop those that find no room.

    Bounding balls of different groups stay apart at every time, so passing close by is allowed and
    running through each other is not. Of the places that fit, one near the middle is taken.
    """
    placed = [moved(groups[0], float(rng.uniform(0, 2 * np.pi)), 0.0, 0.0)]
    for group in groups[1:]:
        taken, taken_radii = centres_and_radii(parts_of(placed))
        own, own_radii = centres_and_radii(parts_of([group]))
        best = None
        for _ in range(ATTEMPTS):
            yaw, angle = rng.uniform(0, 2 * np.pi, 2)
            distance = spread_m * np.sqrt(rng.uniform(0.05, 1.0))
            x, y = distance * np.cos(angle), distance * np.sin(angle)
            if best is not None and distance >= best[0]:
                continue
            carried = own @ turn("z", yaw)[0, :3, :3].T + np.array([x, y, 0.0])
            if not _touches(carried, own_radii, taken, taken_radii):
                best = (distance, yaw, x, y)
        if best is not None:
            placed.append(moved(group, *best[1:]))
    return placed


def _touches(
    a: Float[np.ndarray, "T K 3"],
    a_radii: Float[np.ndarray, "K"],
    b: Float[np.ndarray, "T J 3"],
    b_radii: Float[np.ndarray, "J"],
) -> bool:
    squared = ((a[:, :, None] - b[:, None]) ** 2).sum(-1)
    overlap: Bool[np.ndarray, "T K J"] = squared < (a_radii[:, None] + b_radii + CLEARANCE_M) ** 2
    return bool(overlap.any())


def extents(parts: list[Part], directions: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N T K"]:
    """How far every part reaches along unit directions at every time (the support function), exactly."""
    poses = np.stack([part.poses for part in parts], 1)
    half = np.array([part.half_size for part in parts])
    shape = np.array([int(part.shape) for part in parts])
    local = np.abs(np.einsum("nj,tkji->ntki", directions, poses[..., :3, :3]))
    scaled = local * half
    ellipsoid = np.sqrt((scaled**2).sum(-1))
    around = half[:, 0] * np.hypot(local[..., 0], local[..., 1])
    reach = np.choose(shape, [ellipsoid, scaled.sum(-1), around + scaled[..., 2], half[:, 0] + scaled[..., 2]])
    return reach + np.einsum("nj,tkj->ntk", directions, poses[..., :3, 3])
