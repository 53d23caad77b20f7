"""Independent random streams of one seed, so that one choice never shifts another."""

from __future__ import annotations

import zlib

import numpy as np

from fourreal.core.errors import InputError

MAX_SEED = 2**63 - 1


def stream(seed: int, name: str, attempt: int = 0) -> np.random.Generator:
    """The generator of everything called `name` in world `seed`."""
    if not 0 <= seed <= MAX_SEED:
        raise InputError(f"a world's seed must lie in [0, {MAX_SEED}]; got {seed}")
    return np.random.default_rng([seed, zlib.crc32(name.encode()), attempt])


def pick(rng: np.random.Generator, choices):
    """One of a sequence, uniformly."""
    return choices[int(rng.integers(len(choices)))]
