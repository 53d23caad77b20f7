"""Direct alignment: it finds cameras, it keeps good ones, and it speaks in the caller's unit."""

from __future__ import annotations

import importlib
from dataclasses import replace

import pytest
import torch
from awake import awake_model

from fourreal.core.cameras import Cameras
from fourreal.core.grid import VideoGrid
from fourreal.core.rotations import rotation_angle_deg
from fourreal.data.worlds import WorldConfig, make_world, render_world
from fourreal.recon.align_views import AlignedViews, AlignSettings, align_views, refit_depth
from fourreal.recon.losses import normalised_truth
from fourreal.recon.reconstruct import ReconstructSettings, aligns, reconstruct

pytestmark = pytest.mark.filterwarnings("ignore::fourreal.core.notes.UserNote")
QUICK = AlignSettings(sizes=(16, 32), steps=(60, 80), scouting_steps=40)


@pytest.fixture(scope="module")
def moment():
    """Frames, true depth and true cameras of a textured world seen along an arc."""
    world = make_world(WorldConfig(views=4, frames=1, height=64, width=64, arc_deg=(8.0, 45.0)), 900007)
    sample = render_world(world)
    truth = normalised_truth(sample.grid.cameras, sample.depth)
    depth = torch.where(truth.valid, truth.depth, truth.depth[truth.valid].max())[:, 0].float()
    cameras = truth.cameras[:, 0]
    return sample.grid.frames[:, 0], depth, cameras


def rotation_error(said: Cameras, true: Cameras) -> float:
    first, second = torch.triu_indices(4, 4, 1)
    turns = [c.world_to_cam[second, :3, :3] @ c.world_to_cam[first, :3, :3].mT for c in (said, true)]
    return float(rotation_angle_deg(*turns).median())


def all_alike(cameras: Cameras) -> Cameras:
    """Every camera where the first one is: what a network says that has not learnt to tell them apart."""
    return replace(cameras, world_to_cam=torch.eye(4).repeat(len(cameras.world_to_cam), 1, 1))


def test_it_finds_cameras_from_nothing(moment):
    frames, depth, cameras = moment
    blind = all_alike(cameras)
    found = align_views(frames, torch.ones_like(depth), blind, QUICK)
    assert rotation_error(blind, cameras) > 10
    assert rotation_error(found.cameras, cameras) < 5
    assert torch.allclose(found.cameras.world_to_cam[0], torch.eye(4), atol=1e-6)


def test_it_keeps_what_is_right(moment):
    frames, depth, cameras = moment
    found = align_views(frames, depth, cameras, QUICK)
    assert rotation_error(found.cameras, cameras) < 1.5
    assert torch.allclose(found.depth_factor.median(), torch.tensor(1.0), atol=0.1)


def test_depth_comes_nearer_to_the_truth(moment):
    frames, depth, cameras = moment
    wrong = depth * torch.tensor([1.0, 1.25, 0.8, 1.2])[:, None, None]
    found = align_views(frames, wrong, cameras, QUICK)

    def error(said):
        return float(((said * (depth.median() / said.median()) - depth).abs() / depth).mean())

    assert error(wrong * found.depth_factor) < 0.7 * error(wrong)


def test_depth_of_another_moment_is_refitted_under_the_same_cameras(moment):
    frames, depth, cameras = moment
    wrong = depth * torch.tensor([1.0, 1.25, 0.8, 1.2])[:, None, None]
    before = AlignedViews(cameras, torch.ones_like(depth), 0.0)
    factor = refit_depth(frames, wrong, before, replace(QUICK, steps=(0, 240)))

    def error(said):
        return float(((said * (depth.median() / said.median()) - depth).abs() / depth).mean())

    assert error(wrong * factor) < 0.7 * error(wrong)
    kept = refit_depth(
        frames, depth, AlignedViews(cameras, torch.full_like(depth, 1.5), 0.0), replace(QUICK, steps=(0, 0))
    )
    assert torch.allclose(kept, torch.full_like(depth, 1.5), atol=1e-5), "no step, no change"


def test_the_unit_is_the_callers(moment):
    frames, depth, cameras = moment
    short = replace(QUICK, steps=(20, 20), scouting_steps=5, orbits_deg=(18.0,))
    unit = 4.0  # a power of two, or rounding would take the two descents apart
    once = align_views(frames, depth, cameras, short)
    moved = cameras.world_to_cam.clone()
    moved[:, :3, 3] *= unit
    scaled = align_views(frames, depth * unit, replace(cameras, world_to_cam=moved), short)
    assert torch.allclose(scaled.cameras.world_to_cam[:, :3, :3], once.cameras.world_to_cam[:, :3, :3], atol=1e-3)
    assert torch.allclose(scaled.cameras.world_to_cam[:, :3, 3], unit * once.cameras.world_to_cam[:, :3, 3], atol=1e-3)
    assert torch.allclose(scaled.depth_factor, once.depth_factor, atol=1e-3)


def test_progress_ends_at_its_total(moment):
    frames, depth, cameras = moment
    told = []
    align_views(
        frames,
        depth,
        cameras,
        replace(QUICK, steps=(1, 1), scouting_steps=1),
        lambda done, total: told.append((done, total)),
    )
    assert told == [(step + 1, 8) for step in range(8)]


def test_a_reconstruction_stands_on_aligned_cameras_and_depth_in_any_chunks(monkeypatch):
    few = replace(QUICK, steps=(3, 3), scouting_steps=2)
    module = importlib.import_module("fourreal.recon.reconstruct")
    monkeypatch.setattr(module, "align_views", lambda *moment: align_views(*moment, settings=few))
    model = awake_model()
    frames = torch.rand(2, 9, 3, 24, 32, generator=torch.Generator().manual_seed(1))
    grid = VideoGrid.complete(frames, torch.arange(9) / 8)
    settings = ReconstructSettings(min_opacity=0.0, window_frames=4, window_overlap=1, align="always")
    scenes = [reconstruct(model, grid, replace(settings, chunk_windows=size)) for size in (1, 0)]
    plain = reconstruct(model, grid, replace(settings, align="never"))
    with torch.no_grad():
        said = model(frames[None, :, :4], with_points=False)
    found = align_views(frames[:, 0], said.depth[0, :, 0], said.cameras[0][:, 0], few)
    assert torch.allclose(scenes[0].cameras.world_to_cam, found.cameras.world_to_cam, atol=1e-4)
    assert not torch.allclose(scenes[0].cameras.world_to_cam, plain.cameras.world_to_cam, atol=1e-2)
    for one, other in zip(scenes[0].steps, scenes[1].steps, strict=True):
        assert torch.allclose(one.means, other.means, atol=1e-4)


def test_only_small_networks_are_aligned_unasked():
    small, large = awake_model(), awake_model(native_size=256)
    assert not aligns(small, ReconstructSettings(align="never"))
    assert aligns(small, ReconstructSettings())
    assert not aligns(large, ReconstructSettings())
    assert aligns(large, ReconstructSettings(align="always"))
