"""Captions that say what is there and how it moves, worded differently from seed to seed."""

from __future__ import annotations

import numpy as np

from fourreal.data.worlds.scene import NamedThing
from fourreal.data.worlds.seeding import pick

# Motion key -> ways to say it after the noun phrase.
VERBS: dict[str, tuple[str, ...]] = {
    "bounce": ("bounces", "is bouncing", "bounces up and down"),
    "roll": ("rolls", "is rolling", "rolls along"),
    "slide": ("slides", "slides to a stop", "is sliding"),
    "toss": ("is tossed up", "tumbles through the air", "is thrown up"),
    "fall": ("falls down", "drops down", "falls"),
    "topple": ("tips over", "topples", "falls over"),
    "spin": ("spins", "turns on the spot", "is spinning"),
    "float": ("floats and turns", "hovers and turns", "turns in mid-air"),
    "orbit": ("rolls around", "circles around", "rolls in a circle around"),
    "hit": ("hits", "rolls into", "bumps into"),
    "walk": ("walks", "is walking", "strides along"),
    "trot": ("trots", "is trotting", "runs"),
    "crawl": ("crawls", "wriggles along", "is crawling"),
    "reach": ("moves", "bends and reaches", "waves about"),
    "drive": ("drives", "is driving", "drives along"),
    "turn": ("turns", "is turning", "goes round"),
    "rock": ("rocks", "rocks up and down", "is rocking"),
    "fly": ("flies", "flaps its wings", "is flying"),
    "swing": ("swings", "is swinging", "swings to and fro"),
    "sway": ("sways", "is swaying", "sways in the wind"),
}

CAMERA: dict[str, tuple[str, ...]] = {
    "arc": (
        "the camera arcs to the {side}",
        "the camera circles to the {side}",
        "the viewpoint moves around to the {side}",
    ),
    "arc up": ("the camera rises and arcs to the {side}", "the camera circles to the {side} and upwards"),
    "arc down": ("the camera sinks and arcs to the {side}", "the camera circles to the {side} and downwards"),
    "dolly": ("the camera tracks to the {side}", "the camera moves to the {side}", "the camera glides to the {side}"),
}

FLOORS: dict[str, tuple[str, ...]] = {
    "wooden": ("on a wooden floor", "on wooden planks"),
    "brick": ("on a brick floor", "on bricks"),
    "paved": ("on a paved floor", "on paving stones"),
    "tiled": ("on a tiled floor", "on tiles"),
    "checkered": ("on a checkered floor",),
    "cobbled": ("on cobblestones", "on a cobbled ground"),
    "terrazzo": ("on a terrazzo floor", "on a speckled floor"),
    "marble": ("on a marble floor", "on marble"),
    "concrete": ("on a concrete floor", "on concrete"),
    "grassy": ("on grass", "on a lawn"),
    "sandy": ("on sand", "on sandy ground"),
    "carpeted": ("on a carpet", "on a patterned carpet"),
    "gravel": ("on gravel", "on a gravel ground"),
    "white": ("on a white background", "against plain white", "in front of white"),
}

PAST = ("past", "near", "beside", "not far from")
WITH_ARTICLE = ("Newton's cradle",)


def noun_phrase(thing: NamedThing, known: bool = False) -> str:
    """ "a striped red ball"; "the ..." for one already spoken of."""
    pattern = "" if thing.pattern == "plain" else thing.pattern
    words = " ".join(word for word in (pattern, thing.colour, thing.noun) if word)
    if known:
        return f"the {words}"
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def write_caption(
    things: tuple[NamedThing, ...], floor: str, wall: str, camera_motion: str, rng: np.random.Generator
) -> str:
    """One sentence: every moving thing with its motion, the standing ones, the floor and the camera.

    Args:
        floor: key of `FLOORS`.
        wall: word of the wall behind, empty for none.
        camera_motion: key of `CAMERA` and the side, "arc left".
    """
    clauses, standing = [], []
    skip = False
    for index, thing in enumerate(things):
        if skip:
            skip = False
            continue
        if thing.motion == "stand":
            standing.append(thing)
        elif thing.motion in ("hit", "orbit"):
            clauses.append(f"{noun_phrase(thing)} {pick(rng, VERBS[thing.motion])} {noun_phrase(things[index + 1])}")
            skip = True
        else:
            clauses.append(f"{noun_phrase(thing)} {pick(rng, VERBS[thing.motion])}")
    place = pick(rng, FLOORS[floor])
    behind = pick(rng, ("in front of a {} wall", "before a {} wall")).format(wall) if wall else ""
    others = _listing([noun_phrase(thing) for thing in standing])
    if others:
        if clauses:
            clauses[-1] += f" {pick(rng, PAST)} {others}"
        else:
            clauses.append(f"{others} {'stands' if len(standing) == 1 else 'stand'} still")
    scene = _listing(clauses, joiner=pick(rng, (" and ", " while ")))
    where = " ".join(word for word in (place, behind) if word)
    motion, side = camera_motion.rsplit(" ", 1)
    camera = pick(rng, CAMERA[motion]).format(side=side)
    first = scene[0].upper() + scene[1:] if rng.random() < 0.5 else scene
    style = rng.integers(3)
    if style == 0:
        return f"{first} {where}; {camera}"
    if style == 1:
        return f"{where[0].upper() + where[1:]}, {scene}; {camera}"
    return f"{first} {where}, {camera}"


def _listing(phrases: list[str], joiner: str = " and ") -> str:
    if len(phrases) < 2:
        return "".join(phrases)
    return ", ".join(phrases[:-1]) + joiner + phrases[-1]
