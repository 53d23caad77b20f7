"""Known cells, dropped conditions and the two modes of a base model."""

from __future__ import annotations

import pytest
import torch

from fourreal.core.grid import known_pattern
from fourreal.video.conditioning import (
    MODES,
    STATIC_SHOT,
    ContextTokens,
    drop_conditions,
    embed_references,
    keep_conditions,
    prompt_for,
)


def test_references_add_their_embeddings_with_the_bias_once_more() -> None:
    patches = torch.nn.Conv3d(4, 6, (1, 2, 2), (1, 2, 2)).double()
    latents, references = torch.randn(2, 3, 4, 2, 4, 4).double(), torch.randn(2, 3, 4, 2, 4, 4).double()
    known = torch.ones(2, 3, 2, dtype=torch.bool)
    both = embed_references(patches, latents, references, known)
    of_sum = embed_references(patches, latents + references, None, None)
    assert both.shape == (2, 3 * 2 * 4, 6)
    torch.testing.assert_close(both, of_sum + patches.bias)


@pytest.mark.parametrize("pattern", ["none", "row", "column", "cross", "all"])
def test_any_pattern_adds_to_its_cells_only_and_exactly_nothing_elsewhere(pattern: str) -> None:
    patches = torch.nn.Conv3d(4, 6, (1, 2, 2), (1, 2, 2))
    latents, references = torch.randn(1, 3, 4, 5, 2, 2), torch.randn(1, 3, 4, 5, 2, 2)
    known = known_pattern(pattern, 3, 5)[None]
    plain = embed_references(patches, latents, None, None).view(1, 3, 5, 1, 6)
    given = embed_references(patches, latents, references, known).view(1, 3, 5, 1, 6)
    assert torch.equal((given != plain).any(-1).any(-1), known)


def test_a_patch_of_two_latents_is_known_when_both_are() -> None:
    patches = torch.nn.Conv3d(1, 2, (2, 1, 1), (2, 1, 1))
    latents = torch.randn(1, 1, 1, 4, 1, 1)
    known = torch.tensor([[[True, False, True, True]]])
    changed = embed_references(patches, latents, latents, known) != embed_references(patches, latents, None, None)
    assert changed.any(-1).flatten().tolist() == [False, True]


def test_conditions_drop_at_their_rate_and_repeat_with_the_seed() -> None:
    drawn = [drop_conditions(4000, 0.2, torch.Generator().manual_seed(7)) for _ in range(2)]
    assert torch.equal(*drawn)
    assert 0.17 < drawn[0].float().mean() < 0.23
    assert not drop_conditions(100, 0.0, torch.Generator()).any()
    assert drop_conditions(100, 1.0, torch.Generator()).all()


def test_text_and_references_drop_separately() -> None:
    text, null = torch.randn(4, 3, 5), torch.randn(3, 5)
    known = torch.ones(4, 2, 2, dtype=torch.bool)
    text_off, references_off = torch.tensor([1, 0, 1, 0]).bool(), torch.tensor([1, 1, 0, 0]).bool()
    kept, mask = keep_conditions(text, known, without_text=text_off, without_references=references_off, null_text=null)
    assert torch.equal(kept[0], null)
    assert torch.equal(kept[1], text[1])
    assert mask.flatten(1).any(1).tolist() == [False, False, True, True]
    zeroed, _ = keep_conditions(text, known, without_text=text_off, without_references=references_off)
    assert not zeroed[2].any()
    assert torch.equal(zeroed[3], text[3])


def test_context_tokens_stand_behind_the_text() -> None:
    tokens, text = ContextTokens(6), torch.randn(2, 3, 6)
    for index, mode in enumerate(MODES):
        out = tokens(text, mode)
        assert torch.equal(out[:, :3], text)
        assert torch.equal(out[:, 3], tokens.tokens[index].expand(2, -1))
    assert tokens(text, None).shape == (2, 5, 6)


def test_prompts_ask_for_the_mode() -> None:
    assert prompt_for("a cat", "dynamic") == f"a cat {STATIC_SHOT}"
    assert "still" in prompt_for("a cat", "freeze_time")
    assert prompt_for("", "dynamic") == STATIC_SHOT
