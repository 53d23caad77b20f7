"""Matching: both ways at once, at any size, and what its attention knows of places."""

from __future__ import annotations

import pytest
import torch

from fourreal.core.errors import InputError
from fourreal.video.draft.exchanging import Exchange, place_angles, turned
from fourreal.video.draft.matching import Matcher


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    torch.manual_seed(1)
    made = Matcher.tiny().eval().requires_grad_(False)
    for parameter in made.parameters():  # new ones are zero in places, and zero agrees with everything
        parameter.add_(0.05 * torch.randn_like(parameter))
    return made


def test_exchanging_the_frames_exchanges_the_ways(matcher: Matcher) -> None:
    first, second = torch.rand(2, 2, 3, 32, 40).unbind(0)
    there, back = matcher(first, second), matcher(second, first)
    for name in ("flow", "visible", "similarity", "features"):
        swapped = torch.cat(getattr(back, name).chunk(2)[::-1])
        torch.testing.assert_close(getattr(there, name), swapped, atol=1e-4, rtol=1e-4)
    assert there.flow.shape == (4, 2, 32, 40)
    assert there.visible.shape == (4, 1, 32, 40)


def test_a_pair_is_matched_alike_in_any_company(matcher: Matcher) -> None:
    first, second = torch.rand(2, 3, 3, 16, 16).unbind(0)
    alone = matcher(first[1:2], second[1:2])
    together = matcher(first, second)
    torch.testing.assert_close(alone.flow, together.flow[[1, 4]], atol=1e-4, rtol=1e-4)


def test_large_frames_start_from_half_their_size(matcher: Matcher) -> None:
    made = matcher(torch.rand(1, 3, 112, 160), torch.rand(1, 3, 112, 160))
    assert made.similarity is None
    assert made.flow.shape == (2, 2, 112, 160)
    assert torch.isfinite(made.flow).all()


def test_sides_that_cannot_be_quartered_are_refused(matcher: Matcher) -> None:
    with pytest.raises(InputError, match="multiples of 4, got 18 x 16"):
        matcher(torch.rand(1, 3, 18, 16), torch.rand(1, 3, 18, 16))


def test_gradients_reach_every_parameter() -> None:
    made = Matcher.tiny()
    matches = made(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16))
    likelihood = matches.similarity.logsumexp(-1).mean()  # pyright: ignore[reportOptionalMemberAccess]
    flows = sum(guess.square().sum() for guess in (*matches.guesses, matches.flow))
    (flows + matches.visible.sum() + likelihood).backward()
    assert [name for name, parameter in made.named_parameters() if parameter.grad is None] == []


def test_products_of_turned_values_tell_the_distance_of_places() -> None:
    angles = place_angles((6, 6), 16)
    query, key = torch.randn(2, 1, 1, 16).expand(2, 1, 36, 16)
    products = (turned(query, angles) @ turned(key, angles).mT)[0].view(6, 6, 6, 6)
    torch.testing.assert_close(products[0, 0, 2, 1], products[3, 4, 5, 5], atol=1e-4, rtol=1e-4)


def test_a_new_exchange_changes_its_input_by_biases_alone() -> None:
    both = torch.randn(4, 9, 16)
    change = Exchange(16, 2)(both, place_angles((3, 3), 8)) - both
    torch.testing.assert_close(change, change[:1, :1].expand_as(change))
