"""A generator remembers the grids it was trained on, and is given such."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_generator import AdditiveOracle, additive_grid, tiny_pixels

from fourreal.core.errors import InputError
from fourreal.core.grid_shape import GridShape
from fourreal.video.generate import generate
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.settings import GenerationSettings

SIZE = GridShape(views=2, frames=5, height=8, width=8, fps=8.0, arc_deg=(5.0, 35.0))


def test_it_is_kept_with_the_weights(tmp_path: Path) -> None:
    replace(tiny_pixels(), training_size=SIZE).save_pretrained(tmp_path / "model")
    assert ViewTimeGenerator.from_pretrained(tmp_path / "model").training_size == SIZE
    tiny_pixels().save_pretrained(tmp_path / "silent")
    assert ViewTimeGenerator.from_pretrained(tmp_path / "silent").training_size is None
    index = tmp_path / "model" / "model_index.json"
    index.write_text(json.dumps({"training_size": {"views": 2, "frame": 5}}))
    with pytest.raises(InputError, match="did you mean 'frames'"):
        ViewTimeGenerator.from_pretrained(tmp_path / "model")


def test_larger_grids_are_made_in_windows_of_it() -> None:
    model = tiny_pixels(AdditiveOracle)
    grid = additive_grid(3, 9).with_known("cross")
    settings = GenerationSettings(steps=1, device="cpu")
    for size, windows in ((None, {(3, 3)}), (SIZE, {(2, 2)})):
        model.transformer.calls = []  # pyright: ignore[reportAttributeAccessIssue]
        made = generate(replace(model, training_size=size), grid, settings=settings)
        seen = {tuple(call["mask"].shape[1:]) for call in model.transformer.calls}  # pyright: ignore[reportAttributeAccessIssue]
        assert seen == windows
        assert bool(made.known.all())
