"""The rendering loss by predicted cameras, and samples that nobody knows cameras or depth of."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from recon.awake import awake_model
from train.tiny_runs import ALONE

from fourreal.core.configs import to_dict
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.data.training_grid import TrainingGrid
from fourreal.recon.model import ReconModel
from fourreal.recon.target_cameras import predict_target_cameras
from fourreal.train.recipe import ReconLosses, ReconRecipe
from fourreal.train.recon_recipes import mini_recipe, tiny_recipe, vggt
from fourreal.train.recon_task import ReconTask, _predicted_cameras
from fourreal.train.run_folder import check_folder

ADDED = ("gaussian_head.", "aggregator.temporal_blocks.")


def _recipe(**changes) -> ReconRecipe:
    """The paper's dynamic stage in the size of tests: a frozen backbone, predicted cameras."""
    recipe = tiny_recipe()
    stage = replace(recipe.stages[2], trains=ADDED, losses=ReconLosses(render=1.0, camera=5.0))
    return replace(recipe, stages=(stage,), **({"cameras": "predicted"} | changes))


def _task(recipe: ReconRecipe | None = None) -> tuple[ReconTask, list[TrainingGrid]]:
    task = ReconTask(recipe or _recipe(), ALONE.device)
    task.model = awake_model()
    mixture = task.mixture(0)
    return task, mixture.render([mixture.draft(0, index) for index in range(2)])


def _bare(sample: TrainingGrid) -> TrainingGrid:
    """As a reader of real footage leaves it: no depth, no cameras."""
    grid = VideoGrid.complete(sample.grid.frames, sample.grid.seconds)
    return replace(sample, depth=None, grid=grid)


def _randomise(model: ReconModel) -> None:
    with torch.no_grad():
        for parameter in model.camera_head.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize(("cameras", "matters"), [("predicted", True), ("true", False)])
def test_the_camera_head_is_a_part_of_the_rendering_loss(cameras, matters):
    task, samples = _task(_recipe(cameras=cameras))
    before = task.losses(samples, 0, 0, (0, 1))["loss_render"]
    _randomise(task.model)
    after = task.losses(samples, 0, 0, (0, 1))["loss_render"]
    assert bool(before != after) == matters


def test_gradients_reach_temporal_layers_through_cameras():
    task, samples = _task()
    stage = task.recipe.stages[0]
    frames = torch.stack([sample.grid.frames for sample in samples])
    passes = task._passes(frames, samples, [0, 2], stage)
    prediction = passes.prediction
    assert prediction.gaussians is not None
    # Cut every other way from the network to the picture.
    cut = replace(prediction, depth=prediction.depth.detach(), gaussians=prediction.gaussians.detach())
    rendered, true = task._rendered(samples[0], replace(passes, prediction=cut), 0, rescale=False, views=range(3))
    (rendered - true).square().mean().backward()
    moved = [p.grad for name, p in task.model.named_parameters() if "temporal_blocks" in name and p.grad is not None]
    assert moved
    assert any(bool(gradient.abs().max() > 0) for gradient in moved)


def test_cameras_in_training_are_those_of_inference():
    task, samples = _task()
    grid = samples[0].grid
    passes = task._passes(grid.frames[None], samples[:1], [0, 2], task.recipe.stages[0])
    inputs, cameras = _predicted_cameras(passes, 0, [0, 2], 3)
    shared = inputs[:, 0]
    assert torch.allclose(inputs[:, 1].world_to_cam, shared.world_to_cam)  # one camera a view
    assert torch.equal(cameras[[0, 2]].world_to_cam, shared.world_to_cam)
    assert torch.allclose(shared.world_to_cam[0], torch.eye(4), atol=1e-5)
    found = predict_target_cameras(task.model, grid.frames[[0, 2], 0], grid.frames[[1], 0])
    assert torch.allclose(cameras[1].world_to_cam[:3, :3], found[0].world_to_cam[:3, :3], atol=1e-5)
    assert torch.allclose(cameras[1].intrinsics, found[0].intrinsics, rtol=1e-4)
    # The scale between the passes is that of the first view's depth.
    assert passes.second is not None
    factor = (passes.prediction.depth[0, 0, 0] / passes.second.depth[0, 0, 0]).median()
    assert torch.allclose(cameras[1].world_to_cam[:3, 3], factor * found[0].world_to_cam[:3, 3], atol=1e-4)


@pytest.mark.parametrize("recipe", [_recipe(), _recipe(cameras="true"), tiny_recipe()], ids=["paper", "true", "own"])
def test_samples_without_depth_or_cameras_train(recipe):
    task, samples = _task(recipe)
    mixed = [_bare(samples[0]), samples[1]]
    for batch in ([_bare(sample) for sample in samples], mixed):
        last = len(recipe.stages) - 1
        losses = task.losses(batch, last, 0, (0, 1))
        task.model.zero_grad()
        losses["loss"].backward()
        assert bool(torch.isfinite(losses["loss"]))
        trained = task.trainable(last)
        assert any(p.grad is not None and bool(p.grad.abs().max() > 0) for p in trained.values())


def test_without_truth_cameras_are_held_to_the_frozen_backbone():
    task, samples = _task()
    bare = [_bare(sample) for sample in samples]
    assert task.losses(bare, 0, 0, (0, 1))["loss_camera"] > 0  # awake temporal layers have moved them
    for layer in task.model.aggregator.temporal_blocks:
        for name, parameter in layer.named_parameters():
            if name.endswith("gamma"):
                torch.nn.init.zeros_(parameter)
    assert task.losses(bare, 0, 0, (0, 1))["loss_camera"] < 1e-6
    # A backbone that trains is no reference.
    task, samples = _task(tiny_recipe())
    assert "loss_camera" not in task.losses([_bare(sample) for sample in samples], 2, 0, (0, 1))


def test_a_sample_counts_alike_alone_and_beside_one_with_truth():
    task, samples = _task()
    bare = _bare(samples[0])
    alone = torch.stack([task.losses([sample], 0, 0, (n,))["loss"] for n, sample in enumerate((bare, samples[1]))])
    both = task.losses([bare, samples[1]], 0, 0, (0, 1))["loss"]
    assert float(both.detach()) == pytest.approx(float(alone.detach().mean()), rel=1e-4)


def test_recipes_say_which_cameras_they_render_by():
    assert vggt().cameras == "predicted"
    assert vggt().stages[1].losses.camera > 0  # its temporal layers move cameras
    assert vggt().distance == "auto"  # LPIPS, where its weights are
    assert (mini_recipe().cameras, mini_recipe().distance) == ("true", "st-lpips")  # as the shipped one was trained


def test_a_run_of_before_goes_on(tmp_path):
    recipe = to_dict(mini_recipe())
    del recipe["cameras"], recipe["distance"]
    (tmp_path / "manifest.json").write_text(json.dumps({"recipe": recipe}))
    check_folder(tmp_path, mini_recipe(), resume=True)
    with pytest.raises(InputError, match="cameras differ"):
        check_folder(tmp_path, replace(mini_recipe(), cameras="predicted"), resume=True)
