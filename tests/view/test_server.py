"""The live viewer: it answers, its slider changes what is shown, and a browser can drive it."""

from __future__ import annotations

import socket
import time
import urllib.request

import numpy as np
import pytest
import torch
from browser_tab import Tab, open_tab
from view_scenes import colored_grid, moving_ball, rig

from fourreal.core.camera_paths import look_at
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.cameras import stack as stack_cameras
from fourreal.core.errors import InputError
from fourreal.core.gaussians import GaussianSequence
from fourreal.core.grid import VideoGrid
from fourreal.core.media import to_uint8
from fourreal.splat.smoothing import smooth
from fourreal.view.contact_sheet import hatch
from fourreal.view.layers import GridWall, SplatLayer, cell_picture
from fourreal.view.panels import PANEL_PX
from fourreal.view.server import Viewer, serve
from fourreal.view.settings import ViewerOptions
from fourreal.view.thin import thin
from fourreal.view.viewer_frame import ViewerFrame, to_viewer_frame

QUIET = ViewerOptions(port=0, open=False)


def splats_of(viewer: Viewer) -> SplatLayer:
    (layer,) = (layer for layer in viewer.layers if isinstance(layer, SplatLayer))
    return layer


def eventually(condition, seconds: float = 120.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_it_answers_until_it_is_stopped(capfd):
    viewer = serve(scene=moving_ball(2, 50), options=QUIET)
    with urllib.request.urlopen(viewer.url, timeout=10) as answer:
        assert b"<html" in answer.read(2000)
    viewer.stop()
    viewer.stop()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", viewer.port)) != 0
    assert capfd.readouterr() == ("", "")


def test_it_listens_on_this_machine_only():
    with serve(grid=colored_grid(2, 2), options=QUIET) as viewer, socket.socket() as probe:
        assert viewer.server.get_host() == "127.0.0.1"
        # 127.0.0.2 is this machine too, but not the address it listens on.
        assert probe.connect_ex(("127.0.0.2", viewer.port)) != 0


def test_a_taken_port_leads_to_the_next():
    with (
        serve(scene=moving_ball(2, 50), options=QUIET) as first,
        serve(scene=moving_ball(2, 50), options=ViewerOptions(port=first.port, open=False)) as second,
    ):
        assert second.port > first.port


def test_the_slider_shows_the_step():
    scene = moving_ball(4, 200)
    # The number of Gaussians may differ from time to time.
    scene = GaussianSequence((*scene.steps[:3], thin(scene.steps[3], 0.5)), scene.seconds, scene.cameras)
    viewer_frame = ViewerFrame.for_cameras(scene.cameras)
    with serve(scene=scene, options=QUIET) as viewer:
        for step in (3, 0, 2):
            viewer.show_step(step)
            expected = to_viewer_frame(smooth(scene.steps[step], scene.cameras), viewer_frame)
            node = splats_of(viewer).node
            assert viewer.step == step
            np.testing.assert_array_equal(node.centers, expected.centers)
            np.testing.assert_allclose(node.covariances, expected.covariances, rtol=1e-2, atol=1e-6)
            np.testing.assert_array_equal(node.rgbs, expected.rgbs)


def test_play_runs_and_starts_over_and_pauses():
    scene = moving_ball(3, 50)
    seen: list[int] = []
    with serve(scene=scene, options=ViewerOptions(port=0, open=False, speed=4.0)) as viewer:
        assert viewer.step == 0
        viewer.time.slider.on_update(lambda _: seen.append(viewer.step))
        viewer.time.playing.value = True
        assert eventually(lambda: len(seen) >= 4)
        viewer.time.playing.value = False
        time.sleep(0.2)
        count = len(seen)
        time.sleep(0.3)
        assert len(seen) == count
    assert seen[:4] == [1, 2, 0, 1]


def test_the_grid_panel_shows_the_cell_of_both_sliders():
    grid = colored_grid(3, 4).with_known("cross")
    with serve(grid=grid, options=QUIET) as viewer:
        panel = viewer.grid_panel
        assert panel is not None
        for view, time_index in ((0, 3), (2, 0), (1, 2)):
            panel.view.value = view
            viewer.show_step(time_index)
            known = bool(grid.known[view, time_index])
            expected = to_uint8((grid.frames[view, time_index] if known else hatch((96, 128)))[None])[0]
            np.testing.assert_array_equal(panel.frame.image, expected)
            assert panel._caption.value.endswith("not known") != known


def test_the_frusta_show_the_frames_of_the_moment():
    grid = colored_grid(3, 4, cameras=True)
    with serve(grid=grid, options=QUIET) as viewer:
        layer = viewer.rig_layer
        assert layer is not None
        assert len(layer.frusta) == 3
        viewer.show_step(2)
        for view, frustum in enumerate(layer.frusta):
            np.testing.assert_array_equal(frustum.image, cell_picture(grid, view, 2, 192))


def test_cameras_that_move_take_their_frusta_along():
    parts = [rig(4, span_deg=20.0 + 10 * time_index) for time_index in range(3)]
    cameras = stack_cameras(parts)
    cameras = Cameras(cameras.world_to_cam.transpose(0, 1), cameras.intrinsics.transpose(0, 1), cameras.image_size)
    grid = colored_grid(4, 3)
    grid = VideoGrid.complete(grid.frames, grid.seconds, cameras)
    viewer_frame = ViewerFrame.for_cameras(cameras)
    with serve(grid=grid, options=QUIET) as viewer:
        assert viewer.rig_layer is not None
        for time_index in (0, 2, 1):
            viewer.show_step(time_index)
            _, positions = viewer_frame.poses(cameras[:, time_index])
            shown = np.stack([frustum.position for frustum in viewer.rig_layer.frusta])
            np.testing.assert_allclose(shown, positions, atol=1e-5)


def test_a_grid_without_cameras_hangs_on_a_wall():
    grid = colored_grid(3, 4)
    with serve(grid=grid, options=QUIET) as viewer:
        (wall,) = (layer for layer in viewer.layers if isinstance(layer, GridWall))
        viewer.show_step(3)
        picture = wall._handle.image
        assert picture.shape == (2 * 96, 2 * 128, 3)
        np.testing.assert_array_equal(picture[96:, :128], to_uint8(grid.frames[2, 3][None])[0])


def test_a_scene_keeps_its_own_cameras_beside_the_frames_of_its_grid():
    scene = moving_ball(4, 50)
    moved = scene.cameras.moved(scene.cameras.world_to_cam[0])
    grid = colored_grid(5, 4, cameras=True)
    with serve(scene=scene, grid=VideoGrid.complete(grid.frames, grid.seconds, moved), options=QUIET) as viewer:
        _, positions = ViewerFrame.for_cameras(scene.cameras).poses(scene.cameras)
        assert viewer.rig_layer is not None
        np.testing.assert_allclose(viewer.rig_layer.frusta[1].position, positions[1], atol=1e-5)


def test_too_many_gaussians_are_thinned_and_said():
    scene = moving_ball(2, 1000)
    with serve(scene=scene, options=ViewerOptions(port=0, open=False, max_gaussians=100)) as viewer:
        assert len(splats_of(viewer).node.centers) == 100
        assert viewer.notes == (
            "100 of up to 1,000 Gaussians are drawn, the most visible ones; raise max_gaussians for more",
        )


def test_the_up_axis_can_be_chosen():
    with serve(scene=moving_ball(2, 50), options=QUIET) as viewer:

        def root() -> list[float]:
            messages = [m for _, m in viewer.server.get_scene_serializer()._messages]
            return [m["wxyz"] for m in messages if m["type"] == "SetOrientationMessage" and m["name"] == ""][-1]

        automatic = root()
        viewer.up_axis.value = "-y"
        assert not np.allclose(root(), automatic)
        viewer.up_axis.value = "z"
        np.testing.assert_allclose(root(), automatic, atol=1e-6)
    with serve(scene=moving_ball(2, 50), options=ViewerOptions(port=0, open=False, up="-y")) as viewer:
        assert viewer.up_axis.value == "-y"
        assert viewer.viewer_frame.up.tolist() == [0, -1, 0]
        asked = root()
        viewer.up_axis.value = "automatic"
        np.testing.assert_allclose(root(), automatic, atol=1e-6)
        assert not np.allclose(asked, automatic)


def test_bad_input_is_one_sentence():
    with pytest.raises(InputError, match="got neither"):
        serve(options=QUIET)
    with pytest.raises(InputError, match="number from 0 to 65535"):
        ViewerOptions(port=70000)
    with pytest.raises(InputError, match="positive Gaussian limit"):
        ViewerOptions(max_gaussians=0)
    with pytest.raises(InputError, match="cannot show a grid of 3 views"):
        serve(scene=moving_ball(4, 50), grid=colored_grid(3, 4), options=QUIET)


@pytest.mark.parametrize("host", ["no such host", "203.0.113.7"])
def test_a_host_that_is_not_this_machine_is_refused(host):
    with pytest.raises(InputError, match="cannot listen on"):
        serve(scene=moving_ball(2, 50), options=ViewerOptions(host=host, port=0, open=False))


def test_no_free_port_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 65535))
        taken.listen()
        with pytest.raises(InputError, match="port 65535 or the next ones"):
            serve(scene=moving_ball(2, 50), options=ViewerOptions(port=65535, open=False))


def test_a_step_that_is_not_there_is_refused():
    with serve(scene=moving_ball(3, 50), options=QUIET) as viewer:
        with pytest.raises(InputError, match="there are steps 0 to 2"):
            viewer.show_step(3)
        assert viewer.step == 0


def test_a_scene_that_breaks_frees_its_port(monkeypatch):
    started: list[Viewer] = []
    original = Viewer._build

    def remember(self, *arguments):
        started.append(self)
        original(self, *arguments)

    def breaks(_self, _seconds):
        raise RuntimeError("broken scene")

    monkeypatch.setattr(Viewer, "_build", remember)
    monkeypatch.setattr(GaussianSequence, "at", breaks)
    with pytest.raises(RuntimeError, match="broken scene"):
        serve(scene=moving_ball(2, 50), options=QUIET)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", started[0].port)) != 0


# ---- in the browser ------------------------------------------------------------------------------


def click_frustum(tab: Tab, viewer: Viewer, grid: VideoGrid, view: int, moved) -> None:
    """Click along the axis of an input camera, as seen from the first look, until something moves."""
    assert grid.cameras is not None
    viewer_frame = viewer.viewer_frame
    box = tab.evaluate("(r => [r.height, r.width])(document.querySelector('canvas').getBoundingClientRect())")
    window = (round(box[0]), round(box[1]))
    looker = Cameras(
        look_at(viewer_frame.eye, torch.zeros(3), viewer_frame.up),
        intrinsics_from_fov(viewer_frame.fov_y_deg, window),
        window,
    )
    _, positions = viewer_frame.poses(grid.cameras)
    position = torch.from_numpy(positions[view])
    for ahead in (0.4, 0.6, 0.8, 0.2, 1.0):
        pixels, _ = looker.project((position - ahead * torch.nn.functional.normalize(position, dim=0))[None])
        tab.click(*pixels[0].tolist())
        if eventually(moved, 2.0):
            return
    raise AssertionError("no click met the frustum")


@pytest.mark.browser
def test_a_browser_drives_the_viewer(chromium, tmp_path):
    grid = colored_grid(3, 4, cameras=True)
    with serve(grid=grid, options=QUIET) as viewer, open_tab(chromium, tmp_path / "browser", (420, 760)) as tab:
        tab.open(viewer.url)
        assert eventually(lambda: viewer.server.get_clients())
        (client,) = viewer.server.get_clients().values()
        tab.wait_for("[...document.querySelectorAll('input')].some(e => e.value === '0.000 of 0.750')")

        viewer.show_step(2)
        tab.wait_for("[...document.querySelectorAll('input')].some(e => e.value === '0.500 of 0.750')")

        box = tab.evaluate(
            "(e => {const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]})"
            "([...document.querySelectorAll('input')].find(e => e.value === '2' && e.offsetWidth > 0))"
        )
        tab.click(*box)
        tab.press("a", control=True)
        tab.press("1")
        tab.press("Enter")
        assert eventually(lambda: viewer.step == 1)
        assert viewer.grid_panel is not None
        cell, frame = cell_picture(grid, 0, 1, PANEL_PX), viewer.grid_panel.frame
        assert eventually(lambda: np.array_equal(frame.image, cell))

        _, positions = viewer.viewer_frame.poses(grid.cameras)
        near = lambda: np.allclose(client.camera.position, positions[1], atol=1e-2)  # noqa: E731
        click_frustum(tab, viewer, grid, 1, near)
        expected = grid.cameras.cam_to_world[1, :3, 2].numpy()

        def looks_along_the_view() -> bool:
            # The browser reports position, direction and field of view in separate messages.
            toward = client.camera.look_at - client.camera.position
            along = np.allclose(toward / np.linalg.norm(toward), expected, atol=1e-3)
            return along and abs(client.camera.fov - np.deg2rad(40)) < 1e-3

        assert eventually(looks_along_the_view)
        assert not viewer.rig_layer.frusta[1].visible, "its own frame would hang before the eye"
        assert tab.errors == []
