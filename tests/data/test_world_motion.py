"""Mechanics and pattern laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fourreal.data.worlds import patterns
from fourreal.data.worlds.articulated import ARTICULATED, BYSTANDERS
from fourreal.data.worlds.layout import extents
from fourreal.data.worlds.motion import bounce_height, collide_distances, rolling, slide_distance, topple_angle
from fourreal.data.worlds.planar import angle, power
from fourreal.data.worlds.scene import Part, Shape
from fourreal.data.worlds.single_bodies import FLOATERS, FREE_MOVERS, STANDERS, Beat
from fourreal.data.worlds.textures import LIBRARY, texture_image

BUILDERS = sorted({*ARTICULATED, *BYSTANDERS, *FREE_MOVERS, *FLOATERS, *STANDERS}, key=lambda b: b.__name__)


def test_each_bounce_keeps_the_square_of_the_restitution_in_height():
    seconds = np.linspace(0, 2.5, 20001)
    height = bounce_height(seconds, 1.0, 0.7, 0.0)
    rising = np.flatnonzero((height[1:-1] > height[:-2]) & (height[1:-1] >= height[2:])) + 1
    assert np.allclose(height[rising][:3], [0.49, 0.49**2, 0.49**3], rtol=1e-3)
    fall = seconds < 0.4
    assert np.allclose(height[fall], 1 - 4.905 * seconds[fall] ** 2)
    assert height.min() >= 0


def test_collisions_keep_momentum_and_never_overlap():
    seconds = np.linspace(0, 1.0, 2001)
    for ratio in (0.3, 1.0, 2.0):
        striker, target = collide_distances(
            seconds, speed=2.0, gap_m=0.5, mass_ratio=ratio, restitution=0.8, friction=0.0
        )
        assert (striker - target).max() <= 0.5 + 1e-9
        before = 2.0
        after = np.gradient(striker, seconds)[-5] + ratio * np.gradient(target, seconds)[-5]
        assert after == pytest.approx(before, rel=1e-6)


def test_sliding_stops_and_rolling_does_not_slip():
    way = slide_distance(np.linspace(0, 3, 301), 2.0, 1.0)
    assert way[200] == pytest.approx(2.0)
    assert way[-1] == pytest.approx(2.0)
    poses = rolling(np.array([0.0, 1e-6]), 0.3)
    contact = np.linalg.inv(poses[0]) @ np.array([0.0, 0.0, 0.0, 1.0])
    moved = (poses[1] @ contact)[:3]
    assert np.abs(moved).max() < 1e-9


def test_a_toppling_block_speeds_up_and_comes_to_lie():
    angles = topple_angle(np.linspace(0, 2, 201), 1.0, 0.1)
    assert (np.diff(angles) >= 0).all()
    assert angles[-1] == pytest.approx(np.pi / 2)


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda b: b.__name__)
@pytest.mark.parametrize("times", [1, 13, 29])
def test_every_builder_makes_rigid_parts_on_or_above_the_floor(builder, times):
    for seed in range(4):
        group = builder(Beat(np.arange(times) / 8, np.random.default_rng(seed)))
        parts = [part for thing in group.things for part in thing.parts]
        for part in parts:
            assert part.poses.shape == (times, 4, 4)
            rotation = part.poses[:, :3, :3]
            assert np.allclose(rotation @ rotation.transpose(0, 2, 1), np.eye(3), atol=1e-9)
            assert np.allclose(np.linalg.det(rotation), 1)
            assert min(part.half_size) > 0
        lowest = -extents(parts, np.array([[0.0, 0.0, -1.0]])).max()
        assert lowest > -0.05, f"{builder.__name__} sinks to {lowest:.3f} m"


def test_extents_are_the_farthest_surface_points():
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(5, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    pose = np.eye(4)[None]
    pose[0, :3, 3] = 1, 2, 3
    half = (0.3, 0.3, 0.5)
    unit = rng.normal(size=(50_000, 3))
    unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
    ring = unit[:, :2] / np.linalg.norm(unit[:, :2], axis=-1, keepdims=True)
    surfaces = {
        Shape.ELLIPSOID: unit * half,
        Shape.BOX: np.sign(unit) * half,
        Shape.CYLINDER: np.concatenate([ring * 0.3, np.sign(unit[:, 2:]) * 0.5], -1),
        Shape.CAPSULE: unit * 0.3 + np.sign(unit[:, 2:]) * [0, 0, 0.5],
    }
    for shape, points in surfaces.items():
        expected = ((points + np.arange(1, 4)) @ directions.T).max(0)
        found = extents([Part(shape, half, pose)], directions)[:, 0, 0]
        assert np.allclose(found, expected, atol=5e-3)


@pytest.mark.parametrize("index", [i for i, entry in enumerate(LIBRARY) if entry.pattern is not None])
def test_patterns_repeat_without_a_seam(index):
    """Steps across the border are no larger than the largest steps inside."""
    image = texture_image(index)
    assert image.shape == (3, patterns.SIZE, patterns.SIZE)
    assert image.min() >= 0
    assert image.max() <= 1
    for axis in (1, 2):
        steps = np.abs(np.diff(image, axis=axis)).mean((0, 3 - axis))
        border = np.abs(np.take(image, 0, axis) - np.take(image, -1, axis)).mean()
        assert border <= steps.max() * 1.3 + 1e-3


def test_reproducible_powers_and_angles_are_powers_and_angles():
    y, x = torch.randn(2, 1000, dtype=torch.float64)
    assert torch.allclose(angle(y, x), torch.atan2(y, x), atol=1e-14)
    assert torch.allclose(power(x.abs(), 2.4), x.abs() ** 2.4)
    values = torch.rand(1001) + 0.1
    assert torch.equal(power(values, 0.7)[-3:], power(values[-3:].clone(), 0.7))
    assert torch.equal(angle(values, values.flip(0))[-3:], angle(values[-3:].clone(), values.flip(0)[-3:].clone()))
