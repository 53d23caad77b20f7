"""Closed-form motions: where a rigid body is at each time.

Everything is evaluated exactly at the asked times, so a world's motion does not depend on its frame
rate. Gravity is real; friction and restitution are those of everyday things.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

GRAVITY = 9.81

Times = Float[np.ndarray, "T"]
Poses = Float[np.ndarray, "T 4 4"]
Points = Float[np.ndarray, "T 3"]


# ---- poses ------------------------------------------------------------------------------------


def turn(axis: str, angle: Times | float, times: int = 1) -> Poses:
    """Rotation about x, y or z by an angle at each time."""
    angle = np.broadcast_to(np.asarray(angle, dtype=np.float64), (times,) if np.ndim(angle) == 0 else np.shape(angle))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    poses = np.tile(np.eye(4), (len(angle), 1, 1))
    poses[:, i, i], poses[:, i, j] = np.cos(angle), -np.sin(angle)
    poses[:, j, i], poses[:, j, j] = np.sin(angle), np.cos(angle)
    return poses


def shift(x: Times | float, y: Times | float, z: Times | float) -> Poses:
    """Translation at each time; floats are constant. All-float gives one pose that broadcasts."""
    x, y, z = np.broadcast_arrays(np.atleast_1d(x), np.atleast_1d(y), np.atleast_1d(z))
    poses = np.tile(np.eye(4), (len(x), 1, 1))
    poses[:, :3, 3] = np.stack([x, y, z], -1)
    return poses


def turn_about(axis: Float[np.ndarray, "3"], angle: Times) -> Poses:
    """Rotation about any unit axis (Rodrigues' formula)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    poses = np.tile(np.eye(4), (len(angle), 1, 1))
    sine, cosine = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    poses[:, :3, :3] += sine * cross + (1 - cosine) * (cross @ cross)
    return poses


def held(pose: Float[np.ndarray, "1 4 4"], times: int) -> Float[np.ndarray, "{times} 4 4"]:
    """One pose for all times."""
    return np.tile(pose, (times, 1, 1))


# ---- one body -----------------------------------------------------------------------------------


def bounce_height(seconds: Times, drop_m: float, restitution: float, phase_s: float) -> Times:
    """Height above the floor of a point dropped from `drop_m`, `phase_s` after its release.

    Each bounce keeps `restitution` of the speed; the flights shrink to rest in finite time.
    """
    fall = np.sqrt(2 * drop_m / GRAVITY)
    clock = seconds + phase_s
    height = np.where(clock < fall, drop_m - 0.5 * GRAVITY * clock**2, 0.0)
    start, speed = fall, GRAVITY * fall * restitution
    for _ in range(40):
        flight = 2 * speed / GRAVITY
        inside = (clock >= start) & (clock < start + flight)
        elapsed = clock - start
        height = np.where(inside, speed * elapsed - 0.5 * GRAVITY * elapsed**2, height)
        start, speed = start + flight, speed * restitution
        if flight < 0.02:
            break
    return np.maximum(height, 0.0)


def slide_distance(seconds: Times, speed: float, deceleration: float) -> Times:
    """Way of a body that friction brings to rest."""
    clock = np.minimum(seconds, speed / deceleration) if deceleration > 0 else seconds
    return speed * clock - 0.5 * deceleration * clock**2


def swing_angle(seconds: Times, amplitude: float, length_m: float, phase: float) -> Times:
    """Angle of a pendulum; the period's first correction for large swings is included."""
    frequency = np.sqrt(GRAVITY / length_m) / (1 + amplitude**2 / 16)
    return amplitude * np.cos(frequency * seconds + phase)


def topple_angle(seconds: Times, height_m: float, lean: float, limit: float = np.pi / 2) -> Times:
    """Angle of a block that tips over its lower edge from a small lean, until it lies (`limit`)."""
    rate = np.sqrt(1.5 * GRAVITY / (2 * height_m))
    return np.minimum(lean * np.cosh(np.minimum(rate * seconds, 12.0)), limit)


def sway(seconds: Times, amplitude: float, hertz: float, phase: float) -> Times:
    """A smooth to and fro."""
    return amplitude * np.sin(2 * np.pi * hertz * seconds + phase)


def rolling(distance: Times, radius: float) -> Poses:
    """Pose of a wheel or ball that rolls along +x without slipping, resting on z = 0."""
    return shift(distance, 0.0, radius) @ turn("y", distance / radius)


# ---- two bodies -----------------------------------------------------------------------------------


def collide_distances(
    seconds: Times, *, speed: float, gap_m: float, mass_ratio: float, restitution: float, friction: float
) -> tuple[Times, Times]:
    """Ways of a striker and of the body it hits after `gap_m`, on one line.

    Momentum is kept and the speed of separation is `restitution` times that of approach. The body hit
    slows by `friction` (m/s^2); the striker rolls on and never catches up with it.
    """
    impact = gap_m / speed
    after_striker = speed * (1 - restitution * mass_ratio) / (1 + mass_ratio)
    after_target = speed * (1 + restitution) / (1 + mass_ratio)
    since = np.maximum(seconds - impact, 0.0)
    target = slide_distance(since, after_target, friction)
    striker = np.minimum(speed * seconds, gap_m) + after_striker * since
    return np.minimum(striker, gap_m + target), target
