"""`reconstruct`: whole, in chunks, of any size and length; what it refuses and what it warns of."""

from __future__ import annotations

import gc
import warnings
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from awake import awake_model

from fourreal.core.camera_paths import orbit
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.errors import InputError
from fourreal.core.gaussians import GaussianSequence
from fourreal.core.grid import VideoGrid
from fourreal.core.notes import UserNote
from fourreal.recon import frame_size
from fourreal.recon.fidelity import input_psnr_db
from fourreal.recon.overlap import shared_shares
from fourreal.recon.reconstruct import (
    LOW_PSNR_DB,
    ReconstructSettings,
    gaussians_from_geometry,
    network_size,
    reconstruct,
)
from fourreal.recon.target_cameras import predict_target_cameras
from fourreal.splat.rasterize import rasterize

KEEP_ALL = ReconstructSettings(min_opacity=0.0, align="never")
pytestmark = pytest.mark.filterwarnings("ignore::fourreal.core.notes.UserNote")


def _grid(views: int = 2, times: int = 3, size: tuple[int, int] = (24, 32), seed: int = 1) -> VideoGrid:
    frames = torch.rand(views, times, 3, *size, generator=torch.Generator().manual_seed(seed))
    return VideoGrid.complete(frames, torch.arange(times) / 8)


def _assert_same(one: GaussianSequence, other: GaussianSequence) -> None:
    torch.testing.assert_close(one.cameras.world_to_cam, other.cameras.world_to_cam, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(one.cameras.intrinsics, other.cameras.intrinsics, atol=1e-3, rtol=1e-4)
    assert len(one.steps) == len(other.steps)
    for a, b in zip(one.steps, other.steps, strict=True):
        for name in ("means", "quats_wxyz", "scales", "opacities", "sh"):
            torch.testing.assert_close(getattr(a, name), getattr(b, name), atol=1e-4, rtol=1e-3)


def test_a_scene_comes_out_with_one_gaussian_per_pixel_and_one_camera_per_view():
    grid = _grid()
    scene = reconstruct(awake_model(), grid, KEEP_ALL)
    assert [len(step) for step in scene.steps] == [2 * 24 * 32] * 3
    assert scene.cameras.batch_shape == (2,)
    assert scene.cameras.image_size == (24, 32)
    assert torch.equal(scene.seconds, grid.seconds)
    torch.testing.assert_close(scene.cameras.world_to_cam[0], torch.eye(4), atol=1e-5, rtol=0)


@pytest.mark.parametrize("share_cameras", [True, False])
def test_chunks_do_not_change_the_result(share_cameras: bool):
    model, grid = awake_model(share_cameras=share_cameras), _grid(times=9)
    settings = replace(KEEP_ALL, window_frames=4, window_overlap=1)
    scenes = [reconstruct(model, grid, replace(settings, chunk_windows=size)) for size in (1, 2, 0)]
    _assert_same(scenes[0], scenes[1])
    _assert_same(scenes[0], scenes[2])


def test_windows_large_enough_equal_no_windows():
    model, grid = awake_model(), _grid(times=4)
    _assert_same(
        reconstruct(model, grid, replace(KEEP_ALL, window_frames=0)),
        reconstruct(model, grid, replace(KEEP_ALL, window_frames=4)),
    )


def test_every_window_answers_in_the_scale_of_the_first():
    """A network whose answer for the first time changes from window to window is brought back to it."""
    model, grid = awake_model(), _grid(times=7)
    once = reconstruct(model, grid, replace(KEEP_ALL, window_frames=0))
    windowed = reconstruct(model, grid, replace(KEEP_ALL, window_frames=3, window_overlap=0))
    for time in range(7):
        here, there = (float(scene.steps[time].means[:, 2].median()) for scene in (once, windowed))
        assert there == pytest.approx(here, rel=0.5)


def test_a_chunk_is_forgotten_before_the_next_is_computed():
    model = awake_model()
    alive: list[weakref.ref] = []

    def before(*_) -> None:
        gc.collect()
        assert [answer for answer in alive if answer() is not None] == []

    def after(module, given, answer) -> None:
        alive.extend(weakref.ref(part.untyped_storage()) for part in (answer.depth, answer.gaussians, given[0]))

    model.register_forward_pre_hook(before)
    model.register_forward_hook(after)
    reconstruct(model, _grid(times=6), replace(KEEP_ALL, window_frames=2, window_overlap=0))
    assert len(alive) > 6


def test_progress_is_told_after_every_chunk():
    seen: list[tuple[int, int]] = []
    settings = replace(KEEP_ALL, window_frames=3, window_overlap=0)
    reconstruct(awake_model(), _grid(times=7), settings, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_cameras_are_shared_or_those_of_the_first_time():
    grid = _grid(times=3)
    for share in (True, False):
        model = awake_model(share_cameras=share)
        scene = reconstruct(model, grid, KEEP_ALL)
        with torch.no_grad():
            rig = model(grid.frames[None]).cameras[0, :, 0]
        first = rig.moved(rig.world_to_cam[0])
        torch.testing.assert_close(scene.cameras.world_to_cam, first.world_to_cam, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("size", "expected"), [((24, 32), (24, 32)), ((25, 33), (24, 32)), ((300, 400), (24, 32))])
def test_sizes_off_the_patch_are_scaled_and_cameras_stay_true(size: tuple[int, int], expected: tuple[int, int]):
    model, grid = awake_model(), _grid(times=1, size=size)
    assert network_size(size, model) == expected
    scene = reconstruct(model, grid, KEEP_ALL)
    assert scene.cameras.image_size == size
    assert len(scene.steps[0]) == 2 * expected[0] * expected[1]
    # A Gaussian's centre (before refinement) lies on the ray of its pixel, whatever the image size.
    shown = scene.cameras.resized(expected)
    torch.testing.assert_close(shown.intrinsics[:, 0, 2], torch.full((2,), expected[1] / 2))
    torch.testing.assert_close(scene.cameras.intrinsics[:, 1, 2], torch.full((2,), size[0] / 2))


def test_a_static_scene_is_welcome():
    assert len(reconstruct(awake_model(), _grid(times=1), KEEP_ALL).steps) == 1


def test_geometry_mode_needs_no_gaussian_head():
    model = awake_model(gaussian_head=False)
    grid = _grid(times=2)
    scene = reconstruct(model, grid, KEEP_ALL)
    with torch.no_grad():
        prediction = model(grid.frames[None])
    expected = 1 - 1 / prediction.depth_confidence[0, :, 1].flatten()
    torch.testing.assert_close(scene.steps[1].opacities, expected, atol=1e-4, rtol=1e-3)
    pixels, depth = scene.cameras.project(scene.steps[1].means.reshape(2, -1, 3))
    grid_pixels = scene.cameras.pixel_centers().reshape(-1, 2)
    torch.testing.assert_close(pixels, grid_pixels.expand(2, -1, 2), atol=5e-2, rtol=1e-3)
    torch.testing.assert_close(depth, prediction.depth[0, :, 1].flatten(1), atol=1e-3, rtol=1e-3)


def test_geometry_mode_on_true_depth_shows_the_frames_again():
    size = (32, 32)
    poses = orbit(torch.zeros(3), 3.0, torch.tensor([0.0, 8.0]), 10.0)
    rig = Cameras(poses, intrinsics_from_fov(torch.full((2,), 45.0), size), size)
    # A plane through the origin, facing between the two cameras; its colour is a smooth function of place.
    normal = torch.nn.functional.normalize(rig.centers.mean(0), dim=0)
    rays = rig.ray_directions()
    depth = (-(rig.centers @ normal)[:, None] / (rays @ normal)).reshape(2, *size)
    points = rig.unproject(rig.pixel_centers().reshape(-1, 2).expand(2, -1, 2), depth.flatten(1))
    frames = (0.5 + 0.4 * torch.sin(3 * points)).permute(0, 2, 1).reshape(2, 3, *size)
    gaussians = gaussians_from_geometry(frames, depth, torch.full((2, *size), 50.0), rig)
    rendered = rasterize(gaussians, rig)
    inner = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    error = (rendered.color / rendered.alpha[:, None].clamp(min=0.1) - frames)[inner].square().mean()
    assert float(-10 * error.log10()) > 30
    assert rendered.alpha[:, 4:-4, 4:-4].min() > 0.9


def test_pruning_options_take_away():
    model, grid = awake_model(), _grid(times=1)
    full = len(reconstruct(model, grid, KEEP_ALL).steps[0])
    opacities = reconstruct(model, grid, KEEP_ALL).steps[0].opacities
    fewer = reconstruct(model, grid, replace(KEEP_ALL, min_opacity=0.5)).steps[0]
    assert len(fewer) == int((opacities >= 0.5).sum())
    assert len(reconstruct(model, grid, replace(KEEP_ALL, drop_least_confident=0.25)).steps[0]) == full * 3 // 4
    assert len(reconstruct(model, grid, replace(KEEP_ALL, merge_voxel=0.2)).steps[0]) < full
    framed = grid.frames.clone()
    framed[..., :6, :] = 1.0
    white = VideoGrid.complete(framed, grid.seconds)
    dropped = reconstruct(model, white, replace(KEEP_ALL, drop_white_background=True))
    assert len(dropped.steps[0]) == 2 * 18 * 32


def test_half_precision_blocks_come_close():
    model, grid = awake_model(), _grid(times=1)
    exact, rough = (reconstruct(model, grid, replace(KEEP_ALL, precision=p)) for p in ("float32", "bfloat16"))
    error = (exact.steps[0].means - rough.steps[0].means).norm() / exact.steps[0].means.norm()
    assert 0 < float(error) < 0.1


# ---- bad input --------------------------------------------------------------------------------


def test_one_view_is_refused():
    with pytest.raises(InputError, match="at least two views of the scene; the grid has one"):
        reconstruct(awake_model(), _grid(views=1))


def test_missing_cells_are_named():
    with pytest.raises(InputError, match=r"reconstruction needs a complete grid; missing cells .*\(1, 1\), \(1, 2\)"):
        reconstruct(awake_model(), _grid().with_known("cross"))


def test_an_all_white_frame_is_named():
    frames = _grid().frames.clone()
    frames[1, 2] = 1.0
    with pytest.raises(InputError, match="view 1 at time 2 is all white"):
        reconstruct(awake_model(), VideoGrid.complete(frames, torch.arange(3.0)))


def test_nan_in_frames_is_refused_before_the_network_runs():
    frames = _grid().frames.clone()
    frames[0, 1, 0, 3, 3] = torch.nan
    with pytest.raises(InputError, match="NaN or infinity, first in view 0, time 1"):
        reconstruct(awake_model(), VideoGrid.complete(frames, torch.arange(3.0)))


def test_nan_in_the_answer_blames_the_weights():
    model = awake_model()
    torch.nn.init.constant_(model.depth_head.norm.weight, torch.nan)
    with pytest.raises(InputError, match="prediction holds NaN or infinity; its weights are damaged"):
        reconstruct(model, _grid())


def test_windows_that_cannot_advance_are_refused():
    with pytest.raises(InputError, match="cannot advance"):
        reconstruct(awake_model(), _grid(times=9), ReconstructSettings(window_frames=3, window_overlap=2))


@pytest.mark.parametrize("wrong", [{"min_opacity": 1.0}, {"drop_least_confident": -0.1}, {"merge_voxel": -1.0}])
def test_impossible_settings_are_refused(wrong: dict[str, float]):
    with pytest.raises(InputError):
        ReconstructSettings(**wrong)


# ---- doubts -----------------------------------------------------------------------------------


def _said(model: torch.nn.Module, grid: VideoGrid) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reconstruct(model, grid, KEEP_ALL)
    return [str(one.message) for one in caught if issubclass(one.category, UserNote)]


def test_low_confidence_is_said_of_given_views_that_do_not_come_back_and_of_no_others():
    """Whatever the network says of itself: sure of noise it draws badly, unsure of a wall it draws well."""
    wall = VideoGrid.complete(torch.full((2, 1, 3, 24, 32), 0.5), torch.zeros(1))
    for grid, bias, expected in ((_grid(), 4.0, True), (wall, 4.0, False)):
        model = awake_model(gaussian_head=False)
        with torch.no_grad():
            model.depth_head.scratch["output_conv2"].get_parameter("2.weight")[1] = 0
            model.depth_head.scratch["output_conv2"].get_parameter("2.bias")[1] = bias
        scene = reconstruct(model, grid, KEEP_ALL)
        said = [one for one in _said(model, grid) if "the given views come back at" in one]
        assert bool(said) == expected == (input_psnr_db(scene, grid) < LOW_PSNR_DB)


# ---- frames of more pixels than the network saw -------------------------------------------------


def _wall(size: int) -> VideoGrid:
    """Two views of one smooth pattern, [2, 1, 3, size, size]."""
    x = torch.linspace(0, 6, size)
    picture = 0.5 + 0.25 * torch.sin(x)[:, None] + 0.2 * torch.cos(1.3 * x)[None]
    return VideoGrid.complete(picture.expand(2, 1, 3, size, size).clone(), torch.zeros(1))


def test_gaussians_of_small_frames_do_not_fall_apart_into_dots_in_large_ones():
    """Drawn at the size of the frames, a complete capture covers the picture as it does at the network's size."""
    model = awake_model(gaussian_head=False)
    with torch.no_grad():
        model.depth_head.scratch["output_conv2"].get_parameter("2.weight")[:] = 0
        model.depth_head.scratch["output_conv2"].get_parameter("2.bias")[1] = 6
    small, large = _wall(32), _wall(224)
    alphas = []
    for grid in (small, large):
        scene = reconstruct(model, grid, replace(KEEP_ALL, longest_side=32))
        alphas.append(rasterize(scene.steps[0], scene.cameras[:1]).alpha[0])
    inside = alphas[1][56:-56, 56:-56]
    assert inside.min() > 0.8 * alphas[0][8:-8, 8:-8].min()


def test_the_frame_size_is_chosen_by_what_comes_back_and_told(monkeypatch: pytest.MonkeyPatch):
    model, grid = awake_model(), _grid(times=1, size=(96, 96))
    for better in (32, 64):
        monkeypatch.setattr(frame_size, "_trial", lambda m, g, s, better=better: abs(s.longest_side - better))
        with pytest.warns(UserNote, match=f"reconstructed at {better} pixels of their 96"):
            assert frame_size.with_frame_size(model, grid, KEEP_ALL).longest_side == better
    given = replace(KEEP_ALL, longest_side=48)
    assert frame_size.with_frame_size(model, grid, given) is given
    assert frame_size.with_frame_size(model, _grid(), KEEP_ALL) is KEEP_ALL


def test_a_size_that_takes_too_long_is_not_tried(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(frame_size, "MOST_PIXELS", 1000)
    with pytest.warns(UserNote, match="the size the network was made for"):
        assert frame_size.with_frame_size(awake_model(), _grid(size=(96, 96)), KEEP_ALL).longest_side == 32


@pytest.mark.slow
def test_a_real_capture_is_no_longer_dots_on_white(shared_dir: Path):
    """Four views of a kitchen of 448 pixels came out at 15.4 dB."""
    from fourreal.data.footage import grid_from_cells
    from fourreal.pipeline import FourDPipeline

    capture = shared_dir / "real" / "neural3dvideo_4x4" / "cam{v}_t{t}.png"
    grid = grid_from_cells(str(capture)).select(times=[0, 1])
    scene = FourDPipeline.from_pretrained(None, device="cpu").reconstruct(grid)
    assert input_psnr_db(scene, grid) > 19.5
    assert rasterize(scene.steps[0], scene.cameras).alpha.mean() > 0.9


def test_views_that_share_nothing_are_told_from_views_that_do():
    size = (16, 16)
    poses = orbit(torch.zeros(3), 3.0, torch.tensor([0.0, 10.0, 5.0]))
    rig = Cameras(poses, intrinsics_from_fov(torch.full((3,), 40.0), size), size)
    away = rig.world_to_cam.clone()
    away[2] = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0])) @ away[2]
    depth = torch.full((3, *size), 3.0)
    together = shared_shares(depth, rig)
    assert together.min() > 0.6
    lonely = shared_shares(depth, Cameras(away, rig.intrinsics, size))
    assert lonely[2] == 0
    assert lonely[:2].min() > 0.6


def test_a_lonely_view_is_named_in_the_warning():
    model = awake_model()
    with torch.no_grad():
        # Fields of view of half a degree: views of different direction share nothing.
        model.camera_head.pose_branch.fc2.weight[7:] = 0
        model.camera_head.pose_branch.fc2.bias[7:] = 0.002
        model.camera_head.pose_branch.fc2.weight[:7] *= 10
    assert any("hardly anything that another view shows" in one for one in _said(model, _grid(views=2)))


# ---- cameras of target views ------------------------------------------------------------------


def test_targets_are_predicted_beside_the_first_input_in_its_frame():
    model, grid = awake_model(), _grid(views=3, size=(25, 33))
    inputs, targets = grid.frames[:2, 0], grid.frames[2:, 0]
    cameras = predict_target_cameras(model, inputs, targets)
    assert cameras.batch_shape == (1,)
    assert cameras.image_size == (25, 33)
    pair = VideoGrid.complete(grid.frames[[0, 2]][:, :1], torch.zeros(1))
    expected = reconstruct(model, pair, KEEP_ALL).cameras[1:]
    torch.testing.assert_close(cameras.world_to_cam, expected.world_to_cam, atol=1e-5, rtol=1e-4)


def test_scaling_by_depth_makes_the_first_view_agree():
    model, grid = awake_model(), _grid(views=3)
    inputs, targets = grid.frames[:2, 0], grid.frames[2:, 0]
    paper = predict_target_cameras(model, inputs, targets, "paper")
    scaled = predict_target_cameras(model, inputs, targets, "depth")
    with torch.no_grad():
        here = model(inputs[None, :, None]).depth[0, 0, 0]
        there = model(torch.cat([inputs[:1], targets])[None, :, None]).depth[0, 0, 0]
    factor = (here / there).median()
    torch.testing.assert_close(scaled.centers, factor * paper.centers, atol=1e-5, rtol=1e-4)


def test_targets_of_another_size_or_none_are_refused():
    model, grid = awake_model(), _grid()
    with pytest.raises(InputError, match="inputs' size"):
        predict_target_cameras(model, grid.frames[:, 0], torch.rand(1, 3, 8, 8))
    with pytest.raises(InputError, match="at least one target"):
        predict_target_cameras(model, grid.frames[:, 0], grid.frames[:0, 0])
