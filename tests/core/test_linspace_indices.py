"""Indices of a few items out of many."""

import itertools

import pytest

from fourreal.core.linspace_indices import linspace_indices


@pytest.mark.parametrize("total", [1, 2, 5, 16, 100])
@pytest.mark.parametrize("at_most", [1, 2, 7, 16])
def test_the_ends_and_the_order_are_kept(total, at_most):
    chosen = linspace_indices(total, at_most)
    assert len(chosen) == len(set(chosen)) == min(total, at_most)
    assert list(chosen) == sorted(chosen)
    assert chosen[0] == 0
    if len(chosen) > 1:
        assert chosen[-1] == total - 1


def test_steps_differ_by_one_at_most():
    chosen = linspace_indices(23, 7)
    gaps = [after - before for before, after in itertools.pairwise(chosen)]
    assert max(gaps) - min(gaps) <= 1
