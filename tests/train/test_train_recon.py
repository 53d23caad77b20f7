"""The reconstruction recipe: every stage's losses, what trains, and that a run resumes and exports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from train.tiny_runs import ALONE, stored_tensors

from fourreal.core.errors import InputError
from fourreal.data.training_grid import reversed_views
from fourreal.recon.model import ReconModel
from fourreal.recon.weights import load_model
from fourreal.train.log import read_log
from fourreal.train.loop import train
from fourreal.train.recipe import ReconRecipe
from fourreal.train.recon_recipes import base_recipe, mini_recipe, tiny_recipe
from fourreal.train.recon_task import Passes, ReconTask, _believable, drawn_views, shown_views, truth_of
from fourreal.train.settings import RunSettings


def _run(out: Path, recipe: ReconRecipe | None = None, **options) -> None:
    recipe = recipe or tiny_recipe()
    train(ReconTask(recipe, ALONE.device), recipe, RunSettings(out=out, **options), ALONE)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("recon") / "run"
    _run(out)
    return out


def test_stages_bring_their_losses(finished):
    lines = [line for line in read_log(finished) if "loss" in line]
    assert [line["stage"] for line in lines] == ["geometry", "gaussians", "dynamic", "dynamic"]
    for line in lines:
        assert {"loss_camera", "loss_depth", "loss_points"} <= line.keys()
        assert ("loss_render" in line) == (line["stage"] != "geometry")
    figures = next(line for line in read_log(finished) if "rotation_error_deg" in line)
    assert figures["depth_abs_rel"] > 0
    assert "psnr_unseen_views" in figures


def test_an_interrupted_run_ends_in_identical_tensors(finished, tmp_path):
    _run(tmp_path / "run", steps=2)
    _run(tmp_path / "run", resume=True)
    whole, pieced = stored_tensors(finished), stored_tensors(tmp_path / "run")
    assert whole.keys() == pieced.keys()
    assert all(torch.equal(whole[name], pieced[name]) for name in whole)


def test_the_exported_model_reconstructs(finished):
    loaded = load_model(finished / "model")
    assert loaded.trained_steps == 4
    assert loaded.model(torch.rand(1, 2, 2, 3, 32, 32)).gaussians is not None


def test_a_frozen_backbone_stays(tmp_path):
    recipe = tiny_recipe()
    stage = replace(recipe.stages[2], trains=("gaussian_head.", "aggregator.temporal_blocks."))
    recipe = replace(recipe, stages=(replace(stage, losses=replace(stage.losses, camera=0.0, depth=0.0, points=0.0)),))
    before = {n: p.clone() for n, p in ReconTask(recipe, ALONE.device).model.named_parameters()}
    _run(tmp_path / "run", recipe)
    after = dict(load_model(tmp_path / "run" / "model").model.named_parameters())
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any(name.startswith("gaussian_head.") for name in changed)
    assert any(name.startswith("aggregator.temporal_blocks.") for name in changed)
    assert all(name.startswith(("gaussian_head.", "aggregator.temporal_blocks.")) for name in changed)


def test_checkpointed_activations_give_the_same_gradients():
    recipe = tiny_recipe()
    tasks = [
        ReconTask(replace(recipe, loop=replace(recipe.loop, gradient_checkpointing=way)), ALONE.device)
        for way in (False, True)
    ]
    mixture = tasks[0].mixture(2)
    samples = mixture.render([mixture.draft(0, index) for index in range(2)])
    gradients = []
    for task in tasks:
        task.losses(samples, 2, 0, (0, 1))["loss"].backward()
        gradients.append({n: p.grad for n, p in task.model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], atol=1e-6), name


def test_perfect_depth_renders_the_other_views():
    """The truth in the network's frame and unit is right: depth lifted by it shows what the other cameras see."""
    recipe = tiny_recipe()
    task = ReconTask(recipe, ALONE.device)
    mixture = task.mixture(0)
    sample = mixture.render([mixture.draft(0, 1)])[0]
    shown = shown_views(3, 2)
    truth, cameras = truth_of(sample, shown, ALONE.device)
    frames = sample.grid.frames[None, shown]
    prediction = task.model(frames)
    assert prediction.gaussians is not None
    perfect = replace(
        prediction,
        depth=torch.where(truth.valid, truth.depth, 50.0)[None],
        gaussians=torch.zeros_like(prediction.gaussians),  # colours and footprints of the pixels themselves
    )
    rendered, true = task._rendered(sample, Passes(frames, perfect), 0, rescale=False, views=range(3))
    assert cameras.batch_shape == (3,)
    # Every render is most like the true picture of its own view, the one not shown included.
    distances = (rendered[:, None] - true[None]).square().mean((2, 3, 4, 5))
    assert distances.argmin(1).tolist() == [0, 1, 2]
    assert distances.diagonal().max() < 0.02


def test_rendered_views_are_drawn_by_the_sample_alone():
    assert drawn_views(5, 0, 1, 2, 3) == drawn_views(5, 5, 1, 2, 3) == [0, 1, 2, 3, 4]
    draws = [drawn_views(5, 2, 0, step, 0) for step in range(60)]
    assert draws == [drawn_views(5, 2, 0, step, 0) for step in range(60)]
    assert all(len(set(views)) == 2 and views == sorted(views) for views in draws)
    assert {view for views in draws for view in views} == set(range(5))


def test_rendering_fewer_views_renders_those_views():
    recipe = tiny_recipe()
    task = ReconTask(recipe, ALONE.device)
    mixture = task.mixture(1)
    sample = mixture.render([mixture.draft(0, 0)])[0]
    frames = sample.grid.frames[None, shown_views(3, 2)]
    prediction = task.model(frames)
    everything, true = task._rendered(sample, Passes(frames, prediction), 0, rescale=False, views=range(3))
    some, true_some = task._rendered(sample, Passes(frames, prediction), 0, rescale=False, views=[0, 2])
    assert torch.allclose(some, everything[[0, 2]], atol=1e-6)
    assert torch.equal(true_some, true[[0, 2]])


def test_confidence_counts_only_once_depth_is_roughly_right():
    task = ReconTask(tiny_recipe(), ALONE.device)
    mixture = task.mixture(0)
    truth, _ = truth_of(mixture.render([mixture.draft(0, 0)])[0], [0, 1], ALONE.device)
    confidence = torch.full_like(truth.depth, 3.0)
    assert torch.equal(_believable(confidence, truth.depth + 0.19, truth), confidence)
    assert torch.equal(_believable(confidence, truth.depth + 0.21, truth), torch.ones_like(confidence))


def test_truth_does_not_depend_on_which_way_the_views_run():
    mixture = ReconTask(tiny_recipe(), ALONE.device).mixture(0)
    sample = mixture.render([mixture.draft(0, 0)])[0]
    truth, _ = truth_of(sample, [0, 1, 2], ALONE.device)
    turned, _ = truth_of(reversed_views(sample), [0, 1, 2], ALONE.device)
    # Another view's frame and unit, the same world: distances between points agree up to the unit.
    a, b = truth.points[0, 0].flatten(0, 1), turned.points[2, 0].flatten(0, 1)
    valid = truth.valid[0, 0].flatten()
    spread = [points[valid].std(0).norm() / unit for points, unit in ((a, truth.scale), (b, turned.scale))]
    assert torch.allclose(spread[0], spread[1], rtol=1e-3)


def test_views_shown_are_evenly_spread():
    assert shown_views(8, 4) == [0, 2, 5, 7]
    assert shown_views(3, 4) == [0, 1, 2]


def test_the_shipped_size_keeps_to_its_budget():
    for recipe, most in ((base_recipe(), 9_000_000), (mini_recipe(), 1_000_000)):
        with torch.device("meta"):
            assert sum(p.numel() for p in ReconModel(recipe.model).parameters()) <= most


def test_the_base_is_found_where_reconstruct_finds_it(tmp_path, monkeypatch):
    recipe = replace(tiny_recipe(), base="vggt-1b")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *names: None)
    with pytest.raises(InputError, match=r"'tiny' starts from the released VGGT-1B: .*hf download.*--base FILE"):
        ReconTask(recipe, ALONE.device)
    cached = tmp_path / "model.safetensors"
    save_file({"something": torch.zeros(1)}, cached)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *names: str(cached))
    with pytest.raises(InputError, match=f"{cached} is not a checkpoint of this network"):
        ReconTask(recipe, ALONE.device)
    with pytest.raises(InputError, match="no model 'nowhere'"):
        ReconTask(replace(recipe, base="nowhere"), ALONE.device)
