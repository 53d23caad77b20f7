"""The renderer against its slow twin, its exactness by re-casting rays, and its independence of company."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fourreal.core.errors import InputError
from fourreal.data.worlds import WorldConfig, make_world, render_world, render_worlds, training_worlds

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from slow_worlds import SlowWorld

SMALL = replace(training_worlds(), views=2, frames=3, height=36, width=44)
CELLS = ((0, 0), (1, 2))


@pytest.fixture(autouse=True)
def _one_thread():
    """Frames this small are slower on two threads, much slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("seed", range(6))
def test_every_pixel_equals_the_slow_twins(seed):
    world = make_world(SMALL, seed)
    sample = render_worlds([world], dtype=torch.float64)[0]
    twin = SlowWorld(world, torch.float64)
    for view, time in CELLS:
        image, depth, ids = twin.render(view, time)
        assert torch.equal(ids.int(), sample.instance_ids[view, time])
        assert torch.allclose(depth, sample.depth[view, time], rtol=1e-9)
        assert (image - sample.grid.frames[view, time]).abs().max() < 1e-6


@pytest.mark.parametrize("change", [{"antialias": False}, {"background": "white"}, {"height": 19, "width": 33}])
def test_variants_equal_the_slow_twins(change):
    world = make_world(replace(SMALL, **change), 3)
    sample = render_worlds([world], dtype=torch.float64)[0]
    image, depth, ids = SlowWorld(world, torch.float64).render(1, 1)
    assert torch.equal(ids.int(), sample.instance_ids[1, 1])
    assert (image - sample.grid.frames[1, 1]).abs().max() < 1e-6
    assert torch.allclose(depth, sample.depth[1, 1], rtol=1e-9)


def test_single_precision_stays_close_to_the_twin():
    for seed in (1, 4):
        world = make_world(SMALL, seed)
        image, depth, ids = SlowWorld(world, torch.float64).render(0, 1)
        sample = render_world(world)
        same = ids.int() == sample.instance_ids[0, 1]
        assert same.float().mean() > 0.998
        error = (image - sample.grid.frames[0, 1]).abs().amax(0)
        assert error.median() < 1e-5
        assert (error > 1e-3).float().mean() < 0.005
        finite = same & torch.isfinite(depth)
        assert (sample.depth[0, 1][finite] / depth[finite] - 1).abs().median() < 1e-6


def test_company_and_order_do_not_change_a_single_bit():
    worlds = [make_world(SMALL, seed) for seed in range(5)]
    together = render_worlds(worlds)
    backwards = render_worlds(worlds[::-1])[::-1]
    for world, first, second in zip(worlds, together, backwards, strict=True):
        alone = render_world(world)
        for sample in (first, second):
            assert torch.equal(sample.grid.frames, alone.grid.frames)
            assert torch.equal(sample.depth, alone.depth)
            assert torch.equal(sample.instance_ids, alone.instance_ids)


def test_the_number_of_threads_does_not_change_a_single_bit():
    world = make_world(replace(SMALL, views=1, frames=2), 5)
    one = render_world(world)
    torch.set_num_threads(2)
    two = render_world(world)
    assert torch.equal(one.grid.frames, two.grid.frames)


def test_flow_depth_and_cameras_agree_when_rays_are_cast_again():
    """Every object pixel is carried to another cell by its instance's motion, and a fresh ray of the twin is
    cast through the exact sub-pixel target: it must meet the same point or something nearer. `visible` goes by
    drawn pixels, so beside outlines it may differ: by 4 % of object pixels at 64x64, half of that at 128x128."""
    errors, behind, agreement, total = [], 0, [], 0
    for seed in range(8):
        world = make_world(replace(SMALL, height=64, width=64), seed)
        sample, twin = render_world(world), SlowWorld(world)
        for here, there in (((0, 0), (0, 2)), ((0, 1), (1, 1)), ((1, 0), (0, 2))):
            field = sample.flow(here, there)
            ids = sample.instance_ids[here]
            pixels = sample.cameras.pixel_centers()
            target = (pixels + field.flow)[ids > 0]
            inside = ((target >= 0) & (target < 64)).all(-1)
            expected = carried_depth(sample, here, there)[ids > 0][inside]
            depth, surface, _ = twin.trace(*twin.rays_through(there[0], target[inside]), there[1])
            error = (depth - expected) / expected
            same = surface - len(twin.planes) == ids[ids > 0][inside]
            seen = error.abs() < 1e-3
            errors.append(error[seen].abs())
            behind += int((error > 1e-3).sum())
            total += len(error)
            agreement.append(((seen & same) == field.visible[ids > 0][inside]).float().mean())
    assert total > 4000
    assert torch.cat(errors).median() < 1e-5
    assert behind / total < 0.002
    assert torch.stack(agreement).mean() > 0.95


def carried_depth(sample, here, there):
    """z-depth in the target camera of every pixel's point after its instance has moved."""
    camera = sample.cameras[here[0]]
    points = camera.unproject(camera.pixel_centers().reshape(-1, 2), sample.depth[here].reshape(-1).clamp(max=1e4))
    ids = sample.instance_ids[here].reshape(-1).long()
    change = sample.instance_motion[there[1]] @ torch.linalg.inv(sample.instance_motion[here[1]])
    moved = (change[ids] @ torch.cat([points, torch.ones_like(points[:, :1])], -1)[..., None])[:, :3, 0]
    return sample.cameras[there[0]].project(moved)[1].reshape(sample.depth.shape[-2:])


@pytest.mark.parametrize("seed", [2, 21])
def test_a_picture_is_the_mean_of_a_finer_one(seed):
    """Filtering by footprint and 2x2 samples together must come near to what many rays a pixel would give."""
    config = replace(training_worlds(), views=1, frames=1, height=64, width=64, background="ground")
    world = make_world(config, seed)
    fine_camera = world.cameras.resized((512, 512))
    fine = replace(world, cameras=fine_camera, config=replace(config, height=512, width=512))
    reference = torch.nn.functional.avg_pool2d(render_world(fine).grid.frames[0], 8)
    error = (render_world(world).grid.frames[0] - reference).square().mean()
    unfiltered = render_world(replace(world, config=replace(config, antialias=False))).grid.frames[0]
    assert -10 * error.log10() > 30
    assert error < (unfiltered - reference).square().mean()


def test_pictures_of_different_kinds_cannot_be_rendered_together():
    worlds = [make_world(SMALL, 0), make_world(replace(SMALL, height=32, width=32), 0)]
    with pytest.raises(InputError, match="share image_size and antialias"):
        render_worlds(worlds)
    assert render_worlds([]) == []


def test_one_view_and_one_time_are_enough():
    sample = render_world(make_world(WorldConfig(views=1, frames=1, height=8, width=8), 11))
    assert sample.grid.frames.shape == (1, 1, 3, 8, 8)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_draws_the_same_picture():
    world = make_world(SMALL, 4)
    cpu, gpu = render_world(world), render_world(world, "cuda")
    assert (gpu.instance_ids.cpu() != cpu.instance_ids).float().mean() < 0.002
    assert (gpu.grid.frames.cpu() - cpu.grid.frames).abs().mean() < 1e-3
    assert torch.equal(gpu.grid.frames, render_world(world, "cuda").grid.frames)
