"""Rotary positions: only differences count, lengths are kept, and the tables equal complex rotation."""

from __future__ import annotations

import torch

from fourreal.recon.rope import BASE, Rotary, grid_positions


def test_rotation_equals_multiplying_by_unit_complex_numbers():
    positions = torch.rand(7, 2) * 10
    heads = torch.randn(3, 2, 7, 24)
    turned = Rotary.at(positions, (16, 8)).rotate(heads)
    start = 0
    for axis, width in enumerate((16, 8)):
        part = torch.complex(heads[..., start : start + width // 2], heads[..., start + width // 2 : start + width])
        rates = torch.tensor([BASE ** (-2 * k / width) for k in range(width // 2)])
        expected = part * torch.exp(1j * positions[:, axis, None] * rates)
        torch.testing.assert_close(turned[..., start : start + width // 2], expected.real, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(turned[..., start + width // 2 : start + width], expected.imag, atol=1e-5, rtol=1e-5)
        start += width


def test_scores_depend_on_differences_of_positions_only():
    positions, queries, keys = torch.rand(6, 2) * 5, torch.randn(1, 1, 6, 16), torch.randn(1, 1, 6, 16)

    def scores(shift: float) -> torch.Tensor:
        rotary = Rotary.at(positions + shift, (8, 8))
        return rotary.rotate(queries) @ rotary.rotate(keys).mT

    torch.testing.assert_close(scores(0.0), scores(17.0), atol=1e-4, rtol=1e-4)


def test_lengths_are_kept_and_position_zero_changes_nothing():
    heads = torch.randn(2, 3, 5, 8)
    rotary = Rotary.at(torch.arange(5.0)[:, None], (8,))
    torch.testing.assert_close(rotary.rotate(heads).norm(dim=-1), heads.norm(dim=-1))
    torch.testing.assert_close(rotary.rotate(heads)[:, :, 0], heads[:, :, 0])


def test_special_tokens_stand_at_the_origin_and_patches_start_at_one():
    positions = grid_positions(2, 3, 2)
    assert positions.tolist() == [[0, 0], [0, 0], [1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [2, 3]]


def test_repeating_equals_tables_of_repeated_positions():
    positions = grid_positions(2, 2, 1)
    repeated, direct = Rotary.at(positions, (4, 4)).repeat(3), Rotary.at(positions.repeat(3, 1), (4, 4))
    heads = torch.randn(1, 1, 15, 8)
    assert torch.equal(repeated.rotate(heads), direct.rotate(heads))
