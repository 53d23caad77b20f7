"""A generator remembers the grids it was trained on, and is given such."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_generator import AdditiveOracle, additive_grid, tiny_pixels

from fourreal.core.errors import InputError
from fourreal.core.grid_shape import GridShape
from fourreal.core.notes import UserNote
from fourreal.pipeline import FourDPipeline
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


def test_one_side_alone_is_repeated_by_a_model_that_does_worse(tmp_path: Path) -> None:
    """A mosaic of guesses is worse than what was given, shown again; with both sides given the model answers."""
    replace(tiny_pixels(), repeats_one_sided=True).save_pretrained(tmp_path / "model")
    pipe = FourDPipeline.from_pretrained(tmp_path / "model", recon=None, device="cpu")
    assert pipe.generator is not None
    assert pipe.generator.repeats_one_sided
    grid, settings = additive_grid(3, 5), GenerationSettings(steps=1, device="cpu", allow_untrained=True)
    with pytest.warns(UserNote, match="fixed-view video is repeated in every view"):
        row = pipe.complete(grid.with_known("row"), settings=settings)
    assert torch.equal(row.frames, grid.frames[:1].expand_as(grid.frames))
    with pytest.warns(UserNote, match="freeze-time video is repeated at every time"):
        column = pipe.complete(grid.with_known("column"), settings=settings)
    assert torch.equal(column.frames, grid.frames[:, :1].expand_as(grid.frames))
    cross = pipe.complete(grid.with_known("cross"), settings=settings)
    assert not torch.equal(cross.frames[1:, 1:], column.frames[1:, 1:])
    others = replace(pipe, generator=replace(pipe.generator, repeats_one_sided=False))
    assert not torch.equal(others.complete(grid.with_known("row"), settings=settings).frames, row.frames)


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
