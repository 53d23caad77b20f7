"""Shards written in the order of a curriculum are read in that order too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fourreal.data.mixture import MixtureConfig
from fourreal.data.shards import FIRST_SHARE, ShardMixture
from fourreal.data.worlds import tiny_worlds


def mixture(samples: int, curriculum_steps: int) -> ShardMixture:
    made = ShardMixture(Path("nowhere"), MixtureConfig(worlds=tiny_worlds(), curriculum_steps=curriculum_steps))
    made.__dict__["keys"] = [(Path("shard.tar"), f"{number:06d}", {"kind": "objects"}) for number in range(samples)]
    return made


def farthest(shards: ShardMixture, step: int) -> int:
    return max(int(shards.draft(step, index).key) for index in range(400))


def test_early_steps_draw_from_the_first_samples_alone():
    shards = mixture(1000, curriculum_steps=50)
    assert 0.9 * FIRST_SHARE * 1000 < farthest(shards, 0) < FIRST_SHARE * 1000
    assert 500 < farthest(shards, 25) < 600
    assert farthest(shards, 50) > 950
    assert farthest(shards, 5000) > 950


def test_without_a_curriculum_all_are_drawn_from_at_once():
    assert farthest(mixture(1000, curriculum_steps=0), 0) > 950
    one = replace(mixture(1, curriculum_steps=50))
    one.__dict__["keys"] = mixture(1, curriculum_steps=50).keys
    assert farthest(one, 0) == 0
