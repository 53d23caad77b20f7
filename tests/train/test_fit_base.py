"""Frame size and rate of a recipe follow its base, and are checked before anything large is loaded."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
from video.tiny_generator import tiny_pixels

from fourreal.cli.train import Train
from fourreal.core.errors import InputError
from fourreal.core.grid_shape import GridShape
from fourreal.core.notes import UserNote
from fourreal.train.catalog import find_recipe
from fourreal.train.fit_base import fit_to_base
from fourreal.train.settings import RecipeChanges, RunSettings
from fourreal.video.generator import ViewTimeGenerator, read_training_size
from fourreal.video.transformer import ViewTimeTransformer
from fourreal.video.weights import mark_trained, save_delta


def _shapes(recipe):
    return {(*stage.mixture.worlds.image_size, stage.mixture.worlds.fps) for stage in recipe.stages}


def test_sizes_are_rounded_to_what_the_base_takes_with_a_note():
    recipe = find_recipe("video", "wan-1.3b", RecipeChanges(base="wan2.2-ti2v-5b"))
    with pytest.warns(UserNote, match="frames are 128 x 256: .* multiples of 32"):
        fitted = fit_to_base(recipe)
    ((height, width, fps),) = _shapes(fitted)
    assert height % 32 == width % 32 == 0
    assert fps == 24.0
    # The recipe's own base takes its sizes as they are.
    own = find_recipe("video", "wan-1.3b")
    assert fit_to_base(own) == own
    assert _shapes(own) == {(144, 256, 16.0)}


def test_a_size_that_is_asked_for_must_fit(tmp_path):
    asked: tuple[tuple[Literal["video", "recon"], str, tuple[int, int], int], ...] = (
        ("video", "wan-1.3b", (150, 256), 16),
        ("video", "mini", (60, 64), 8),
        ("recon", "vggt-1b", (512, 518), 14),
    )
    for kind, name, size, multiple in asked:
        changes = RecipeChanges(size=size)
        with pytest.raises(InputError, match=f"multiples of {multiple} .* try --size"):
            Train(kind=kind, session=RunSettings(out=tmp_path / "run"), recipe=name, changes=changes).run()
    assert not (tmp_path / "run").exists()
    wide = fit_to_base(find_recipe("video", "tiny"), (32, 48))
    assert _shapes(wide) == {(32, 48, 8.0)}


def test_image_to_video_bases_are_refused_before_they_are_loaded(tmp_path):
    ViewTimeTransformer.tiny(in_channels=36).save_pretrained(tmp_path / "base" / "transformer")
    changes = RecipeChanges(base=str(tmp_path / "base"))
    with pytest.raises(InputError, match="is an image-to-video model"):
        Train(kind="video", session=RunSettings(out=tmp_path / "run"), recipe="wan-1.3b", changes=changes).run()
    assert not (tmp_path / "run").exists()


def test_a_base_that_says_its_rate_is_trained_at_it(tmp_path):
    size = GridShape(views=2, frames=5, height=32, width=32, fps=12.0)
    replace(tiny_pixels(), training_size=size).save_pretrained(tmp_path)
    fitted = fit_to_base(find_recipe("video", "wan-1.3b", RecipeChanges(base=str(tmp_path))))
    assert {shape[2] for shape in _shapes(fitted)} == {12.0}


def test_a_delta_keeps_the_grids_it_was_trained_on(tmp_path):
    base = tiny_pixels()
    base.save_pretrained(tmp_path / "base")
    model = base.transformer
    mark_trained(model, "grid")
    size = GridShape(views=3, frames=9, height=48, width=64, fps=16.0)
    save_delta(tmp_path / "delta", model, training_size=size)
    loaded = ViewTimeGenerator.from_pretrained(tmp_path / "base", delta=tmp_path / "delta")
    assert loaded.training_size == size
    assert read_training_size(tmp_path / "base") is None
    save_delta(tmp_path / "older", model)
    assert read_training_size(tmp_path / "base", tmp_path / "older") is None
