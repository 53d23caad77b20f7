"""Each baseline is exact where its assumption holds, keeps known cells, and refuses what it cannot do."""

from __future__ import annotations

import pytest
import torch

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.eval.baselines import BASELINES, change_add, copy_time, copy_view, flow_warp, nearest_view, row_warp
from fourreal.eval.image_metrics import psnr

VIEWS, TIMES, SIDE = 3, 4, 48


def texture(seed: int = 0, side: int = 96) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, side // 6, side // 6, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)[0]


def window(image: torch.Tensor, x: int, y: int) -> torch.Tensor:
    return image[:, 20 + y : 20 + y + SIDE, 20 + x : 20 + x + SIDE]


def grid_of(cell) -> VideoGrid:
    frames = torch.stack([torch.stack([cell(v, t) for t in range(TIMES)]) for v in range(VIEWS)])
    return VideoGrid.complete(frames, torch.arange(float(TIMES)))


@pytest.fixture
def panning() -> VideoGrid:
    """A plane that slides by a pixel a time and a pixel and a half a view: image motion is the same in all views."""
    image = texture()
    return grid_of(lambda v, t: window(image, 2 * v, -t))


@pytest.mark.parametrize("name", BASELINES)
def test_known_cells_are_kept_and_all_others_filled(name: str, panning: VideoGrid) -> None:
    filled = BASELINES[name](panning.with_known("cross"))
    assert bool(filled.known.all())
    assert torch.equal(filled.frames[0], panning.frames[0])
    assert torch.equal(filled.frames[:, 0], panning.frames[:, 0])
    assert bool((filled.frames[1:, 1:].flatten(2).std(-1) > 0).all()), "no cell is left empty"


def test_static_scene_makes_copy_view_exact() -> None:
    image = texture()
    truth = grid_of(lambda v, t: window(image, 5 * v, v))
    assert torch.equal(copy_view(truth.with_known("column")).frames, truth.frames)
    torch.testing.assert_close(change_add(truth.with_known("cross")).frames, truth.frames)
    torch.testing.assert_close(flow_warp(truth.with_known("cross")).frames, truth.frames, atol=1e-3, rtol=0)


def test_views_that_coincide_make_copy_time_exact() -> None:
    image = texture()
    truth = grid_of(lambda v, t: window(image, 3 * t, 2 * t))
    assert torch.equal(copy_time(truth.with_known("row")).frames, truth.frames)
    assert torch.equal(nearest_view(truth.with_known("row")).frames, truth.frames)


def test_changing_light_makes_change_add_exact() -> None:
    images = [0.2 + 0.4 * window(texture(seed), 0, 0) for seed in range(VIEWS)]
    truth = grid_of(lambda v, t: images[v] + 0.05 * t)
    torch.testing.assert_close(change_add(truth.with_known("cross")).frames, truth.frames)
    assert float((copy_view(truth.with_known("cross")).frames - truth.frames).abs().max()) > 0.1


def test_flow_warp_follows_motion_that_copying_misses(panning: VideoGrid) -> None:
    inner = (slice(1, None), slice(1, None), slice(None), slice(8, -8), slice(8, -8))
    score = {}
    for name, fill in BASELINES.items():
        filled = fill(panning.with_known("cross")).frames[inner].flatten(0, 1)
        score[name] = float(psnr(filled, panning.frames[inner].flatten(0, 1)).mean())
    assert score["flow-warp"] > 30
    warping = ("flow-warp", "row-warp")
    assert score["flow-warp"] > 6 + max(value for name, value in score.items() if name not in warping)
    assert score["row-warp"] > 30, "a plane has the disparity of what was in its place before"


def test_row_warp_shows_new_things_where_views_differ_by_a_shift() -> None:
    images = [texture(seed) for seed in range(TIMES)]
    truth = grid_of(lambda v, t: window(images[t], 2 * v, v))
    inner = (slice(1, None), slice(1, None), slice(None), slice(8, -8), slice(8, -8))
    filled = row_warp(truth.with_known("cross")).frames
    assert float(psnr(filled[inner].flatten(0, 1), truth.frames[inner].flatten(0, 1)).min()) > 30


def test_nearest_view_prefers_the_same_time_then_the_nearest_row() -> None:
    frames = torch.stack([torch.full((3, 2, 2), (3 * v + t) / 20) for v in range(4) for t in range(3)])
    truth = VideoGrid.complete(frames.reshape(4, 3, 3, 2, 2), torch.arange(3.0))
    known = torch.zeros(4, 3, dtype=torch.bool)
    known[0, 0] = known[3, 0] = known[3, 2] = True
    filled = nearest_view(truth.with_known(known)).frames[:, :, 0, 0, 0] * 20
    assert filled.round().int().tolist() == [[0, 0, 11], [0, 0, 11], [9, 9, 11], [9, 9, 11]]


def test_missing_inputs_are_named(panning: VideoGrid) -> None:
    with pytest.raises(InputError, match=r"copy-view needs every view's first frame; missing for views \[1, 2\]"):
        copy_view(panning.with_known("row"))
    with pytest.raises(InputError, match=r"copy-time needs the first view at every time; missing at times \[1, 2, 3\]"):
        copy_time(panning.with_known("column"))
    for fill in (change_add, flow_warp):
        with pytest.raises(InputError, match="needs"):
            fill(panning.with_known("row"))
    with pytest.raises(InputError, match="at least one known cell"):
        nearest_view(panning.with_known("none"))
