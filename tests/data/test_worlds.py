"""What worlds promise: the seed, the view, the white, the motion, the arc, the photographs, the caption."""

from __future__ import annotations

import functools
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from fourreal.core.configs import from_dict, to_dict
from fourreal.core.errors import InputError
from fourreal.data.worlds import (
    World,
    WorldConfig,
    curriculum_worlds,
    demo_worlds,
    make_world,
    render_world,
    render_worlds,
    tiny_worlds,
    training_worlds,
)
from fourreal.data.worlds.caption import CAMERA, VERBS
from fourreal.data.worlds.scene import Shape

CONFIG = replace(training_worlds(), views=4, frames=5, fps=3.0, height=48, width=48)


@pytest.fixture(autouse=True)
def _one_thread():
    """Frames this small are slower on two threads, much slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@functools.cache
def some_world(seed: int) -> World:
    return make_world(CONFIG, seed)


def some_worlds(count: int = 60) -> list[World]:
    return [some_world(seed) for seed in range(count)]


def surface_points(world):
    """Points on every solid at every time [T, K, N, 3]: poles and ring of its bounding box's inscribed shape."""
    directions = torch.nn.functional.normalize(torch.randn(64, 3), dim=-1)
    points = []
    for shape, half in zip(world.shapes.tolist(), world.half_sizes, strict=True):
        if shape == Shape.BOX:
            local = half * directions.sign()
        elif shape == Shape.ELLIPSOID:
            local = half * directions
        elif shape == Shape.CYLINDER:
            ring = torch.nn.functional.normalize(directions[:, :2], dim=-1)
            local = half * torch.cat([ring, directions[:, 2:].sign()], -1)
        else:
            local = half[0] * directions + directions[:, 2:].sign() * torch.tensor([0.0, 0.0, 1.0]) * half[2]
        points.append(local)
    local = torch.stack(points)
    return torch.einsum("tkij,knj->tkni", world.poses[:, :, :3, :3], local) + world.poses[:, :, None, :3, 3]


def test_the_same_seed_is_the_same_world_and_another_is_not():
    first, again, other = (render_world(make_world(tiny_worlds(), seed)) for seed in (7, 7, 8))
    assert torch.equal(first.grid.frames, again.grid.frames)
    assert first.caption == again.caption
    assert not torch.equal(first.grid.frames, other.grid.frames)


@pytest.mark.parametrize("seed", range(30))
def test_everything_stays_in_view_and_above_the_floor(seed):
    world = some_world(seed)
    points = surface_points(world).reshape(-1, 3)
    pixels, depth = world.cameras.project(points.expand(len(world.cameras), -1, 3))
    assert depth.min() > 0.2
    assert pixels.min() > -0.5
    assert pixels.max() < 48.5
    if not world.environment.white:
        assert points[:, 2].min() > -0.05
    assert world.cameras.centers[:, 2].min() >= 0.24
    for plane in (1, 2):
        if world.environment.plane_heights[plane] > -torch.inf:
            pose = world.environment.plane_poses[plane]
            assert ((points - pose[:3, 3]) @ pose[:3, 2]).min() > 0
            assert ((world.cameras.centers - pose[:3, 3]) @ pose[:3, 2]).min() > 0


def test_white_worlds_are_pure_white_behind_the_objects():
    samples = render_worlds([make_world(replace(CONFIG, background="white"), seed) for seed in range(6)])
    for sample in samples:
        background = sample.instance_ids == 0
        frames = sample.grid.frames.movedim(2, -1)
        # Outline pixels mix object and white; take pixels whose whole neighbourhood is background.
        lonely = torch.nn.functional.max_pool2d(1.0 - background.flatten(0, 1).float(), 3, 1, 1) == 0
        assert (frames.flatten(0, 1)[lonely] == 1).all()
        assert torch.isinf(sample.depth[background]).all()
        assert frames[~background].mean() < 0.85


def test_a_third_of_the_worlds_is_white():
    share = np.mean([make_world(tiny_worlds(), seed).environment.white for seed in range(90)])
    assert 0.2 < share < 0.48


def test_something_moves_visibly_in_every_world():
    for world in some_worlds():
        points = surface_points(world).reshape(5, -1, 3)
        count = points.shape[1]
        pixels, _ = world.cameras.project(points.reshape(-1, 3).expand(4, -1, 3))
        track = pixels.reshape(4, 5, count, 2)
        assert (track.amax(1) - track.amin(1)).norm(dim=-1).max() > 0.06 * 48
        assert any(thing.motion != "stand" for thing in world.things)


@pytest.mark.parametrize("rig", ["arc", "rising_arc", "dolly"])
def test_the_cameras_span_the_angle_that_the_config_says(rig):
    for seed in range(5):
        config = replace(CONFIG, rig=rig, arc_deg=(25.0, 30.0), views=5)
        cameras = make_world(config, seed).cameras
        heading = cameras.cam_to_world[:, :2, 2]
        azimuth = torch.atan2(heading[:, 1], heading[:, 0])
        steps = torch.rad2deg(torch.remainder(azimuth.diff() + torch.pi, 2 * torch.pi) - torch.pi)
        assert 24.9 < steps.sum().abs() < 30.1
        assert (steps.sign() == steps.sign()[0]).all()
        side = (cameras.cam_to_world[0, :3, 0] @ (cameras.centers[-1] - cameras.centers[0])).sign()
        assert make_world(config, seed).camera_motion.endswith("right" if side > 0 else "left")


def test_wider_arcs_and_louder_textures_leave_the_things_alone():
    soft = make_world(replace(CONFIG, texture_loudness=0.3, arc_deg=(5.0, 6.0)), 3)
    loud = make_world(replace(CONFIG, texture_loudness=1.0, arc_deg=(70.0, 80.0)), 3)
    assert torch.equal(soft.poses, loud.poses)
    assert torch.equal(soft.materials.texture, loud.materials.texture)
    assert soft.materials.colour_matrix.norm() < 0.5 * loud.materials.colour_matrix.norm()


def test_photographs_change_surfaces_and_nothing_else():
    changed = 0
    for seed in range(20):
        without, with_photos = (make_world(replace(CONFIG, photo_textures=on), seed) for on in (False, True))
        assert without.licence == "CC0-1.0"
        assert torch.equal(without.poses, with_photos.poses)
        assert torch.equal(without.cameras.world_to_cam, with_photos.cameras.world_to_cam)
        assert torch.equal(without.environment.sun_direction, with_photos.environment.sun_direction)
        same = without.materials.texture == with_photos.materials.texture
        assert torch.equal(without.materials.colour_base[same], with_photos.materials.colour_base[same])
        changed += int((~same).any())
        if not bool((~same).any()):
            assert without.caption == with_photos.caption
    assert 2 < changed < 20


def test_missing_photographs_are_named_with_the_extra(monkeypatch):
    from fourreal.data.worlds import textures

    monkeypatch.setattr(textures.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"fourreal\[train\]"):
        textures.photo_folder()


@pytest.mark.parametrize("seed", range(60))
def test_the_caption_tells_the_truth(seed):
    world = some_world(seed)
    text = world.caption.lower()
    for thing in world.things:
        noun = thing.noun.lower()
        assert noun in text
        assert text.count(noun) >= sum(other.noun == thing.noun for other in world.things)
        assert thing.colour in text
        if thing.pattern != "plain":
            assert thing.pattern in text
        if thing.motion not in ("stand", "is hit"):
            assert any(verb in text for verb in VERBS[thing.motion])
        poses = world.poses[:, [instance - 1 for instance in thing.instances]]
        assert bool((poses - poses[:1]).abs().max() > 1e-4) == (thing.motion != "stand")
    motion, side = world.camera_motion.rsplit(" ", 1)
    assert any(phrase.format(side=side) in text for phrase in CAMERA[motion])
    assert ("white" in re.split(r"[;,]", text)[0] + text) or not world.environment.white
    assert sum(len(thing.instances) for thing in world.things) == len(world.shapes)


def test_captions_differ_in_wording():
    captions = {world.caption for world in some_worlds()}
    assert len(captions) == 60
    assert len({caption.split(" ")[-1] for caption in captions}) > 2


def test_groups_do_not_run_into_each_other():
    """Bounding balls of different groups never overlap; a group is what its caption joins or one thing."""
    from fourreal.data.worlds.compose import _staged

    for seed in range(20):
        groups, _ = _staged(CONFIG, seed, 0, "ground", np.arange(5) / 3)
        balls = [[(p.poses[:, :3, 3], p.bounding_radius) for t in group.things for p in t.parts] for group in groups]
        for index, group in enumerate(balls):
            for other in balls[index + 1 :]:
                for centre, radius in group:
                    for centre_b, radius_b in other:
                        assert np.linalg.norm(centre - centre_b, axis=-1).min() >= radius + radius_b


def test_pictures_are_neither_dark_nor_fluorescent():
    samples = render_worlds([replace_grid(world) for world in some_worlds(40)])
    frames = torch.stack([sample.grid.frames[0, 0] for sample in samples])
    brightness = frames.mean((1, 2, 3))
    assert brightness.min() > 0.15
    scenes = torch.tensor([not world.environment.white for world in some_worlds(40)])
    assert 0.35 < brightness[scenes].mean() < 0.65
    pixels = frames[scenes].movedim(1, -1).reshape(-1, 3)
    saturation = (pixels.amax(-1) - pixels.amin(-1)) / pixels.amax(-1).clamp(min=1e-3)
    vivid = (saturation > 0.9) & (pixels.amax(-1) > 0.6)
    assert 0.08 < saturation.mean() < 0.4
    assert vivid.float().mean() < 0.01
    assert (pixels.amin(-1) > 0.995).float().mean() < 0.01
    objects = torch.stack([(sample.instance_ids[0, 0] > 0).float().mean() for sample in samples])
    assert 0.05 < objects.mean() < 0.5


def replace_grid(world):
    """The same world with its first cell only."""
    return replace(world, cameras=world.cameras[:1], seconds=world.seconds[:1], poses=world.poses[:1])


def test_the_curriculum_ends_at_the_full_variety():
    start, end = curriculum_worlds(0.0), curriculum_worlds(1.0)
    assert end == training_worlds()
    assert start.arc_deg[1] < 20
    assert start.texture_loudness < 0.5
    assert curriculum_worlds(7.0) == end


def test_configs_survive_json_and_refuse_nonsense():
    for config in (demo_worlds(), training_worlds(), tiny_worlds()):
        values = to_dict(config)
        assert from_dict(WorldConfig, values) == config
    for change, message in (
        ({"views": 0}, "must be positive"),
        ({"fps": 0.0}, "fps"),
        ({"arc_deg": (50.0, 20.0)}, "arc_deg"),
        ({"texture_loudness": 2.0}, "texture_loudness"),
        ({"height": 4}, "8x8"),
    ):
        with pytest.raises(InputError, match=message):
            replace(tiny_worlds(), **change)
    with pytest.raises(InputError, match="seed"):
        make_world(tiny_worlds(), -1)
