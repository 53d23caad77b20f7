"""Movies: which frames they hold, that they decode, and the laws of frozen cameras and frozen times."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from view_scenes import ball_centers, colored_grid, moving_ball, rig

from fourreal.core.camera_paths import focus_point
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.errors import InputError
from fourreal.core.gaussians import DynamicScene, Gaussians
from fourreal.core.media import read_clip
from fourreal.splat.rasterize import rasterize
from fourreal.view.movie import plan_movie, write_grid_movie, write_movie
from fourreal.view.settings import MovieOptions
from fourreal.view.view_time_path import cell_path, waypoints

WHITE = torch.ones(3)


class Unseen:
    """A scene that knows its times but no cameras."""

    def __init__(self, scene: DynamicScene) -> None:
        self._scene = scene
        self.seconds = scene.seconds

    def at(self, seconds: float) -> Gaussians:
        return self._scene.at(seconds)


# ---- plans ------------------------------------------------------------------------------------------


def test_play_keeps_the_camera_and_runs_the_time():
    scene = moving_ball(5)
    plan = plan_movie(scene, "play", options=MovieOptions(fps=8, view=3))
    assert len(plan) == 1 + 8
    torch.testing.assert_close(plan.seconds, torch.arange(9) / 8)
    torch.testing.assert_close(plan.cameras.world_to_cam, scene.cameras.world_to_cam[3].expand(9, 4, 4))


def test_half_speed_takes_twice_as_long():
    plan = plan_movie(moving_ball(5), "play", options=MovieOptions(fps=8, speed=0.5))
    torch.testing.assert_close(plan.seconds, torch.arange(17) / 16)


def test_freeze_keeps_the_time_and_passes_every_camera_twice():
    scene = moving_ball(5)
    plan = plan_movie(scene, "freeze", options=MovieOptions(fps=10, camera_seconds=1, stop_frame=3))
    assert len(plan) == 21
    assert set(plan.seconds.tolist()) == {0.75}
    for index, view in ((0, 0), (5, 2), (10, 4), (15, 2), (20, 0)):
        torch.testing.assert_close(
            plan.cameras[index].world_to_cam, scene.cameras[view].world_to_cam, atol=1e-5, rtol=0
        )


def test_bullet_time_stops_and_goes_on():
    plan = plan_movie(moving_ball(5), "bullet", options=MovieOptions(fps=12, camera_seconds=1))
    times = plan.seconds
    stopped = (times == 0.5).nonzero().flatten()
    assert bool((times.diff() >= 0).all()), "time never runs back"
    assert len(stopped) == 24 + 1, "once there and back over the rig at a second each, and the moment it arrives"
    moved = (plan.cameras.world_to_cam.diff(dim=0).abs().flatten(1).max(1).values > 1e-6).nonzero().flatten()
    assert stopped[0] <= moved[0]
    assert moved[-1] <= stopped[-1]
    assert times[0] == 0
    assert times[-1] == 1


def test_sweep_moves_both():
    scene = moving_ball(5)
    plan = plan_movie(scene, "sweep", options=MovieOptions(fps=8))
    assert plan.seconds[0] == 0
    assert plan.seconds[-1] == 1
    torch.testing.assert_close(plan.cameras[4].world_to_cam, scene.cameras[4].world_to_cam, atol=1e-5, rtol=0)
    assert bool((plan.seconds.diff() > 0).all())


@pytest.mark.parametrize("moved", [False, True])
def test_a_full_orbit_keeps_its_distance_and_looks_at_the_focus(moved):
    """In a z-up world and in one whose first camera is the world (y down) alike."""
    scene = moving_ball(5)
    cameras = scene.cameras.moved(scene.cameras.world_to_cam[0]) if moved else scene.cameras
    plan = plan_movie(
        scene,
        "orbit",
        cameras=cameras,
        options=MovieOptions(fps=10, camera_seconds=2, span_deg=360, size=cameras.image_size),
    )
    focus = focus_point(cameras)
    offsets = plan.cameras.centers - focus
    torch.testing.assert_close(offsets.norm(dim=-1), torch.full((20,), 4.0), atol=1e-3, rtol=0)
    seen, depth = plan.cameras.project(focus.expand(20, 1, 3))
    torch.testing.assert_close(seen[:, 0], torch.tensor([64.0, 48.0]).expand(20, 2), atol=0.05, rtol=0)
    assert bool((depth > 0).all())
    angles = torch.nn.functional.cosine_similarity(offsets, offsets.roll(10, 0), dim=-1)
    if not moved:  # half a turn apart at 20 degrees above the horizon
        torch.testing.assert_close(angles, torch.full((20,), -math.cos(math.radians(40))), atol=1e-3, rtol=0)


def test_an_orbit_swings_where_the_rig_saw_one_side_and_circles_where_it_saw_all():
    def spread(cameras: Cameras) -> float:
        centers = plan_movie(moving_ball(5), "orbit", cameras=cameras, options=MovieOptions(fps=20)).cameras.centers
        directions = torch.nn.functional.normalize(centers[:, :2], dim=-1)
        return float(torch.rad2deg(torch.arccos((directions @ directions.T).clamp(-1, 1).min())))

    assert spread(rig(span_deg=60)) == pytest.approx(60, abs=2)
    assert spread(rig(8, span_deg=315)) == pytest.approx(180, abs=4)


def test_orbit_time_starts_over():
    plan = plan_movie(moving_ball(4), "orbit", options=MovieOptions(fps=8, camera_seconds=3))
    assert bool((plan.seconds.diff() < 0).any())
    assert float(plan.seconds.min()) == 0
    assert float(plan.seconds.max()) <= 0.75


def test_scenes_without_cameras_need_some():
    scene = Unseen(moving_ball())
    with pytest.raises(InputError, match="needs the input cameras"):
        plan_movie(scene, "play")
    assert len(plan_movie(scene, "play", cameras=rig(), options=MovieOptions(fps=4))) == 4


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fps": 0.0}, "positive fps"),
        ({"speed": -1.0}, "positive fps"),
        ({"camera_seconds": float("nan")}, "positive fps"),
        ({"span_deg": 400.0}, "360 degrees"),
    ],
)
def test_nonsense_options_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        MovieOptions(**values)


# ---- rendered ---------------------------------------------------------------------------------------


def test_the_file_shows_what_the_plan_says(tmp_path):
    scene = moving_ball(4)
    plan = plan_movie(scene, "bullet", options=MovieOptions(fps=6, camera_seconds=1, size=(64, 86)))
    reported = []
    write_movie(tmp_path / "m.mp4", scene, plan, progress=lambda done, total: reported.append((done, total)))
    clip = read_clip(tmp_path / "m.mp4")
    assert tuple(clip.frames.shape) == (len(plan), 3, 64, 86)
    torch.testing.assert_close(clip.seconds, torch.arange(len(plan)) / 6, atol=1e-3, rtol=0)
    assert reported == [(index + 1, len(plan)) for index in range(len(plan))]
    for index in (0, len(plan) // 2, len(plan) - 1):
        expected = rasterize(scene.at(float(plan.seconds[index])), plan.cameras[index], background=WHITE).color
        assert (clip.frames[index] - expected.clamp(0, 1)).abs().mean() < 0.03


def test_the_ball_is_where_its_centre_projects(tmp_path):
    scene = moving_ball(4)
    plan = plan_movie(scene, "play", options=MovieOptions(fps=4, view=2, size=scene.cameras.image_size))
    write_movie(tmp_path / "m.mp4", scene, plan)
    frames = read_clip(tmp_path / "m.mp4").frames
    pixels, _ = scene.cameras[2].project(ball_centers(4))
    for frame, (x, y) in zip(frames, pixels.round().int().tolist(), strict=True):
        red, green, _ = frame[:, y, x]
        assert red > 0.6 > green + 0.2


def test_a_frozen_camera_on_a_still_scene_gives_one_picture(tmp_path):
    scene = moving_ball(4, still=True)
    plan = plan_movie(scene, "play", options=MovieOptions(fps=8))
    write_movie(tmp_path / "m.mp4", scene, plan)
    frames = read_clip(tmp_path / "m.mp4").frames
    assert len(frames) == 7
    # The encoder may spend a level on refining a still picture; the renderer's frames are equal to the bit.
    assert (frames - frames[:1]).abs().max() < 8 / 255


def test_equal_frames_are_rendered_once(tmp_path, monkeypatch):
    calls = []

    def counted(*arguments, **keywords):
        calls.append(1)
        return rasterize(*arguments, **keywords)

    monkeypatch.setattr("fourreal.view.movie.rasterize", counted)
    scene = moving_ball(3, 200)
    write_movie(tmp_path / "m.mp4", scene, plan_movie(scene, "play", options=MovieOptions(fps=20, size=(32, 32))))
    assert len(read_clip(tmp_path / "m.mp4").frames) == 11
    assert len(calls) == 3


def test_odd_sizes_and_backgrounds(tmp_path):
    scene = moving_ball(2, 200)
    plan = plan_movie(scene, "play", options=MovieOptions(fps=4, size=(33, 45)))
    write_movie(tmp_path / "m.mp4", scene, plan, background=(0.0, 0.0, 1.0))
    frames = read_clip(tmp_path / "m.mp4").frames
    assert tuple(frames.shape[-2:]) == (34, 46)
    assert frames[0, 2, 0, 0] > 0.9 > 0.2 > frames[0, 0, 0, 0]


@pytest.mark.parametrize(("given", "made"), [((64, 64), (512, 512)), ((36, 64), (288, 512)), ((720, 406), (720, 406))])
def test_a_movie_is_at_least_512_pixels_long_unless_told_otherwise(given, made):
    scene = replace(moving_ball(2), cameras=moving_ball(2).cameras.resized(given))
    assert plan_movie(scene, "play").cameras.image_size == made
    assert plan_movie(scene, "play", options=MovieOptions(size=(32, 32))).cameras.image_size == (32, 32)


def test_a_grid_s_own_frames_are_enlarged_alike(tmp_path):
    write_grid_movie(tmp_path / "m.mp4", colored_grid(2, 2), "play")
    assert max(read_clip(tmp_path / "m.mp4").frames.shape[-2:]) == 512


def test_a_failing_render_leaves_nothing(tmp_path):
    scene = moving_ball(3, 100)

    class Breaks(Unseen):
        def at(self, seconds: float) -> Gaussians:
            if seconds > 0.2:
                raise RuntimeError("broken scene")
            return super().at(seconds)

    with pytest.raises(RuntimeError, match="broken scene"):
        write_movie(tmp_path / "m.mp4", Breaks(scene), plan_movie(scene, "play", options=MovieOptions(fps=8)))
    assert list(tmp_path.iterdir()) == []


# ---- straight from a grid ---------------------------------------------------------------------------


def test_bullet_time_over_a_grid_is_exactly_these_cells(tmp_path):
    grid = colored_grid(3, 4)
    cells = write_grid_movie(
        tmp_path / "m.mp4", grid, "bullet", options=MovieOptions(stop_frame=2, size=grid.image_size)
    )
    assert cells == [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (1, 2), (0, 2), (0, 3)]
    clip = read_clip(tmp_path / "m.mp4")
    expected = torch.stack([grid.frames[cell] for cell in cells])
    assert clip.frames.shape == expected.shape
    assert (clip.frames - expected).abs().max() < 0.03
    torch.testing.assert_close(clip.seconds, torch.arange(8) / grid.fps, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("move", "cells"),
    [
        ("play", [(1, 0), (1, 1), (1, 2)]),
        ("freeze", [(0, 1), (1, 1), (2, 1), (1, 1), (0, 1)]),
        ("bullet", [(1, 0), (1, 1), (2, 1), (1, 1), (0, 1), (1, 1), (1, 2)]),
        ("sweep", [(0, 0), (1, 0), (2, 1), (1, 2), (0, 2)]),
    ],
)
def test_cells_of_every_move(move, cells):
    assert cell_path(waypoints(move, 3, 3, view=1)) == cells


@pytest.mark.parametrize("move", ["play", "freeze", "bullet", "sweep"])
@pytest.mark.parametrize(("views", "times"), [(2, 1), (2, 9), (7, 3), (5, 5)])
def test_paths_take_single_steps_inside_the_grid(move, views, times):
    cells = cell_path(waypoints(move, views, times, view=views - 1))
    assert all(0 <= view < views and 0 <= time < times for view, time in cells)
    for (view_a, time_a), (view_b, time_b) in itertools.pairwise(cells):
        assert max(abs(view_b - view_a), abs(time_b - time_a)) == 1
    if move != "play":
        assert {view for view, _ in cells} == set(range(views))
    if move != "freeze":
        assert {cells[0][1], cells[-1][1]} == {0, times - 1}


def test_a_partly_known_grid_plays_what_it_has(tmp_path):
    grid = colored_grid(3, 4).with_known("cross")
    options = MovieOptions(stop_frame=0)
    assert write_grid_movie(tmp_path / "ok.mp4", grid, "bullet", options=options)
    with pytest.raises(InputError, match=r"does not have, \(view, time\): \(1, 1\), \(2, 1\)"):
        write_grid_movie(tmp_path / "no.mp4", grid, "bullet")
    assert not (tmp_path / "no.mp4").exists()


def test_places_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match="view 7 was asked for; there are views 0 to 2"):
        write_grid_movie(tmp_path / "m.mp4", colored_grid(), "play", options=MovieOptions(view=7))
    with pytest.raises(InputError, match="time 4 was asked for; there are times 0 to 3"):
        waypoints("freeze", 3, 4, stop_time=4)
    with pytest.raises(InputError, match="at least 2 views"):
        waypoints("bullet", 1, 4)


def test_a_single_camera_scene_can_play():
    scene = moving_ball(3, 100)
    one = Cameras(scene.cameras.world_to_cam[:1], intrinsics_from_fov(40.0, (96, 128))[None], (96, 128))
    assert len(plan_movie(scene, "play", cameras=one, options=MovieOptions(fps=4))) == 3
    assert len(plan_movie(scene, "orbit", cameras=one, options=MovieOptions(fps=4, camera_seconds=1))) == 4
