"""What becomes of drafts in `generate` and `extend`: the answer, or a reference of the transformer's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from video.tiny_generator import AdditiveOracle, additive_grid, tiny_pixels

from fourreal.core.errors import InputError
from fourreal.video.draft.draft_model import DraftModel, draft_cells
from fourreal.video.generate import generate
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.reference_gate import mix_references, reference_values, with_drafts
from fourreal.video.settings import GenerationSettings
from fourreal.video.transformer import DRAFTED, KNOWN
from fourreal.video.windows import WindowSize

SETTINGS = GenerationSettings(steps=2, device="cpu")


@pytest.fixture(scope="module")
def draft() -> DraftModel:
    torch.manual_seed(4)
    return DraftModel.tiny().eval()


def test_drafts_alone_are_the_answer_and_the_transformer_is_not_asked(draft: DraftModel) -> None:
    model = replace(tiny_pixels(AdditiveOracle), draft=draft)
    truth = additive_grid(3, 5, size=16)
    given = truth.with_known("cross")
    made = generate(model, given, settings=SETTINGS)
    assert torch.equal(made.frames, draft_cells(draft, given)[0])
    assert torch.equal(made.frames, generate(model, given, window=WindowSize(2, 5), settings=SETTINGS).frames)
    assert "calls" not in model.transformer.__dict__


def test_cells_without_a_draft_are_the_transformers(draft: DraftModel) -> None:
    plain = tiny_pixels()
    given = additive_grid(3, 5, size=16).with_known("row")
    expected = generate(plain, given, settings=SETTINGS)
    assert torch.equal(generate(replace(plain, draft=draft), given, settings=SETTINGS).frames, expected.frames)


def test_as_a_reference_a_draft_is_told_to_the_transformer(draft: DraftModel) -> None:
    model = replace(tiny_pixels(AdditiveOracle), draft=draft, draft_use="reference")
    given = additive_grid(3, 5, size=16).with_known("cross")
    generate(model, given, settings=SETTINGS)
    mask = model.transformer.__dict__["calls"][0]["mask"]
    assert mask[0].tolist() == [[KNOWN, KNOWN], [KNOWN, DRAFTED], [KNOWN, DRAFTED]]


def test_a_gate_that_keeps_everything_keeps_the_draft() -> None:
    references, drafts = torch.randn(2, 1, 2, 3, 2, 4, 4).unbind(0)
    known = torch.tensor([[[True, True], [True, False]]])
    drafted = torch.tensor([[[False, False], [False, True]]])
    values = with_drafts(reference_values(references, known), drafts, drafted)
    shape = references.shape
    mixed = mix_references(
        torch.zeros(shape), [torch.full(shape, 50.0), torch.zeros(shape), torch.zeros(shape)], values
    )
    torch.testing.assert_close(mixed[0, 1, :, 1], drafts[0, 1, :, 1])


@pytest.mark.parametrize("gate", [True, False])
def test_a_mask_of_numbers_without_drafts_is_the_mask_itself(gate: bool) -> None:
    model = tiny_pixels(gate=gate, tubelet=(4, 8) if gate else None).transformer
    latents, references = torch.randn(2, 1, 2, 768, 2, 2, 2).unbind(0)
    known = torch.tensor([[[True, True], [True, False]]])
    text, time = torch.zeros(1, 3, model.config["text_dim"]), torch.tensor([500.0])
    said = model(latents, time, text, references, known)
    assert torch.equal(said, model(latents, time, text, references, KNOWN * known.int()))


def test_a_folder_keeps_the_draft_and_its_use(draft: DraftModel, tmp_path: Path) -> None:
    model = replace(tiny_pixels(), draft=draft, draft_use="reference")
    model.save_pretrained(tmp_path / "model")
    loaded = ViewTimeGenerator.from_pretrained(tmp_path / "model")
    assert loaded.draft is not None
    assert loaded.draft_use == "reference"
    assert loaded.draft.matcher.described.weight.dtype == torch.float32
    index = tmp_path / "model" / "model_index.json"
    index.write_text(index.read_text().replace('"reference"', '"sometimes"'))
    with pytest.raises(InputError, match="draft_use must be one of alone, reference"):
        ViewTimeGenerator.from_pretrained(tmp_path / "model")


def test_a_folder_without_a_draft_has_none(tmp_path: Path) -> None:
    tiny_pixels().save_pretrained(tmp_path / "model")
    assert ViewTimeGenerator.from_pretrained(tmp_path / "model").draft is None
