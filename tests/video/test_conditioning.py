"""Known cells, dropped conditions and the two modes of a base model."""

from __future__ import annotations

import pytest
import torch

from fourreal.core.grid import known_pattern
from fourreal.video.conditioning import (
    MODES,
    STATIC_SHOT,
    ContextTokens,
    embed_references,
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
