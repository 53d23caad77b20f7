"""Things of one piece and how they move: bouncing, rolling, sliding, toppling, tossed, spinning, orbiting.

Each builder returns a `Group` round the origin of the floor; `layout.py` turns and places it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fourreal.data.worlds.motion import (
    GRAVITY,
    Poses,
    Times,
    bounce_height,
    collide_distances,
    held,
    rolling,
    shift,
    slide_distance,
    sway,
    topple_angle,
    turn,
    turn_about,
)
from fourreal.data.worlds.scene import Group, Part, Shape, Thing
from fourreal.data.worlds.seeding import pick


@dataclass(frozen=True)
class Beat:
    """What a builder needs to know: the times, and dice.

    Attributes:
        seconds: times of the columns.
        rng: this group's random stream.
    """

    seconds: Times
    rng: np.random.Generator

    @property
    def duration(self) -> float:
        return max(float(self.seconds[-1]), 1e-3)

    @property
    def frames(self) -> int:
        return len(self.seconds)

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def speed_for(self, low_m: float, high_m: float, limit: float = 2.2) -> float:
        """A speed that covers a way between the two over the clip, but not faster than `limit` m/s."""
        return min(self.uniform(low_m, high_m) / self.duration, limit)

    def turning_rate(self, low_turns: float, high_turns: float) -> float:
        """Radians per second for so many turns over the clip, at most about 40 degrees a frame."""
        rate = 2 * np.pi * self.uniform(low_turns, high_turns) / self.duration
        per_frame = self.duration / max(self.frames - 1, 1)
        return min(rate, 0.7 / per_frame) * (1 if self.rng.random() < 0.5 else -1)

    def hertz(self, low_cycles: float, high_cycles: float) -> float:
        """A frequency of so many cycles over the clip, slow enough for its frame rate and for a body."""
        per_frame = self.duration / max(self.frames - 1, 1)
        return min(self.uniform(low_cycles, high_cycles) / self.duration, 0.17 / per_frame, 2.0)

    def phase(self) -> float:
        return self.uniform(0, 2 * np.pi)


def single(noun: str, motion: str, part: Part) -> Group:
    return Group((Thing(noun, motion, (part,)),))


def ball(radius: float, poses: Poses, role: str = "body") -> Part:
    return Part(Shape.ELLIPSOID, (radius, radius, radius), poses, role)


def upright(beat: Beat, small: bool = False) -> tuple[str, Shape, tuple[float, float, float]]:
    """A random shape that stands on the floor."""
    scale = 0.85 if small else 1.25
    kind = pick(beat.rng, ("box", "box", "cube", "cylinder", "barrel", "block"))
    if kind == "cube":
        side = scale * beat.uniform(0.16, 0.28)
        return "cube", Shape.BOX, (side, side, side)
    if kind in ("box", "block"):
        x, y = scale * beat.uniform(0.14, 0.34), scale * beat.uniform(0.14, 0.3)
        z = scale * (beat.uniform(0.1, 0.26) if kind == "box" else beat.uniform(0.28, 0.42))
        return kind, Shape.BOX, (x, y, z)
    radius = scale * beat.uniform(0.14, 0.26)
    height = scale * (beat.uniform(0.22, 0.36) if kind == "barrel" else beat.uniform(0.12, 0.42))
    return kind, Shape.CYLINDER, (radius, radius, height)


# ---- moving ---------------------------------------------------------------------------------------


def bouncing_ball(beat: Beat) -> Group:
    radius, speed = beat.uniform(0.2, 0.36), beat.speed_for(0.4, 1.5, 1.5)
    height = bounce_height(beat.seconds, beat.uniform(0.5, 1.2), beat.uniform(0.68, 0.88), beat.uniform(0.0, 0.3))
    x = speed * (beat.seconds - beat.duration / 2)
    spin = turn("y", (speed / radius * 0.7) * beat.seconds) @ turn("x", beat.phase(), beat.frames)
    return single("ball", "bounce", ball(radius, shift(x, 0.0, height + radius) @ spin))


def rolling_body(beat: Beat) -> Group:
    start = beat.uniform(0.6, 1.6)
    way = slide_distance(beat.seconds, min(start / beat.duration, 2.2), beat.uniform(0.0, 0.3))
    radius = beat.uniform(0.2, 0.36)
    poses = shift(-way[-1] / 2, 0.0, 0.0) @ rolling(way, radius)
    if beat.rng.random() < 0.6:
        return single("ball", "roll", ball(radius, poses @ turn("x", beat.phase(), beat.frames)))
    noun, half = pick(beat.rng, (("barrel", beat.uniform(0.22, 0.4)), ("wheel", beat.uniform(0.06, 0.1))))
    lying = poses @ turn("y", beat.phase(), beat.frames) @ turn("x", np.pi / 2)
    return single(noun, "roll", Part(Shape.CYLINDER, (radius, radius, half), lying))


def sliding_body(beat: Beat) -> Group:
    noun, shape, half = upright(beat)
    speed = min(beat.uniform(1.2, 2.4), beat.uniform(1.2, 2.1) / beat.duration)
    way = slide_distance(beat.seconds, speed, beat.uniform(0.3, 0.8) * speed / beat.duration)
    yaw = beat.phase() + beat.uniform(-1.0, 1.0) * way / max(way[-1], 1e-6)
    return single(noun, "slide", Part(shape, half, shift(way - way[-1] / 2, 0.0, half[2]) @ turn("z", yaw)))


def tossed_body(beat: Beat) -> Group:
    noun, shape, half = upright(beat, small=True)
    reach = float(np.linalg.norm(half))
    flight = min(beat.duration, 1.0)
    apex = beat.uniform(0.45, 0.55) * flight
    rise = GRAVITY * apex
    height = reach + rise * beat.seconds - 0.5 * GRAVITY * beat.seconds**2
    # A longer clip sees it lie where it came down, caught rather than rebounding.
    height, clock = np.maximum(height, reach), np.minimum(beat.seconds, 2 * apex)
    x = beat.speed_for(0.2, 1.2, 1.4) * (clock - apex)
    axis = beat.rng.normal(size=3)
    spin = turn_about(axis / np.linalg.norm(axis), beat.turning_rate(0.6, 1.4) * clock + beat.phase())
    return single(noun, "toss", Part(shape, half, shift(x, 0.0, height) @ spin))


def falling_body(beat: Beat) -> Group:
    noun, shape, half = upright(beat)
    drop = beat.uniform(0.6, 1.3)
    height = bounce_height(beat.seconds, drop, beat.uniform(0.2, 0.35), 0.0)
    return single(noun, "fall", Part(shape, half, shift(0.0, 0.0, height + half[2]) @ turn("z", beat.phase())))


def toppling_block(beat: Beat) -> Group:
    x, y, z = beat.uniform(0.08, 0.16), beat.uniform(0.14, 0.26), beat.uniform(0.36, 0.6)
    angle = topple_angle(beat.seconds, 2 * z, beat.uniform(0.12, 0.3))
    about_edge = shift(x, 0.0, 0.0) @ turn("y", angle) @ shift(-x, 0.0, z)
    return single(pick(beat.rng, ("block", "board", "tall box")), "topple", Part(Shape.BOX, (x, y, z), about_edge))


def spinning_body(beat: Beat) -> Group:
    angle = beat.turning_rate(0.35, 1.1) * beat.seconds + beat.phase()
    if beat.rng.random() < 0.35:
        radius, z = beat.uniform(0.2, 0.34), beat.uniform(0.3, 0.5)
        tilt = turn("z", 0.3 * angle) @ turn("y", beat.uniform(0.1, 0.25), beat.frames)
        poses = shift(0.0, 0.0, z) @ tilt @ turn("z", angle)
        return single("egg", "spin", Part(Shape.ELLIPSOID, (radius, radius * beat.uniform(0.8, 1.0), z), poses))
    noun, shape, half = upright(beat)
    if shape is Shape.CYLINDER:
        noun, shape, half = "cube", Shape.BOX, (half[0], half[0], half[0])
    return single(noun, "spin", Part(shape, half, shift(0.0, 0.0, half[2]) @ turn("z", angle)))


def floating_body(beat: Beat) -> Group:
    noun, shape, half = upright(beat)
    reach = float(np.linalg.norm(half))
    height = reach + beat.uniform(0.25, 0.6) + sway(beat.seconds, beat.uniform(0.1, 0.22), beat.hertz(0.6, 1.3), 0.0)
    axis = beat.rng.normal(size=3)
    spin = turn_about(axis / np.linalg.norm(axis), beat.turning_rate(0.4, 0.9) * beat.seconds + beat.phase())
    return single(noun, "float", Part(shape, half, shift(0.0, 0.0, height) @ spin))


def orbiting_ball(beat: Beat) -> Group:
    """A ball rolls round a thing that stands still."""
    noun, shape, half = upright(beat)
    radius = beat.uniform(0.15, 0.24)
    circle = float(np.hypot(half[0], half[1])) + radius + beat.uniform(0.15, 0.4)
    angle = np.sign(beat.rng.random() - 0.5) * min(2.2, beat.uniform(1.4, 2.4) / circle / beat.duration) * beat.seconds
    # Rolling without slipping on a circle: turn about the radial axis, which itself turns with the angle.
    poses = turn("z", angle) @ shift(circle, 0.0, radius) @ turn("x", -angle * circle / radius)
    centre = Part(shape, half, held(shift(0.0, 0.0, half[2]) @ turn("z", beat.phase()), beat.frames))
    return Group((Thing("ball", "orbit", (ball(radius, poses),)), Thing(noun, "stand", (centre,))))


# ---- colliding --------------------------------------------------------------------------------------


def colliding_balls(beat: Beat) -> Group:
    first, second = beat.uniform(0.2, 0.32), beat.uniform(0.2, 0.32)
    gap = beat.uniform(0.35, 0.6)
    speed = max(gap / (0.45 * beat.duration), 0.3)
    striker, target = collide_distances(
        beat.seconds, speed=speed, gap_m=gap, mass_ratio=(second / first) ** 3, restitution=0.85, friction=0.2
    )
    # Two balls on a floor touch when their centres are 2 sqrt(r1 r2) apart along it.
    contact = 2 * np.sqrt(first * second)
    hit = shift(gap / 2, 0.0, 0.0) @ rolling(target, second)
    hitting = shift(-gap / 2 - contact, 0.0, 0.0) @ rolling(striker, first)
    roll = [turn("x", beat.phase(), beat.frames) for _ in range(2)]
    return Group(
        (
            Thing("ball", "hit", (ball(first, hitting @ roll[0]),)),
            Thing("ball", "is hit", (ball(second, hit @ roll[1]),)),
        )
    )


def ball_hits_box(beat: Beat) -> Group:
    radius, side = beat.uniform(0.2, 0.32), beat.uniform(0.17, 0.26)
    gap = beat.uniform(0.35, 0.7)
    speed = max(gap / (0.45 * beat.duration), 0.3)
    striker, target = collide_distances(
        beat.seconds, speed=speed, gap_m=gap, mass_ratio=beat.uniform(0.5, 1.0), restitution=0.6, friction=1.0
    )
    half = (side, side * beat.uniform(0.9, 1.5), max(radius * 1.05, side))
    hit = Part(Shape.BOX, half, shift(gap / 2 + half[0] + target, 0.0, half[2]))
    hitting = shift(-gap / 2 - radius, 0.0, 0.0) @ rolling(striker, radius)
    return Group((Thing("ball", "hit", (ball(radius, hitting),)), Thing("box", "is hit", (hit,))))


# ---- standing -----------------------------------------------------------------------------------------


def standing_body(beat: Beat) -> Group:
    noun, shape, half = upright(beat, small=beat.rng.random() < 0.6)
    pose = shift(0.0, 0.0, half[2]) @ turn("z", beat.phase())
    return single(noun, "stand", Part(shape, half, held(pose, beat.frames)))


def standing_column(beat: Beat) -> Group:
    radius, half = beat.uniform(0.07, 0.14), beat.uniform(0.35, 0.7)
    pose = held(shift(0.0, 0.0, half), beat.frames)
    return single("column", "stand", Part(Shape.CYLINDER, (radius, radius, half), pose))


def standing_stack(beat: Beat) -> Group:
    parts, top = [], 0.0
    for level in range(int(beat.rng.integers(2, 4))):
        x, y, z = (beat.uniform(0.1, 0.24) * 0.85**level for _ in range(3))
        pose = held(shift(beat.uniform(-0.03, 0.03), 0.0, top + z) @ turn("z", beat.phase()), beat.frames)
        parts.append(Part(Shape.BOX, (x, y, z), pose, ("body", "accent", "body")[level]))
        top += 2 * z
    return Group((Thing("stack of boxes", "stand", tuple(parts)),))


Builder = Callable[[Beat], Group]

FREE_MOVERS: tuple[Builder, ...] = (
    bouncing_ball,
    bouncing_ball,
    rolling_body,
    sliding_body,
    tossed_body,
    falling_body,
    toppling_block,
    spinning_body,
    orbiting_ball,
    colliding_balls,
    ball_hits_box,
)
FLOORLESS: tuple[Builder, ...] = (spinning_body, tossed_body, bouncing_ball, orbiting_ball)
"""Movements that one can follow where no floor is to be seen."""
FLOATERS: tuple[Builder, ...] = (floating_body, *FLOORLESS)
STANDERS: tuple[Builder, ...] = (standing_body, standing_body, standing_column, standing_stack)
