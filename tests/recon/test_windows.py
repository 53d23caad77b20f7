"""Windows: every time answered once, by a full window that overlaps the next and knows the first time."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourreal.core.errors import InputError
from fourreal.recon.windows import plan_windows


@given(times=st.integers(1, 60), size=st.integers(0, 12), overlap=st.integers(0, 10))
def test_laws(times: int, size: int, overlap: int):
    if size and times > size and overlap > size - 2:
        with pytest.raises(InputError, match="cannot advance"):
            plan_windows(times, size, overlap)
        return
    windows = plan_windows(times, size, overlap)
    answered = [window.times[place] for window in windows for place in window.answers]
    assert sorted(answered) == list(range(times))
    assert answered[0] == 0
    assert len({len(window.times) for window in windows}) == 1
    for window in windows:
        assert window.times[0] == 0
        assert list(window.times) == sorted(set(window.times))
        assert list(window.times[1:]) == list(range(window.times[1], window.times[-1] + 1)) if times > 1 else True
        assert len(window.times) <= (size or times)
        assert window.answers
    for before, after in itertools.pairwise(windows):
        assert len(set(before.times[1:]) & set(after.times[1:])) >= overlap


def test_all_at_once_and_short_grids_are_one_window():
    for size in (0, 5, 9):
        (window,) = plan_windows(5, size, 0)
        assert window.times == window.answers == (0, 1, 2, 3, 4)


def test_a_worked_example():
    windows = plan_windows(9, 4, 1)
    assert [window.times for window in windows] == [(0, 1, 2, 3), (0, 3, 4, 5), (0, 5, 6, 7), (0, 6, 7, 8)]
    answers = [[window.times[place] for place in window.answers] for window in windows]
    assert answers == [[0, 1, 2, 3], [4, 5], [6], [7, 8]]


def test_negative_sizes_are_refused():
    with pytest.raises(InputError, match="cannot be negative"):
        plan_windows(4, -1, 0)
