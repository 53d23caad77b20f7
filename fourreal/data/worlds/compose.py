"""`make_world`: from a config and a seed to a finished world.

Every decision has its own random stream (`seeding.stream`), so that, for example, a wider camera arc or
louder textures leave everything else about a seed's world as it was.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from fourreal.data.worlds.articulated import ARTICULATED, BYSTANDERS
from fourreal.data.worlds.caption import write_caption
from fourreal.data.worlds.config import Background, WorldConfig
from fourreal.data.worlds.daylight import draw_environment
from fourreal.data.worlds.layout import arrange, centres_and_radii, parts_of
from fourreal.data.worlds.materials import Finish, FinishChooser, stack_finishes, texture_mean
from fourreal.data.worlds.rigs import Rig, draw_rig
from fourreal.data.worlds.scene import Group, NamedThing, World
from fourreal.data.worlds.seeding import pick, stream
from fourreal.data.worlds.single_bodies import FLOATERS, FLOORLESS, FREE_MOVERS, STANDERS, Beat, Builder
from fourreal.data.worlds.textures import PHOTO_LICENCE, PROCEDURAL

LICENCE = "CC0-1.0"
ATTEMPTS = 12
LEAST_MOTION = 0.06  # of the image's smaller side, in at least one view
MOST_HIDDEN = 0.3  # of the leading group


def make_world(config: WorldConfig, seed: int) -> World:
    """The world of a seed: things, motions, cameras, light, materials and caption, but no pixels yet.

    Raises:
        InputError: the seed is negative or too large, or photographs are asked for and not installed.
    """
    background = _background(config, stream(seed, "background"))
    seconds = np.arange(config.frames) / config.fps
    attempt = 0
    groups, rig = _staged(config, seed, attempt, background, seconds)
    while attempt < ATTEMPTS and not _worth_seeing(groups, rig, config):
        attempt += 1
        groups, rig = _staged(config, seed, attempt, background, seconds)
    return _finish_world(config, seed, groups, rig, background)


def _staged(
    config: WorldConfig, seed: int, attempt: int, background: Background, seconds: np.ndarray
) -> tuple[list[Group], Rig]:
    """Moving things in their places, and cameras on them."""
    groups = _cast(config, background, seconds, stream(seed, "cast", attempt))
    groups = arrange(groups, stream(seed, "places", attempt), spread_m=1.3)
    return groups, draw_rig(config, stream(seed, "rig", attempt), parts_of(groups))


def _background(config: WorldConfig, rng: np.random.Generator) -> Background:
    if config.background != "mixed":
        return config.background
    backgrounds: tuple[Background, ...] = ("white", "ground", "walls")
    return backgrounds[int(np.searchsorted((1 / 3, 0.68), rng.random()))]


def _cast(config: WorldConfig, background: Background, seconds: np.ndarray, rng: np.random.Generator) -> list[Group]:
    """One moving group in the lead, and company: some of it moves, most of it stands."""
    beat = Beat(seconds, rng)
    white = background == "white"
    groups = [pick(rng, _leads(config, white, rng))(beat)]
    extra = int(rng.choice(4, p=(0.7, 0.3, 0.0, 0.0) if white else (0.25, 0.4, 0.25, 0.1)))
    for _ in range(min(extra, config.max_groups - 1)):
        groups.append(pick(rng, _company(config, rng))(beat))
    return groups


def _leads(config: WorldConfig, white: bool, rng: np.random.Generator) -> tuple[Builder, ...]:
    """What the leading group is picked from."""
    share = {"any": 0.65 if white else 0.5, "animated": 1.0, "physics": 0.0}[config.actors]
    if rng.random() < share:
        return ARTICULATED
    if not white:
        return FREE_MOVERS
    return FLOORLESS if config.actors == "physics" else FLOATERS


def _company(config: WorldConfig, rng: np.random.Generator) -> tuple[Builder, ...]:
    """What another group is picked from."""
    kind = rng.random()
    if kind < 0.5:
        return STANDERS
    if kind < 0.57:
        return BYSTANDERS
    return FREE_MOVERS if kind < 0.85 or config.actors == "physics" else ARTICULATED


def _worth_seeing(groups: list[Group], rig: Rig, config: WorldConfig) -> bool:
    if _hidden_share(groups, rig) > MOST_HIDDEN:
        return False
    return config.frames == 1 or _motion_in_view(groups, rig, config) >= LEAST_MOTION


def _hidden_share(groups: list[Group], rig: Rig) -> float:
    """How much of the leading group other groups stand in front of, over all views and times."""
    if len(groups) == 1:
        return 0.0
    points, _ = centres_and_radii(parts_of(groups[:1]))
    others, radii = centres_and_radii(parts_of(groups[1:]))
    eyes = rig.cameras.centers.double().numpy()
    sight = points - eyes[:, None, None]  # [V, T, K, 3]
    way = np.linalg.norm(sight, axis=-1, keepdims=True)
    offset = others - eyes[:, None, None]  # [V, T, J, 3]
    along = np.einsum("vtki,vtji->vtkj", sight / way, offset)
    aside = (offset**2).sum(-1)[:, :, None] - along**2
    hidden = (aside < (0.7 * radii) ** 2) & (along < way) & (along > 0)
    return float(hidden.any(-1).mean())


def _motion_in_view(groups: list[Group], rig: Rig, config: WorldConfig) -> float:
    """The farthest any part's surface travels in any view, as a share of the image."""
    poses = torch.from_numpy(np.stack([part.poses for part in parts_of(groups)], 1)).float()
    reach = torch.tensor([part.half_size for part in parts_of(groups)])
    times, count = poses.shape[:2]
    corners = torch.stack([torch.zeros_like(reach), reach, reach * torch.tensor([0.0, 0.0, 1.0])], -1)
    points = (poses[:, :, :3, :3] @ corners + poses[:, :, :3, 3:]).mT.reshape(-1, 3)
    pixels, _ = rig.cameras.project(points.expand(config.views, -1, 3))
    track = pixels.reshape(config.views, times, count * 3, 2)
    return float((track.amax(1) - track.amin(1)).norm(dim=-1).max()) / min(config.image_size)


def _finish_world(config: WorldConfig, seed: int, groups: list[Group], rig: Rig, background: Background) -> World:
    chooser = FinishChooser(
        stream(seed, "materials"), stream(seed, "photographs"), config.texture_loudness, config.photo_textures
    )
    floor_finish, floor = chooser.surface("floor")
    wall_finish, wall = chooser.surface("wall")
    finishes: list[Finish] = [floor_finish, wall_finish, wall_finish]
    named = []
    planes, first = len(finishes), 1
    offsets = stream(seed, "texture offsets")
    for thing in (thing for group in groups for thing in group.things):
        looks, colour, pattern = chooser.thing(thing)
        for part in thing.parts:
            finishes.append(replace(looks[part.role], offset=tuple(offsets.random(2))))
        instances = tuple(range(first, first + len(thing.parts)))
        named.append(
            NamedThing(noun=thing.noun, colour=colour, pattern=pattern, motion=thing.motion, instances=instances)
        )
        first += len(thing.parts)
    parts = parts_of(groups)
    environment, walls = draw_environment(
        background, stream(seed, "light"), rig, parts, floor_albedo=_mean_colour(floor_finish)
    )
    white = background == "white"
    used = finishes[planes:] if white else finishes
    photographs = any(finish.texture >= len(PROCEDURAL) for finish in used)
    assert len(parts) == len(finishes) - planes
    floor = "white" if white else floor
    return World(
        config=config,
        seed=seed,
        cameras=rig.cameras,
        seconds=torch.arange(config.frames, dtype=torch.float32) / config.fps,
        shapes=torch.tensor([int(part.shape) for part in parts]),
        half_sizes=torch.tensor([part.half_size for part in parts], dtype=torch.float32),
        poses=torch.from_numpy(np.stack([part.poses for part in parts], 1)).float(),
        materials=stack_finishes(finishes),
        environment=environment,
        things=tuple(named),
        floor=floor,
        camera_motion=rig.motion,
        caption=write_caption(tuple(named), floor, wall if walls else "", rig.motion, stream(seed, "caption")),
        licence=PHOTO_LICENCE if photographs else LICENCE,
    )


def _mean_colour(finish: Finish) -> np.ndarray:
    return finish.colour_base + finish.colour_matrix @ texture_mean(finish.texture)
