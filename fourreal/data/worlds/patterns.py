"""Tileable procedural patterns: three weights a texel, which a material's colours turn into a picture.

Channel 0 blends from the first colour to the second, channel 1 lightens and darkens (0.5 is neutral),
channel 2 blends to the third. Every pattern repeats without a seam in both directions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, Shaped

SIZE = 256
SAMPLES = 2  # oversampling of hard-edged patterns, so that the finest level is antialiased too

Channel = Float[np.ndarray, "S S"]
Image = Float[np.ndarray, "3 S S"]
Pattern = Callable[[np.random.Generator], Image]


def noise(
    rng: np.random.Generator, falloff: float, stretch: float = 1.0, low: float = 1.0, size: int = SIZE
) -> Channel:
    """Periodic Gaussian noise of mean 0 and deviation 1 whose amplitude falls as frequency ** -falloff.

    Args:
        stretch: how many times longer the grain is along v than along u.
        low: frequencies below this many waves a tile are left out.
    """
    fy, fx = np.meshgrid(np.fft.fftfreq(size, 1 / size), np.fft.fftfreq(size, 1 / size), indexing="ij")
    frequency = np.hypot(fx, fy * stretch)
    amplitude = np.where(np.hypot(fx, fy) >= low, np.maximum(frequency, 1.0) ** -falloff, 0.0)
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(size, size))) * amplitude).real
    return field / field.std()


def coordinates(size: int = SIZE * SAMPLES) -> tuple[Channel, Channel]:
    """u (to the right) and v (down) in [0, 1) at texel centres."""
    axis = (np.arange(size) + 0.5) / size
    v, u = np.meshgrid(axis, axis, indexing="ij")
    return u, v


def shrink(channel: Shaped[np.ndarray, "N N"]) -> Channel:
    """Average of SAMPLES x SAMPLES samples a texel."""
    size = len(channel) // SAMPLES
    return channel.astype(np.float64).reshape(size, SAMPLES, size, SAMPLES).mean((1, 3))


def image(main: Channel | float = 0.0, shade: Channel | float = 0.0, accent: Channel | float = 0.0) -> Image:
    """Stack the channels; `shade` comes in as a signed deviation (0 neutral, deviation about 1)."""
    blank = np.zeros((SIZE, SIZE))
    lightness = np.clip(0.5 + 0.18 * (shade + blank), 0, 1)
    return np.stack([np.clip(main + blank, 0, 1), lightness, np.clip(accent + blank, 0, 1)])


def grain(rng: np.random.Generator, amount: float, falloff: float = 1.0) -> Channel:
    return amount * noise(rng, falloff)


# ---- for things -----------------------------------------------------------------------------------


def plain(amount: float, falloff: float) -> Pattern:
    return lambda rng: image(shade=grain(rng, amount, falloff))


def stripes(count: int, share: float, ragged: bool = False) -> Pattern:
    def make(rng: np.random.Generator) -> Image:
        u, _ = coordinates()
        if ragged:
            edges = np.cumsum(rng.uniform(0.4, 1.6, 2 * count))
            band = np.searchsorted(edges / edges[-1], u) % 2
        else:
            band = (u * count) % 1 < share
        return image(shrink(band), grain(rng, 0.25))

    return make


def checks(count: int) -> Pattern:
    def make(rng: np.random.Generator) -> Image:
        u, v = coordinates()
        return image(shrink((np.floor(u * count) + np.floor(v * count)) % 2), grain(rng, 0.3))

    return make


def dots(count: int, radius: float) -> Pattern:
    """Discs on a hexagonal raster (`count` columns, even)."""

    def make(rng: np.random.Generator) -> Image:
        u, v = coordinates()
        row = np.floor(v * count)
        x, y = (u * count + 0.5 * (row % 2)) % 1 - 0.5, (v * count) % 1 - 0.5
        return image(shrink(np.hypot(x, y) < radius), grain(rng, 0.25))

    return make


def zigzag(count: int) -> Pattern:
    def make(rng: np.random.Generator) -> Image:
        u, v = coordinates()
        height = np.abs((u * count) % 1 - 0.5)
        return image(shrink((v * count + height) % 1 < 0.5), grain(rng, 0.25))

    return make


def diamonds(count: int) -> Pattern:
    def make(rng: np.random.Generator) -> Image:
        u, v = coordinates()
        tall = 2 * (u * count % 1) - 1, 2 * (v * count % 1) - 1
        lines = np.abs((u + v) * count % 1 - 0.5) < 0.03
        return image(shrink(np.abs(tall[0]) + np.abs(tall[1]) < 1), grain(rng, 0.25), shrink(lines) * 0.8)

    return make


def plaid(count: int) -> Pattern:
    def make(rng: np.random.Generator) -> Image:
        u, v = coordinates()
        wide = ((u * count) % 1 < 0.4) * 0.5 + ((v * count) % 1 < 0.4) * 0.5
        fine = (np.abs((u * count) % 1 - 0.7) < 0.05) | (np.abs((v * count) % 1 - 0.7) < 0.05)
        return image(shrink(wide), 0.3 * noise(rng, 0.4), shrink(fine) * 0.7)

    return make


def waves(count: int, bend: float) -> Pattern:
    def make(rng: np.random.Generator) -> Image:
        u, v = coordinates()
        return image(shrink((v * count + bend * np.sin(2 * np.pi * u * 2)) % 1 < 0.5), grain(rng, 0.25))

    return make


def patches(falloff: float, share: float) -> Pattern:
    def make(rng: np.random.Generator) -> Image:
        field, other = noise(rng, falloff), noise(rng, falloff)
        edge = lambda f: np.clip(0.5 + 6 * (f - share), 0, 1)  # noqa: E731
        return image(edge(field), grain(rng, 0.3), edge(other - 0.4) * 0.8)

    return make


def speckles(count: int, radius: float) -> Pattern:
    """Round chips scattered on a jittered raster, in two colours."""

    def make(rng: np.random.Generator) -> Image:
        u, v = coordinates()
        near, which = _nearest_cell(u, v, count, rng)[::2]
        kind = rng.random(count * count)[which]
        chip = near < radius * (0.5 + rng.random(count * count)[which])
        return image(shrink(chip & (kind < 0.5)), grain(rng, 0.3), shrink(chip & (kind > 0.7)))

    return make


def marble(count: int) -> Pattern:
    def make(rng: np.random.Generator) -> Image:
        u, v = coordinates(SIZE)
        warp = 0.45 * noise(rng, 1.9)
        vein = np.exp(-6 * np.abs(np.sin(np.pi * (u * count + v + warp))))
        return image(0.8 * vein, 0.5 * noise(rng, 1.6), 0.25 * np.clip(noise(rng, 2.0), 0, 1))

    return make


def wood(rings: float) -> Pattern:
    def make(rng: np.random.Generator) -> Image:
        field = rings * noise(rng, 1.8, stretch=7.0)
        ring = 0.5 + 0.5 * np.sin(2 * np.pi * field)
        return image(0.75 * ring, 0.55 * noise(rng, 0.8, stretch=12.0))

    return make


def woven(count: int) -> Pattern:
    def make(rng: np.random.Generator) -> Image:
        u, v = coordinates()
        over = (np.floor(u * count) + np.floor(v * count)) % 2 == 0
        across = np.where(over, np.abs(np.sin(np.pi * u * count)), np.abs(np.sin(np.pi * v * count)))
        return image(shrink(over) * 0.5, 2.0 * (shrink(across) - 0.6) + 0.3 * noise(rng, 0.6))

    return make


# ---- for floors and walls -----------------------------------------------------------------------------


def planks(count: int) -> Pattern:
    """Boards along v, each its own cut of wood, with dark joints."""

    def make(rng: np.random.Generator) -> Image:
        u, v = coordinates()
        board = np.floor(u * count).astype(int)
        joint_at = rng.random(count)[board]
        gap = (np.abs((u * count + 0.5) % 1 - 0.5) < 0.025) | (np.abs((v - joint_at + 0.5) % 1 - 0.5) < 0.003)
        field = noise(rng, 1.7, stretch=8.0)
        cut = np.arange(SIZE) * count // SIZE
        shifted = np.stack([np.roll(field[:, x], 61 * cut[x]) for x in range(SIZE)], -1)
        tint = rng.normal(size=count)[cut][None, :]
        return image(
            0.5 + 0.4 * np.sin(4 * shifted), 0.9 * tint + 0.5 * noise(rng, 0.8, stretch=12.0), shrink(gap) * 0.8
        )

    return make


def bricks(columns: int, rows: int, joint: float) -> Pattern:
    """Courses of bricks, every other one shifted by half; `columns` 1 to 1 with `rows` even."""

    def make(rng: np.random.Generator) -> Image:
        u, v = coordinates()
        row = np.floor(v * rows).astype(int)
        x = u * columns + 0.5 * (row % 2)
        mortar = (np.minimum(x % 1, 1 - x % 1) < joint) | (
            np.minimum((v * rows) % 1, 1 - (v * rows) % 1) < joint * rows / columns
        )
        brick = (np.floor(x).astype(int) % columns) + columns * row
        tint = rng.random(columns * rows)[brick]
        return image(shrink(tint), grain(rng, 0.7, 0.8), shrink(mortar))

    return make


def tiles(count: int, joint: float, checkered: bool = False) -> Pattern:
    def make(rng: np.random.Generator) -> Image:
        u, v = coordinates()
        x, y = u * count, v * count
        line = (np.abs((x + 0.5) % 1 - 0.5) < joint) | (np.abs((y + 0.5) % 1 - 0.5) < joint)
        cell = np.floor(x).astype(int) + count * np.floor(y).astype(int)
        parity = (np.floor(x) + np.floor(y)) % 2
        main = parity if checkered else 0.5 * rng.random(count * count)[cell]
        return image(shrink(main), grain(rng, 0.4, 1.4), shrink(line) * 0.9)

    return make


def cobbles(count: int) -> Pattern:
    def make(rng: np.random.Generator) -> Image:
        u, v = coordinates()
        near, second, which = _nearest_cell(u, v, count, rng)
        gap = np.clip(1 - (second - near) / 0.12, 0, 1)
        tint = rng.random(count * count)[which]
        return image(shrink(tint), 0.8 * noise(rng, 1.0) - 1.2 * (shrink(near) - 0.4), shrink(gap))

    return make


def concrete(falloff: float) -> Pattern:
    return lambda rng: image(0.3 * np.clip(noise(rng, 2.2), -1, 1) + 0.3, 0.5 * noise(rng, falloff))


def grass(falloff: float) -> Pattern:
    def make(rng: np.random.Generator) -> Image:
        blades = noise(rng, falloff, stretch=0.5, low=4.0)
        return image(0.5 + 0.3 * noise(rng, 1.8), 1.1 * blades, np.clip(noise(rng, 0.8, low=8.0) - 1.4, 0, 1))

    return make


def sand(ripples: int) -> Pattern:
    def make(rng: np.random.Generator) -> Image:
        u, v = coordinates(SIZE)
        ripple = np.sin(2 * np.pi * (v * ripples + u * 2 + 0.35 * noise(rng, 2.0))) if ripples else 0.0
        return image(0.4 + 0.25 * noise(rng, 1.8), 0.5 * ripple + 0.5 * noise(rng, 0.3))

    return make


def carpet(medallions: int) -> Pattern:
    def make(rng: np.random.Generator) -> Image:
        u, v = coordinates()
        x, y = u * medallions % 1 - 0.5, v * medallions % 1 - 0.5
        radius, angle = np.hypot(x, y), np.arctan2(y, x)
        flower = radius < 0.3 + 0.08 * np.cos(8 * angle)
        ring = np.abs(radius - 0.42) < 0.035
        return image(shrink(flower), 0.6 * noise(rng, 0.2), shrink(ring | (radius < 0.1)))

    return make


def _nearest_cell(
    u: Channel, v: Channel, count: int, rng: np.random.Generator
) -> tuple[Channel, Channel, Int[np.ndarray, "S S"]]:
    """Distance (in cells) to the nearest and second nearest of jittered points, and which is nearest."""
    jitter = rng.uniform(0.1, 0.9, (count, count, 2))
    x, y = u * count, v * count
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    near, second = np.full(u.shape, 9.0), np.full(u.shape, 9.0)
    which = np.zeros(u.shape, dtype=int)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            c, r = column + dx, row + dy
            point = jitter[r % count, c % count]
            distance = np.hypot(c + point[..., 0] - x, r + point[..., 1] - y)
            closer = distance < near
            second = np.where(closer, near, np.minimum(second, distance))
            which = np.where(closer, (r % count) * count + c % count, which)
            near = np.where(closer, distance, near)
    return near, second, which
