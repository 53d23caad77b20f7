"""The one-file page: its size, its refusals, and what a browser shows when it opens the file."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from browser_tab import Tab, open_tab
from view_scenes import ball_centers, colored_grid, moving_ball, unrepeating

from fourreal.core.camera_paths import look_at
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.errors import InputError
from fourreal.core.gaussians import GaussianSequence
from fourreal.view.page import write_page
from fourreal.view.settings import PageOptions
from fourreal.view.thin import importance, thin
from fourreal.view.viewer_frame import ViewerFrame

# The viewer logs this for any splats; they render all the same.
KNOWN_ERROR = "computeBoundingSphere(): Computed radius is NaN"


def test_eight_times_twenty_thousand_is_under_six_megabytes(tmp_path):
    size = write_page(unrepeating(8, 20_000), tmp_path / "scene.html")
    assert size == (tmp_path / "scene.html").stat().st_size
    assert 4e6 < size < 6e6, "random scenes cannot compress well; a much smaller page has lost something"


def test_too_large_a_scene_says_how_far_to_thin_and_writes_nothing(tmp_path):
    scene = unrepeating(4, 5000)
    with pytest.raises(InputError, match=r"would be [\d.]+ MB .* 1\.2 MB; keep 0\.\d+ of the Gaussians") as caught:
        write_page(scene, tmp_path / "scene.html", options=PageOptions(max_mb=1.2))
    assert list(tmp_path.iterdir()) == []
    advised = float(str(caught.value).split("keep ")[1].split(" ")[0])
    assert 0.3 < advised < 0.9
    assert write_page(scene, tmp_path / "scene.html", options=PageOptions(max_mb=1.2, keep=advised)) <= 1.2e6


def test_a_hopeless_scene_is_refused_before_it_is_compressed(tmp_path, monkeypatch):
    monkeypatch.setattr("fourreal.view.page._record", lambda *_: pytest.fail("should not get this far"))
    with pytest.raises(InputError, match=r"at least 1\.2 MB"):
        write_page(moving_ball(8, 20_000), tmp_path / "scene.html", options=PageOptions(max_mb=1.0))


def test_thinning_keeps_the_most_important_in_their_order():
    step = unrepeating(1, 1000).steps[0]
    kept = thin(step, 0.25)
    assert len(kept) == 250
    threshold = importance(step).sort(descending=True).values[249]
    assert torch.equal(kept.means, step.means[importance(step) >= threshold])
    assert thin(step, 1.0) is step
    assert len(thin(step, 1e-9)) == 1


def test_thinning_is_deterministic():
    step = moving_ball().steps[0]
    assert torch.equal(thin(step, 0.3).means, thin(step, 0.3).means)
    assert torch.equal(thin(step, 0.3).means, step.means[:600]), "all of the ball matter alike: the earliest stay"


@pytest.mark.parametrize("keep", [0.0, -1.0, 1.5, float("nan")])
def test_nonsense_fractions_are_refused(keep):
    with pytest.raises(InputError, match="fraction"):
        thin(moving_ball().steps[0], keep)


def test_nonsense_background_is_refused(tmp_path):
    with pytest.raises(InputError, match="three values from 0 to 1"):
        write_page(moving_ball(2, 100), tmp_path / "a.html", options=PageOptions(background=(0.0, 255.0, 0.0)))


def test_a_grid_of_other_views_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cameras of shape \[5\] cannot show a grid of 3 views x 4 times"):
        write_page(moving_ball(4, 100), tmp_path / "a.html", grid=colored_grid(3, 4))


def test_writing_is_silent_and_deterministic(tmp_path, capfd):
    scene = moving_ball(3, 500)
    steps: list[tuple[int, int]] = []
    for name in ("a.html", "b.html"):
        write_page(scene, tmp_path / name, progress=lambda done, total: steps.append((done, total)))
    assert capfd.readouterr() == ("", "")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert steps == [(1, 3), (2, 3), (3, 3)] * 2


# ---- in the browser ------------------------------------------------------------------------------


def expected_pixel(scene: GaussianSequence, index: int, window: tuple[int, int]) -> tuple[int, int]:
    """(x, y) at which the first look shows the ball's centre."""
    viewer_frame = ViewerFrame.for_cameras(scene.cameras)
    center = (ball_centers(len(scene.steps))[index] - viewer_frame.origin) * viewer_frame.scale
    pose = look_at(viewer_frame.eye, torch.zeros(3), viewer_frame.up)
    camera = Cameras(pose, intrinsics_from_fov(viewer_frame.fov_y_deg, window), window)
    (x, y), _ = (value[0] for value in camera.project(center[None]))
    return round(float(x)), round(float(y))


def settled_screenshot(tab: Tab, seconds: float = 120.0) -> np.ndarray:
    """A screenshot that two looks agree on."""
    deadline, previous = time.monotonic() + seconds, tab.screenshot()
    while time.monotonic() < deadline:
        time.sleep(0.3)
        current = tab.screenshot()
        if current.std() > 10 and np.array_equal(current, previous):
            return current
        previous = current
    raise AssertionError("the page never came to rest")


@pytest.mark.browser
def test_the_page_plays_in_a_browser_from_a_file(chromium, tmp_path):
    scene = moving_ball(8, 20_000)
    path = tmp_path / "scene.html"
    options = PageOptions(title="a <ball>", background=(0.0, 0.0, 0.4))
    write_page(scene, path, grid=colored_grid(5, 8, cameras=True), options=options)
    with open_tab(chromium, tmp_path / "browser", (240, 320)) as tab:
        tab.open(path.as_uri())
        tab.wait_for("document.querySelector('input')")
        canvas = tab.evaluate("(r => [r.height, r.width])(document.querySelector('canvas').getBoundingClientRect())")
        window = (round(canvas[0]), round(canvas[1]))
        bar = tab.evaluate("(r => r.top + r.height / 2)(document.querySelector('input').getBoundingClientRect())")
        tab.click(20, bar)  # pause
        tab.evaluate("document.querySelectorAll('[class*=otification]').forEach(e => e.style.display = 'none')")
        shots = {}
        for index, x in ((0, 86), (7, 231)):
            tab.click(x, bar)  # the ends of the timeline
            shots[index] = settled_screenshot(tab)
        assert tab.requests == [path.as_uri()], "a page must not ask the network for anything"
        assert [error for error in tab.errors if KNOWN_ERROR not in error] == []
        assert tab.evaluate("document.title") == "a <ball>"
    for index, other in ((0, 7), (7, 0)):
        x, y = expected_pixel(scene, index, window)
        red, green, _ = shots[index][y, x].astype(int)
        assert red > 150 > green + 60, f"the ball should be at ({x}, {y}) at time {index}"
        red, green, _ = shots[other][y, x].astype(int)
        assert red < 120, f"the ball should not be at ({x}, {y}) at time {other}"
    corner = shots[0][2, window[1] - 2].astype(int)
    assert np.abs(corner - (0, 0, 102)).max() < 12, "the background has its colour"
