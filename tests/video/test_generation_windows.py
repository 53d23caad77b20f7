"""Windows: a pure plan that covers everything once, and grids of any size made through it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_generator import AdditiveOracle, additive_grid, tiny_pixels
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.grid import known_pattern
from fourreal.video.codec import latent_known, latent_times
from fourreal.video.complete import complete_grid, read_prompt
from fourreal.video.generate import default_window, generate
from fourreal.video.settings import GenerationSettings
from fourreal.video.windows import Window, WindowSize, plan_windows

FAST = GenerationSettings(steps=2, device="cpu")
SMALL = WindowSize(views=3, frames=9)


def walk(known: Tensor, size: WindowSize) -> list[tuple[Window, Tensor]]:
    """Windows with what is known in them when their turn comes."""
    done, steps = known.clone(), []
    for window in plan_windows(known, size):
        cells = done[list(window.views)][:, window.start : window.stop]
        steps.append((window, cells.clone()))
        done[list(window.views), window.start : window.stop] = True
    assert bool(done.all()), "cells left out"
    return steps


@given(
    views=st.integers(1, 23),
    times=st.integers(1, 61),
    window_views=st.integers(2, 8),
    window_latents=st.integers(1, 6),
    overlap=st.tuples(st.integers(1, 3), st.integers(0, 2)),
    row=st.integers(0, 22),
    pattern=st.sampled_from(["none", "row", "column", "cross"]),
)
@settings(max_examples=150, deadline=None)
def test_windows_cover_everything_and_each_knows_a_row_or_column(
    views: int, times: int, window_views: int, window_latents: int, overlap: tuple, row: int, pattern: Any
) -> None:
    size = WindowSize(
        window_views,
        4 * window_latents + 1,
        min(overlap[0], window_views - 1),
        4 * min(overlap[1], window_latents - 1) + 1,
    )
    known = known_pattern(pattern, views, times).roll(row % views if pattern == "row" else 0, 0)
    steps = walk(known, size)
    for number, (window, cells) in enumerate(steps):
        assert len(set(window.views)) == len(window.views) <= size.views
        assert 0 < window.stop - window.start <= size.frames
        assert window.start % 4 == 0
        if number or pattern != "none":
            assert cells.all(1).any() or cells.all(0).any(), f"window {number} starts from nothing"
        # What is known begins on whole latents, so that all of it can guide.
        inside = latent_known(cells)
        assert cells.all(1).any() == inside.all(1).any()
        assert cells[:, 0].all() == inside[:, 0].all()


@given(views=st.integers(1, 23), times=st.integers(1, 61), row=st.integers(0, 22))
@settings(max_examples=60, deadline=None)
def test_neighbouring_views_stay_neighbours_and_finished_ones_come_first(views: int, times: int, row: int) -> None:
    known = torch.zeros(views, times, dtype=torch.bool)
    known[row % views] = True
    for number, (window, cells) in enumerate(walk(known, WindowSize(4, 9))):
        steps = torch.tensor(window.views).diff()
        assert (steps.abs() == 1).all()
        assert len(set(steps.tolist())) <= 1
        if views > 4:
            assert cells[0].all(), f"window {number} does not begin with a finished view"


def test_the_plan_is_what_one_would_draw() -> None:
    known = known_pattern("cross", 5, 17)
    assert plan_windows(known, SMALL) == (
        Window((0, 1, 2), 0, 9),
        Window((0, 1, 2), 8, 17),
        Window((2, 3, 4), 0, 9),
        Window((2, 3, 4), 8, 17),
    )
    assert plan_windows(known, WindowSize(8, 29)) == (Window((0, 1, 2, 3, 4), 0, 17),)


def test_windows_grow_both_ways_from_a_known_view_in_the_middle() -> None:
    known = torch.zeros(7, 5, dtype=torch.bool)
    known[2] = True
    rows = [window.views for window in plan_windows(known, WindowSize(3, 5))]
    assert rows == [(2, 3, 4), (4, 5, 6), (2, 1, 0)]
    known = known.flip(0)
    assert [window.views for window in plan_windows(known, WindowSize(3, 5))] == [(4, 3, 2), (2, 1, 0), (4, 5, 6)]


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        (WindowSize(3, 8), r"frames must be of the form 4k \+ 1; got 8"),
        (WindowSize(3, 9, 1, 2), "overlap_frames must be"),
        (WindowSize(3, 9, 3), "still move on"),
        (WindowSize(3, 9, 1, 9), "still move on"),
        (WindowSize(3, 9, 0), "overlap by at least one view"),
        (WindowSize(1, 9), "cannot cover 5 x 17"),
        (WindowSize(3, 1), "cannot cover 5 x 17"),
    ],
)
def test_windows_that_cannot_slide_are_refused(size: WindowSize, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        plan_windows(known_pattern("cross", 5, 17), size)


def _column(views: int, times: int, column: int, row: int) -> Tensor:
    known = torch.zeros(views, times, dtype=torch.bool)
    known[row], known[:, column] = True, True
    return known


@pytest.mark.parametrize(
    ("views", "times", "column", "row", "window"),
    [
        (3, 9, 0, 0, SMALL),
        (8, 25, 0, 0, SMALL),
        (7, 22, 0, 0, WindowSize(4, 13, 2, 5)),
        (9, 17, 0, 5, SMALL),
        (6, 21, 9, 2, SMALL),
        (2, 41, 0, 1, WindowSize(2, 5)),
    ],
)
@pytest.mark.filterwarnings("ignore:.*frames are not 4k")
def test_a_network_that_knows_the_truth_extends_to_the_truth(
    views: int, times: int, column: int, row: int, window: WindowSize
) -> None:
    truth = additive_grid(views, times)
    model = tiny_pixels(AdditiveOracle)
    known = _column(views, times, column, row)
    done = generate(model, truth.with_known(known), window=window, settings=FAST)
    torch.testing.assert_close(done.frames, truth.frames, rtol=0, atol=5e-6)
    assert torch.equal(done.frames[known], truth.frames[known])
    seen = [call["latents"].shape for call in model.transformer.calls]  # pyright: ignore[reportAttributeAccessIssue]
    assert max(shape[1] for shape in seen) <= window.views, "more views than a window at once"
    assert max(shape[3] for shape in seen) <= latent_times(window.frames), "more times than a window at once"


def test_a_single_time_extends_along_the_views() -> None:
    grid = additive_grid(8, 1).with_known("row")
    done = generate(tiny_pixels(), grid, window=WindowSize(3, 5), settings=FAST)
    assert bool(done.known.all())
    assert torch.equal(done.frames[0], grid.frames[0])


def test_one_window_is_plain_generation() -> None:
    model, grid = tiny_pixels(), additive_grid(3, 9).with_known("row")
    whole = complete_grid(model, grid, read_prompt(model, "", FAST), FAST, torch.Generator().manual_seed(FAST.seed))
    assert torch.equal(generate(model, grid, settings=FAST).frames, whole.frames)


def test_sliding_is_deterministic_and_counts_its_steps() -> None:
    model, grid, told = tiny_pixels(), additive_grid(5, 17).with_known("cross"), []
    one = generate(model, grid, window=SMALL, settings=FAST, progress=lambda done, total: told.append((done, total)))
    assert told == [(i, 8) for i in range(1, 9)]
    assert torch.equal(one.frames, generate(model, grid, window=SMALL, settings=FAST).frames)
    assert torch.equal(one.frames[grid.known], grid.frames[grid.known])


def test_a_single_video_extends_along_time_and_text_alone_is_enough() -> None:
    own_base = tiny_pixels(context_tokens=True, trained="video")
    longer = generate(own_base, additive_grid(1, 21).with_known("none"), window=WindowSize(1, 9), settings=FAST)
    assert bool(longer.known.all())
    stock = tiny_pixels(trained="video")
    with pytest.raises(InputError, match="not trained with given frames"):
        generate(stock, additive_grid(1, 21).with_known("none"), window=WindowSize(1, 9), settings=FAST)


def test_the_default_window_respects_the_model() -> None:
    grid = additive_grid(30, 97).with_known("cross")
    window = default_window(tiny_pixels(), grid, FAST)
    assert (window.views, window.frames) == (8, 61)
    short = tiny_pixels(t_max=5, rope_max_seq_len=20)
    window = default_window(short, grid, FAST)
    assert window.frames <= 17
    assert (window.views - 1) * 5 + latent_times(window.frames) <= 20
