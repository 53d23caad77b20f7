"""`fourreal train` as a user meets it, alone and under torchrun with FSDP2."""

from __future__ import annotations

import inspect
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from fourreal.cli.train import Train
from fourreal.core.errors import InputError
from fourreal.train.catalog import find_recipe
from fourreal.train.checkpoint import latest_checkpoint
from fourreal.train.estimate import estimate_training
from fourreal.train.log import read_log
from fourreal.train.recon_recipes import RECON_RECIPES
from fourreal.train.settings import RecipeChanges, RunSettings
from fourreal.train.video_recipes import VIDEO_RECIPES
from fourreal.train.video_task import VideoTask, new_generator
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.hardware import GPUS
from fourreal.video.weights import load_model

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _losses(out: Path) -> list[float]:
    return [line["loss"] for line in read_log(out) if "loss" in line]


@pytest.mark.slow
def test_two_processes_with_fsdp2_train_as_one(tmp_path):
    options = ["train", "video", "--recipe", "tiny", "--micro-batch", "1", "--device", "cpu"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launch += ["--master-addr", "127.0.0.1", "--master-port", str(_free_port()), "-m", "fourreal.cli", *options]
    two = tmp_path / "two"
    for more in (["--steps", "5"], ["--resume"]):
        done = subprocess.run([*launch, "--out", str(two), *more], capture_output=True, text=True, env=ENVIRONMENT)
        assert done.returncode == 0, done.stderr[-2000:]
    Train(kind="video", session=RunSettings(out=tmp_path / "one"), recipe="tiny", device="cpu").run()
    assert _losses(two) == pytest.approx(_losses(tmp_path / "one"), abs=1e-5, rel=1e-5)
    assert len(_losses(two)) == 10
    assert len(list((two / "samples").rglob("*.png"))) == 8
    # What they leave behind is one whole model, the same as one process's.
    models = [ViewTimeGenerator.from_pretrained(out / "model").transformer for out in (two, tmp_path / "one")]
    other = dict(models[1].named_parameters())
    for name, parameter in models[0].named_parameters():
        assert torch.allclose(parameter, other[name], atol=1e-4), name
    load_model(two / "base", delta=two / "view_time")


def test_a_terminated_run_writes_a_checkpoint_and_goes_on(tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "fourreal.cli", "train", "video", "--recipe", "tiny", "--device", "cpu"]
    command += ["--stage-steps", "5", "100000", "--checkpoint-every", "100000", "--out", str(out)]
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    # Waits for the event, however slow the machine is; a process that ends is seen at once.
    while len(_losses(out)) < 2 and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 0, errors[-2000:]
    found = latest_checkpoint(out)
    assert found is not None
    assert found.counters.step == len(_losses(out)) >= 2


def test_wrong_words_are_answered_with_the_right_ones(tmp_path):
    with pytest.raises(InputError, match="did you mean 'mini'"):
        Train(kind="video", session=RunSettings(out=tmp_path), recipe="minni").run()
    with pytest.raises(InputError, match=r"no recon recipe 'paper-v2'; (known|did)"):
        find_recipe("recon", "paper-v2")
    with pytest.raises(InputError, match="needs 2 positive numbers for 'tiny'"):
        find_recipe("video", "tiny", RecipeChanges(stage_steps=(3,)))
    with pytest.raises(InputError, match="at least 1 sample"):
        find_recipe("video", "tiny", RecipeChanges(batch=0))
    with pytest.raises(InputError, match="no choice of text"):
        find_recipe("video", "wan-1.3b", RecipeChanges(text="none"))
    with pytest.raises(InputError, match="minutes must be positive"):
        Train(kind="video", session=RunSettings(out=tmp_path, minutes=0.0)).run()
    with pytest.raises(InputError, match="no run to resume"):
        Train(kind="video", session=RunSettings(out=tmp_path / "nowhere", resume=True), recipe="tiny").run()
    with pytest.raises(InputError, match="--base FOLDER"):
        new_generator(VIDEO_RECIPES["paper-v2"]())  # pyright: ignore[reportArgumentType]
    assert not (tmp_path / "nowhere").exists()


def test_changes_reach_the_recipe():
    changes = RecipeChanges(seed=7, stage_steps=(3, 4), micro_batch=1, precision="bfloat16", sample_every=5)
    recipe = find_recipe("video", "tiny", changes)
    assert (recipe.loop.seed, recipe.loop.micro_batch, recipe.loop.precision) == (7, 1, "bfloat16")
    assert [stage.steps for stage in recipe.stages] == [3, 4]
    assert recipe.loop.sample_every == 5
    recipe = find_recipe("recon", "tiny", RecipeChanges(batch=3, shards="somewhere"))
    assert [stage.batch for stage in recipe.stages] == [3, 3, 3]
    assert recipe.shards == "somewhere"


def test_estimates_follow_the_counts_of_the_plan():
    recipe = VIDEO_RECIPES["wan-1.3b"]()
    few, many = (estimate_training(recipe, "wan2.1-1.3b", gpus, GPUS["h100"]) for gpus in (8, 16))
    for eight, sixteen in zip(few, many, strict=True):
        assert eight.hours == pytest.approx(2 * sixteen.hours)
        assert eight.peak_gb > sixteen.peak_gb
    assert few[0].tokens == 8 * 8 * 9 * 16  # 8 views x 8 latent times x 144/16 x 256/16
    assert few[1].petaflops_per_step > 2 * few[0].petaflops_per_step  # attention grows faster than length


@pytest.mark.parametrize("kind", ["video", "recon"])
def test_every_recipe_says_what_it_scales_and_has_a_name_of_its_own(kind):
    recipes = VIDEO_RECIPES if kind == "video" else RECON_RECIPES
    for name, make in recipes.items():
        recipe = make()
        assert recipe.name == name
        assert len(recipe.scales) > 8
        for stage in recipe.stages:
            assert stage.batch % min(recipe.loop.micro_batch, stage.batch) == 0


def test_the_shipped_video_model_keeps_to_its_budget():
    recipe = VIDEO_RECIPES["base"]()
    with torch.device("meta"):
        from fourreal.video.transformer import ViewTimeTransformer

        model = ViewTimeTransformer(**recipe.model)
    base = sum(p.numel() for p in model.parameters())
    delta = sum(p.numel() for name, p in model.named_parameters() if ".attn1." in name)
    assert base + delta <= 13_000_000


def test_the_precision_of_gpus_runs_here_too():
    recipe = find_recipe("video", "tiny", RecipeChanges(precision="bfloat16"))
    task = VideoTask(recipe, torch.device("cpu"))  # pyright: ignore[reportArgumentType]
    mixture = task.mixture(1)
    samples = mixture.render([mixture.draft(0, 0)])
    exact = task.losses(samples, 1, 0, (0,))["loss"]
    with torch.autocast("cpu", torch.bfloat16):
        rough = task.losses(samples, 1, 0, (0,))["loss"]
    assert float(rough.detach()) == pytest.approx(float(exact.detach()), rel=0.03)


def test_scale_steps_scales_everything_that_counts_steps():
    whole, short = (find_recipe("video", "base", RecipeChanges(scale_steps=factor)) for factor in (None, 0.1))
    for stage, hurried in zip(whole.stages, short.stages, strict=True):
        assert hurried.steps == round(stage.steps / 10)
        assert hurried.mixture.curriculum_steps == round(stage.mixture.curriculum_steps / 10)
        assert hurried.optimiser.warmup == round(stage.optimiser.warmup / 10)
        assert (hurried.batch, hurried.optimiser.decay) == (stage.batch, stage.optimiser.decay)
    assert [stage.steps for stage in find_recipe("recon", "tiny", RecipeChanges(scale_steps=0.001)).stages] == [1, 1, 1]
    with pytest.raises(InputError, match="scale-steps must be a positive number"):
        find_recipe("video", "base", RecipeChanges(scale_steps=0.0))


def test_help_says_of_every_recipe_what_it_trains():
    for kind, recipes in (("video", VIDEO_RECIPES), ("recon", RECON_RECIPES)):
        part = inspect.getdoc(Train).split(f"Recipes for {kind}")[1].split("\n\n")[0]
        lines = dict(line.strip().split(": ", 1) for line in part.splitlines()[1:])
        assert lines.keys() == recipes.keys()
        for name, make in recipes.items():
            worlds = make().stages[-1].mixture.worlds
            grid = f"{worlds.views} x {worlds.frames} of {worlds.height} x {worlds.width}"
            assert grid in lines[name], f"{name} trains {grid}"
