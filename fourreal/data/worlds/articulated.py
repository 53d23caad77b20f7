"""Things of several rigid pieces: walkers, worms, arms, cars, mills, birds and things that hang.

Poses come from forward kinematics: a joint's pose times the turn of the joint times the way to the
next one. Limbs are capsules whose frame starts at their upper joint (`limb`).
"""

from __future__ import annotations

import numpy as np

from fourreal.data.worlds.motion import Poses, held, rolling, shift, slide_distance, sway, swing_angle, turn
from fourreal.data.worlds.scene import Group, Part, Role, Shape, Thing
from fourreal.data.worlds.seeding import pick
from fourreal.data.worlds.single_bodies import Beat, Builder, ball, upright


def limb(joint: Poses, length: float, radius: float, role: Role = "body") -> tuple[Part, Poses]:
    """A capsule hanging down from a joint, and the joint at its far end."""
    part = Part(Shape.CAPSULE, (radius, radius, length / 2), joint @ shift(0.0, 0.0, -length / 2), role)
    return part, joint @ shift(0.0, 0.0, -length)


def scaled(half_size: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    x, y, z = half_size
    return factor * x, factor * y, factor * z


# ---- walking ------------------------------------------------------------------------------------


def walking_figure(beat: Beat) -> Group:
    """A two-legged figure; knees bend as the leg swings forward, arms go against the legs."""
    tall = beat.uniform(0.75, 1.1)
    leg, thick = 0.24 * tall, 0.05 * tall
    hertz, stride = max(beat.hertz(0.9, 1.7), 0.5), beat.uniform(0.45, 0.65)
    phase = 2 * np.pi * hertz * beat.seconds + beat.phase()
    speed = min(4 * hertz * leg * np.sin(stride), 1.6 / beat.duration)
    bob = 0.02 * tall * np.cos(2 * phase)
    hip_height = 2 * leg * np.cos(0.6 * stride) + thick + bob
    body = shift(speed * (beat.seconds - beat.duration / 2), 0.0, hip_height)
    parts = []
    for side, offset in ((1, 0.0), (-1, np.pi)):
        swing = stride * np.sin(phase + offset)
        knee = 0.7 * np.maximum(0.0, np.cos(phase + offset)) + 0.08
        thigh, joint = limb(body @ shift(0.0, side * 0.09 * tall, 0.0) @ turn("y", -swing), leg, thick, "accent")
        shin, _ = limb(joint @ turn("y", knee), leg, thick * 0.85, "accent")
        shoulder = body @ shift(0.0, side * 0.17 * tall, 0.3 * tall) @ turn("y", 0.8 * swing)
        upper, elbow = limb(shoulder, 0.17 * tall, thick * 0.75)
        fore, _ = limb(elbow @ turn("y", -0.35 - 0.2 * np.sin(phase + offset)), 0.17 * tall, thick * 0.65, "skin")
        parts += [thigh, shin, upper, fore]
    torso = Part(Shape.ELLIPSOID, (0.1 * tall, 0.14 * tall, 0.21 * tall), body @ shift(0.0, 0.0, 0.17 * tall))
    head = ball(0.095 * tall, body @ shift(0.0, 0.0, 0.46 * tall), "skin")
    noun = pick(beat.rng, ("figure", "puppet", "mannequin"))
    return Group((Thing(noun, "walk", (torso, head, *parts)),))


def trotting_animal(beat: Beat) -> Group:
    """A four-legged animal; diagonal legs move together."""
    size = beat.uniform(0.8, 1.25)
    leg, thick = 0.13 * size, 0.035 * size
    hertz, stride = max(beat.hertz(1.0, 2.0), 0.5), beat.uniform(0.4, 0.6)
    phase = 2 * np.pi * hertz * beat.seconds + beat.phase()
    speed = min(4 * hertz * leg * np.sin(stride), 1.6 / beat.duration)
    height = 2 * leg * np.cos(0.6 * stride) + thick + 0.012 * size * np.cos(2 * phase)
    body = shift(speed * (beat.seconds - beat.duration / 2), 0.0, height)
    parts = [Part(Shape.ELLIPSOID, (0.27 * size, 0.12 * size, 0.13 * size), body @ shift(0.0, 0.0, 0.05 * size))]
    for x, y, offset in ((1, 1, 0.0), (-1, -1, 0.0), (1, -1, np.pi), (-1, 1, np.pi)):
        swing = stride * np.sin(phase + offset)
        hip = body @ shift(x * 0.17 * size, y * 0.075 * size, 0.0) @ turn("y", -swing)
        thigh, joint = limb(hip, leg, thick)
        shin, _ = limb(
            joint @ turn("y", 0.6 * np.maximum(0.0, np.cos(phase + offset)) + 0.08), leg, thick * 0.8, "accent"
        )
        parts += [thigh, shin]
    neck = body @ shift(0.24 * size, 0.0, 0.1 * size) @ turn("y", sway(beat.seconds, 0.12, hertz, 0.0))
    head = Part(
        Shape.ELLIPSOID, (0.12 * size, 0.08 * size, 0.085 * size), neck @ shift(0.08 * size, 0.0, 0.1 * size), "accent"
    )
    wag = body @ shift(-0.25 * size, 0.0, 0.09 * size) @ turn("z", sway(beat.seconds, 0.5, hertz, 0.0))
    tail, _ = limb(wag @ turn("y", 2.2, beat.frames), 0.2 * size, 0.025 * size, "accent")
    return Group((Thing(pick(beat.rng, ("dog", "four-legged animal", "toy dog")), "trot", (*parts, head, tail)),))


def crawling_worm(beat: Beat) -> Group:
    """A chain of balls along a wave that travels backwards as the worm goes forward."""
    links, radius = int(beat.rng.integers(5, 9)), beat.uniform(0.09, 0.14)
    hertz, wave = beat.hertz(0.8, 1.5), beat.uniform(0.55, 0.9)
    amplitude, upward = beat.uniform(0.1, 0.17), beat.rng.random() < 0.4
    forward = beat.speed_for(0.3, 0.9, 0.9) * (beat.seconds - beat.duration / 2)
    parts = []
    for link in range(links):
        angle = wave * link + 2 * np.pi * hertz * beat.seconds
        across = amplitude * np.sin(angle)
        lift = np.maximum(0.0, across) if upward else np.zeros_like(across)
        x = forward - (link - links / 2) * 1.35 * radius
        size = radius * (1.0 if link == 0 else 0.95 - 0.35 * link / links)
        heading = np.arctan(amplitude * wave / (1.35 * radius) * np.cos(angle))
        pose = shift(x, 0.0 if upward else across, size + lift)
        pose = pose @ (turn("y", heading) if upward else turn("z", -heading))
        parts.append(Part(Shape.ELLIPSOID, (size * 1.1, size, size), pose, "accent" if link % 2 else "body"))
    return Group((Thing(pick(beat.rng, ("worm", "caterpillar")), "crawl", tuple(parts)),))


# ---- machines -------------------------------------------------------------------------------------


def waving_arm(beat: Beat) -> Group:
    """A robot arm of two or three links on a turning base."""
    links = int(beat.rng.integers(2, 4))
    length, thick = beat.uniform(0.3, 0.45), beat.uniform(0.045, 0.07)
    base = Part(Shape.CYLINDER, (0.17, 0.17, 0.07), held(shift(0.0, 0.0, 0.07), beat.frames), "stand")
    yaw = sway(beat.seconds, beat.uniform(0.3, 0.9), beat.hertz(0.4, 0.9), beat.phase())
    joint = shift(0.0, 0.0, 0.14) @ turn("z", yaw) @ turn("y", np.pi)
    parts = [base]
    for link in range(links):
        bend = (0.25, 0.8, 0.7)[link]
        angle = bend + sway(beat.seconds, beat.uniform(0.3, 0.55), beat.hertz(0.5, 1.1), beat.phase())
        part, joint = limb(
            joint @ turn("y", angle), length * 0.85**link, thick * 0.85**link, ("body", "accent")[link % 2]
        )
        parts.append(part)
    parts.append(ball(thick * 1.3, joint, "dark"))
    return Group((Thing("robot arm", "reach", tuple(parts)),))


def driving_car(beat: Beat) -> Group:
    size = beat.uniform(0.75, 1.1)
    half, wheel = (0.34 * size, 0.17 * size, 0.075 * size), 0.085 * size
    way = slide_distance(beat.seconds, beat.speed_for(0.8, 1.9), beat.uniform(0.0, 0.3))
    curve = beat.uniform(-0.6, 0.6)
    start = shift(-way[-1] / 2, 0.0, 0.0)
    if abs(curve) > 0.15:
        # An arc of a circle of radius 1 / curve, heading along its tangent.
        drive = start @ shift(np.sin(curve * way) / curve, (1 - np.cos(curve * way)) / curve, 0.0)
        drive = drive @ turn("z", curve * way)
    else:
        drive = start @ shift(way, 0.0, 0.0)
    truck = beat.rng.random() < 0.4
    cabin_half = scaled((0.11, 0.155, 0.11) if truck else (0.18, 0.15, 0.07), size)
    cabin_x = 0.2 * size if truck else -0.03 * size
    top = wheel + half[2] * 2
    parts = [
        Part(Shape.BOX, half, drive @ shift(0.0, 0.0, wheel + half[2])),
        Part(Shape.BOX, cabin_half, drive @ shift(cabin_x, 0.0, top + cabin_half[2]), "accent"),
    ]
    for x, y in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        hub = drive @ shift(x * 0.21 * size, y * 0.18 * size, 0.0) @ rolling(0 * way, wheel)
        pose = hub @ turn("y", way / wheel) @ turn("x", np.pi / 2)
        parts.append(Part(Shape.CYLINDER, (wheel, wheel, 0.03 * size), pose, "dark"))
    return Group((Thing("toy truck" if truck else "toy car", "drive", tuple(parts)),))


def turning_mill(beat: Beat) -> Group:
    height, blade = beat.uniform(0.6, 0.85), beat.uniform(0.3, 0.42)
    post = Part(Shape.CYLINDER, (0.06, 0.06, height / 2), held(shift(0.0, 0.0, height / 2), beat.frames), "stand")
    hub = shift(0.12, 0.0, height) @ turn("x", beat.turning_rate(0.25, 0.7) * beat.seconds + beat.phase())
    parts = [post, Part(Shape.ELLIPSOID, (0.09, 0.07, 0.07), hub, "dark")]
    blades = int(beat.rng.integers(3, 5))
    for index in range(blades):
        arm = hub @ turn("x", 2 * np.pi * index / blades) @ shift(0.0, 0.0, 0.07 + blade / 2)
        parts.append(Part(Shape.BOX, (0.015, 0.075, blade / 2), arm, "body" if index % 2 else "accent"))
    return Group((Thing("windmill", "turn", tuple(parts)),))


def carousel(beat: Beat) -> Group:
    radius = beat.uniform(0.42, 0.6)
    table = turn("z", beat.turning_rate(0.25, 0.7) * beat.seconds + beat.phase())
    parts = [Part(Shape.CYLINDER, (radius, radius, 0.05), shift(0.0, 0.0, 0.05) @ table, "stand")]
    riders = int(beat.rng.integers(2, 5))
    for index in range(riders):
        _, shape, half = upright(beat, small=True)
        half = scaled(half, 0.75)
        place = table @ turn("z", 2 * np.pi * index / riders) @ shift(0.64 * radius, 0.0, 0.1 + half[2])
        parts.append(Part(shape, half, place, "accent" if index % 2 else "body"))
    return Group((Thing("carousel", "turn", tuple(parts)),))


def rocking_seesaw(beat: Beat) -> Group:
    length, height = beat.uniform(0.5, 0.7), beat.uniform(0.18, 0.25)
    tilt = sway(beat.seconds, 0.75 * np.arcsin(height / length), beat.hertz(0.6, 1.2), beat.phase())
    plank = shift(0.0, 0.0, height + 0.03) @ turn("y", tilt)
    radius = height / 2
    parts = [
        Part(
            Shape.CYLINDER,
            (radius, radius, 0.16),
            held(shift(0.0, 0.0, radius) @ turn("x", np.pi / 2), beat.frames),
            "stand",
        ),
        Part(Shape.BOX, (length, 0.12, 0.03), plank),
    ]
    for side in (-1, 1):
        half = beat.uniform(0.07, 0.11)
        parts.append(
            Part(Shape.BOX, (half, half, half), plank @ shift(side * (length - half), 0.0, 0.03 + half), "accent")
        )
    return Group((Thing("seesaw", "rock", tuple(parts)),))


# ---- flying and hanging -----------------------------------------------------------------------------


def flying_bird(beat: Beat) -> Group:
    size, hertz = beat.uniform(0.8, 1.2), beat.hertz(1.0, 2.0)
    flap = 2 * np.pi * hertz * beat.seconds + beat.phase()
    x = beat.speed_for(0.5, 1.5, 1.3) * (beat.seconds - beat.duration / 2)
    body = shift(x, 0.0, beat.uniform(0.65, 0.95) - 0.04 * size * np.sin(flap)) @ turn("y", -0.12, beat.frames)
    parts = [
        Part(Shape.ELLIPSOID, (0.24 * size, 0.09 * size, 0.09 * size), body),
        ball(0.075 * size, body @ shift(0.24 * size, 0.0, 0.05 * size), "accent"),
        Part(Shape.BOX, (0.09 * size, 0.06 * size, 0.012), body @ shift(-0.28 * size, 0.0, 0.02), "accent"),
    ]
    for side in (1, -1):
        shoulder = body @ shift(0.02, side * 0.07 * size, 0.04 * size) @ turn("x", side * (0.1 + 0.6 * np.sin(flap)))
        inner = shoulder @ shift(0.0, side * 0.13 * size, 0.0)
        parts.append(Part(Shape.BOX, (0.1 * size, 0.13 * size, 0.012), inner))
        tip = shoulder @ shift(0.0, side * 0.26 * size, 0.0) @ turn("x", side * 0.45 * np.sin(flap - 0.8))
        outer = tip @ shift(-0.02 * size, side * 0.11 * size, 0.0)
        parts.append(Part(Shape.BOX, (0.075 * size, 0.11 * size, 0.01), outer, "accent"))
    return Group((Thing("bird", "fly", tuple(parts)),))


def frame_of_posts(beat: Beat, width: float, height: float, thick: float) -> list[Part]:
    """Two posts and a beam to hang things from."""
    parts = [
        Part(Shape.BOX, (thick, thick, height / 2), held(shift(0.0, side * width, height / 2), beat.frames), "stand")
        for side in (-1, 1)
    ]
    beam = Part(Shape.BOX, (thick, width + thick, thick), held(shift(0.0, 0.0, height + thick), beat.frames), "stand")
    return [*parts, beam]


def swinging_pendulum(beat: Beat) -> Group:
    length, bob = beat.uniform(0.45, 0.75), beat.uniform(0.12, 0.18)
    height = length + bob + beat.uniform(0.1, 0.2)
    angle = swing_angle(beat.seconds, beat.uniform(0.5, 0.9), length, beat.phase())
    pivot = shift(0.0, 0.0, height) @ turn("y", angle)
    rod, end = limb(pivot, length, 0.022, "dark")
    weight = ball(bob, end) if beat.rng.random() < 0.6 else Part(Shape.BOX, (bob * 0.8, bob * 0.8, bob * 0.8), end)
    return Group((Thing("pendulum", "swing", (weight, rod, *frame_of_posts(beat, 0.42, height, 0.035))),))


def double_pendulum(beat: Beat) -> Group:
    """Two equal links in their two normal modes (small-angle solution)."""
    length = beat.uniform(0.3, 0.4)
    slow, fast = (np.sqrt((2 - s * np.sqrt(2)) * 9.81 / length) for s in (1, -1))
    first = beat.uniform(0.25, 0.4) * np.cos(slow * beat.seconds + beat.phase())
    second = beat.uniform(0.08, 0.16) * np.cos(fast * beat.seconds + beat.phase())
    height = 2 * length + 0.3
    upper, elbow = limb(shift(0.0, 0.0, height) @ turn("y", first + second), length, 0.03, "accent")
    tilt = np.sqrt(2) * (first - second) - (first + second)
    lower, end = limb(elbow @ turn("y", tilt), length, 0.03, "accent")
    posts = frame_of_posts(beat, 0.4, height, 0.035)
    return Group(
        (Thing("double pendulum", "swing", (ball(0.12, end), ball(0.06, elbow, "dark"), upper, lower, *posts)),)
    )


def newtons_cradle(beat: Beat) -> Group:
    """The outer balls take turns; the ones between hang still."""
    balls, radius, length = 4, 0.095, beat.uniform(0.45, 0.6)
    height = length + radius + 0.15
    beat_phase = np.sqrt(9.81 / length) * beat.seconds + beat.phase()
    angle = beat.uniform(0.5, 0.75) * np.cos(beat_phase)
    posts = frame_of_posts(beat, balls * radius + 0.2, height, 0.03)
    parts = []
    for index in range(balls):
        if index == 0:
            lift = np.minimum(angle, 0.0)
        elif index == balls - 1:
            lift = np.maximum(angle, 0.0)
        else:
            lift = np.zeros_like(angle)
        y = (index - (balls - 1) / 2) * 2 * radius
        string, end = limb(shift(0.0, y, height) @ turn("x", lift), length, 0.014, "dark")
        parts += [ball(radius, end), string]
    return Group((Thing("Newton's cradle", "swing", (*parts, *posts)),))


def swaying_tree(beat: Beat) -> Group:
    height = beat.uniform(0.35, 0.6)
    angle = sway(beat.seconds, beat.uniform(0.05, 0.12), beat.hertz(0.6, 1.2), beat.phase())
    trunk = shift(0.0, 0.0, 0.0) @ turn("x", angle)
    parts = [Part(Shape.CYLINDER, (0.05, 0.05, height / 2), trunk @ shift(0.0, 0.0, height / 2), "wood")]
    for x, y, z, size in ((0.0, 0.0, 0.22, 0.3), (0.16, 0.05, 0.1, 0.2), (-0.14, -0.08, 0.12, 0.21)):
        size *= beat.uniform(0.85, 1.15)
        parts.append(Part(Shape.ELLIPSOID, (size, size, size * 0.9), trunk @ shift(x, y, height + z), "leaves"))
    return Group((Thing("tree", "sway", tuple(parts)),))


ARTICULATED: tuple[Builder, ...] = (
    walking_figure,
    walking_figure,
    trotting_animal,
    crawling_worm,
    waving_arm,
    driving_car,
    turning_mill,
    carousel,
    rocking_seesaw,
    flying_bird,
    swinging_pendulum,
    double_pendulum,
    newtons_cradle,
)
BYSTANDERS: tuple[Builder, ...] = (swaying_tree,)
