"""What leads a world's action can be asked for, and asking for nothing leaves every seed's world as it always was."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from fourreal.cli.synth import Synth
from fourreal.data.mixture import GRID_KINDS, GridMixture, MixtureConfig, is_physics
from fourreal.data.worlds import World, WorldConfig, make_world
from fourreal.files.grid_folder import load_grid

# Written down before `actors` existed; whoever changes one of them changes all training data and all held-out worlds.
KNOWN_WORLDS = [
    (WorldConfig(), 0, "74e27a15716fe74c", 437.111470, 62.142396),
    (WorldConfig(), 7, "da775130948d0bc4", 85.883888, 67.716971),
    (WorldConfig(background="white"), 11, "52ea132f461df975", 899.527634, 67.233533),
    (WorldConfig(), 900_000, "b11bce2c628cd936", 300.140663, 87.318137),
    (WorldConfig(frames=1, views=3), 42, "85d2be45cf7676c2", 56.445475, 25.464252),
    (WorldConfig(background="walls", max_groups=2), 123_456, "3960ab781c0027f8", 147.530832, 74.479045),
]


def _digest(world: World) -> str:
    told = (world.caption, world.things, world.shapes.tolist(), world.camera_motion, world.floor)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


@pytest.mark.parametrize(("config", "seed", "digest", "poses", "cameras"), KNOWN_WORLDS)
def test_a_seeds_world_stays_what_it_always_was(
    config: WorldConfig, seed: int, digest: str, poses: float, cameras: float
) -> None:
    world = make_world(config, seed)
    assert _digest(world) == digest
    assert float(world.poses.double().abs().sum()) == pytest.approx(poses, rel=1e-6)
    assert float(world.cameras.world_to_cam.double().abs().sum()) == pytest.approx(cameras, rel=1e-6)


@pytest.mark.parametrize("background", ["ground", "white"])
@pytest.mark.parametrize("actors", ["animated", "physics"])
def test_every_world_is_led_by_what_was_asked_for(actors, background) -> None:
    config = WorldConfig(views=2, frames=5, height=32, width=32, background=background, actors=actors)
    worlds = [make_world(config, seed) for seed in range(25)]
    assert {is_physics(world) for world in worlds} == {actors == "physics"}
    motions = {thing.motion for world in worlds for thing in world.things}
    assert len(motions - {"stand"}) >= 4  # and not by one movement alone


def test_asking_for_actors_gives_the_mixture_its_kinds_in_one_draw() -> None:
    worlds = WorldConfig(views=2, frames=4, height=16, width=16, antialias=False)
    redrawn = GridMixture(MixtureConfig(worlds=worlds, seed=9))
    asked = GridMixture(MixtureConfig(worlds=worlds, kind_sampling="actors", seed=9))
    kinds = []
    for step in range(30):
        old, new = redrawn.draft(step, 0), asked.draft(step, 0)
        assert (new.kind, new.pattern, new.reverse) == (old.kind, old.pattern, old.reverse)
        kinds.append(new.kind)
        if new.kind in ("objects", "physics"):
            assert new.world is not None
            assert is_physics(new.world) == (new.kind == "physics")
        else:
            assert new.world is not None
            assert old.world is not None
            assert new.world.seed == old.world.seed
    assert set(kinds) == set(GRID_KINDS)


def test_the_verb_asks_for_them(tmp_path) -> None:
    Synth(out=tmp_path, seed=2, views=2, frames=3, size=(16, 16), actors="animated", scene=False, device="cpu").run()
    config = WorldConfig(views=2, frames=3, height=16, width=16, arc_deg=(40.0, 70.0))
    caption = load_grid(tmp_path / "grid").record.caption
    assert caption == make_world(replace(config, actors="animated"), 2).caption
