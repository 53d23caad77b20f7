"""The loop: exact resumption, falling loss, stages, guards, logs and what it leaves behind."""

from __future__ import annotations

import importlib.util
import inspect
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from train.tiny_runs import ALONE, run, stored_tensors

from fourreal.core.errors import InputError
from fourreal.core.folder_lock import locked
from fourreal.core.grid import VideoGrid
from fourreal.core.progress import silent
from fourreal.data.mixture import draw_references
from fourreal.data.shards import write_shards
from fourreal.train import video_recipes
from fourreal.train.checkpoint import latest_checkpoint
from fourreal.train.dataloader import feed, own_indices
from fourreal.train.log import RunLog, plot_log, read_log
from fourreal.train.loop import _Run, train
from fourreal.train.parallel import Processes
from fourreal.train.recipe import stage_at, total_steps
from fourreal.train.recon_recipes import tiny_recipe
from fourreal.train.run_folder import check_extras, check_folder
from fourreal.train.settings import RunSettings
from fourreal.train.video_recipes import mini, tiny
from fourreal.train.video_task import VideoTask
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.text import NoTextEncoder
from fourreal.video.weights import load_model


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "whole"
    sheets: list[Path] = []

    def write_sheet(path: Path, grid: VideoGrid) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{list(grid.frames.shape)}")
        sheets.append(path)

    counters = run(out, write_sheet=write_sheet)
    assert counters.step == total_steps(tiny())
    assert len(sheets) == 4
    return out


def test_interrupted_and_resumed_runs_end_in_identical_tensors(finished, tmp_path):
    run(tmp_path / "run", steps=4)  # the very end of a stage
    run(tmp_path / "run", resume=True, steps=5)
    counters = run(tmp_path / "run", resume=True)
    assert counters.step == 10
    whole, pieced = stored_tensors(finished), stored_tensors(tmp_path / "run")
    assert whole.keys() == pieced.keys()
    assert any(name.startswith("optimiser/") for name in whole)
    assert all(torch.equal(whole[name], pieced[name]) for name in whole)
    losses = [[line["loss"] for line in read_log(out) if "loss" in line] for out in (finished, tmp_path / "run")]
    assert losses[0] == losses[1]


def test_a_run_killed_between_checkpoints_loses_only_the_steps_since(finished, tmp_path):
    class Killed(Exception):
        pass

    def kill(done: int, total: int) -> None:
        if done == 8:
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path / "run", progress=kill)
    found = latest_checkpoint(tmp_path / "run")
    assert found is not None
    assert found.counters.step == 6
    run(tmp_path / "run", resume=True)
    whole, pieced = stored_tensors(finished), stored_tensors(tmp_path / "run")
    assert all(torch.equal(whole[name], pieced[name]) for name in whole)
    steps = [line["step"] for line in read_log(tmp_path / "run") if "loss" in line]
    assert steps == list(range(1, 11))  # the lost steps are not logged twice


def test_the_grid_stage_trains_self_attention_alone(finished):
    base = load_model(finished / "base")
    grid = load_model(finished / "model")
    changed = {n for n, p in grid.named_parameters() if not torch.equal(p, dict(base.named_parameters())[n])}
    assert changed
    assert all(".attn1." in name for name in changed)
    assert base.config["trained"] == "video"
    assert grid.config["trained"] == "grid"


def test_base_and_delta_together_are_the_model(finished):
    whole = ViewTimeGenerator.from_pretrained(finished / "model").transformer
    laid = ViewTimeGenerator.from_pretrained(finished / "base", delta=finished / "view_time").transformer
    for name, parameter in whole.named_parameters():
        assert torch.equal(parameter, dict(laid.named_parameters())[name]), name


def test_the_folder_tells_what_the_run_was(finished):
    manifest = json.loads((finished / "manifest.json").read_text())
    assert manifest["recipe"]["name"] == "tiny"
    assert {"fourreal", "seed", "data", "sessions"} <= manifest.keys()
    assert {path.name for path in (finished / "plots").iterdir()} >= {"loss.png", "psnr.png", "gradient_norm.png"}
    assert len(list((finished / "samples").rglob("*.png"))) == 4
    run(finished, resume=True)  # nothing is left to do, and nothing breaks
    assert len(list((finished / "checkpoints").iterdir())) == 2  # keep-last


def test_loss_falls_on_few_samples(tmp_path):
    recipe = tiny()
    base = recipe.stages[0]
    optimiser = replace(base.optimiser, lr=4e-3, warmup=5)
    recipe = replace(recipe, stages=(replace(base, steps=60, optimiser=optimiser),))
    task = _FewSamples(recipe, torch.device("cpu"))
    train(task, recipe, RunSettings(out=tmp_path / "run"), ALONE)
    losses = [line["loss"] for line in read_log(tmp_path / "run") if "loss" in line]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


class _FewSamples(VideoTask):
    """Sees the samples and the noise of step 0 at every step."""

    def mixture(self, stage):
        inner = super().mixture(stage)
        made = inner.render([inner.draft(0, index) for index in range(4)])

        class Same:
            def draft(self, step, index):
                return index

            def render(self, drafts, device="cpu"):
                return [made[index] for index in drafts]

        return Same()

    def losses(self, samples, stage, step, indices):
        return super().losses(samples, stage, 0, indices)


class _Broken(VideoTask):
    """NaN gradients at chosen steps."""

    bad = frozenset({1})

    def losses(self, samples, stage, step, indices):
        losses = super().losses(samples, stage, step, indices)
        return {"loss": losses["loss"] * (float("nan") if step in self.bad else 1.0)}


def test_a_step_that_is_not_finite_is_skipped_and_counted(tmp_path):
    recipe = tiny()
    counters = train(_Broken(recipe, ALONE.device), recipe, RunSettings(out=tmp_path / "run", steps=3), ALONE)
    assert counters.skipped == 1
    assert all(bool(torch.isfinite(tensor).all()) for tensor in stored_tensors(tmp_path / "run").values())


def test_many_steps_that_are_not_finite_are_an_error(tmp_path):
    recipe = replace(tiny(), stages=(replace(tiny().stages[0], steps=20),))
    task = _Broken(recipe, ALONE.device)
    task.bad = frozenset(range(20))
    with pytest.raises(InputError, match="4 of 4 steps gave NaN"):
        train(task, recipe, RunSettings(out=tmp_path / "run"), ALONE)


def test_time_ends_a_run_with_a_checkpoint(tmp_path):
    counters = run(tmp_path / "run", minutes=1e-6)
    assert counters.step == 1
    assert counters.step < total_steps(tiny())
    found = latest_checkpoint(tmp_path / "run")
    assert found is not None
    assert found.counters.step == 1


def test_workers_change_nothing():
    recipe = tiny()
    mixture = VideoTask(recipe, ALONE.device).mixture(1)
    device = torch.device("cpu")
    here = list(feed(mixture, range(3, 5), [(0, 1), (2, 3)], device, 0))
    there = list(feed(mixture, range(3, 5), [(0, 1), (2, 3)], device, 2))
    for ours, theirs in zip(here, there, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one.indices == other.indices
            for a, b in zip(one.samples, other.samples, strict=True):
                assert torch.equal(a.grid.frames, b.grid.frames)
                assert torch.equal(a.references, b.references)
                assert a.caption == b.caption


def test_shards_feed_a_run_as_worlds_do(tmp_path):
    recipe = tiny()
    recipe = replace(recipe, stages=recipe.stages[1:], shards=str(tmp_path / "shards"))
    write_shards(tmp_path / "shards", VideoTask(tiny(), ALONE.device).mixture(1), 3)
    run(tmp_path / "run", recipe, steps=2)
    assert len([line for line in read_log(tmp_path / "run") if "loss" in line]) == 2


@pytest.mark.parametrize(("batch", "micro", "count"), [(8, 2, 2), (8, 8, 1), (6, 3, 2), (4, 16, 2), (96, 2, 48)])
def test_processes_share_every_sample_once(batch, micro, count):
    shares = [own_indices(batch, micro, Processes(rank, count, torch.device("cpu"))) for rank in range(count)]
    assert len({len(share) for share in shares}) == 1
    taken = sorted(index for share in shares for indices in share for index in indices)
    assert taken == list(range(batch))


def test_stages_follow_each_other():
    recipe = tiny()
    assert [stage_at(recipe, step) for step in (0, 3, 4, 9)] == [(0, 0), (0, 3), (1, 0), (1, 5)]
    assert total_steps(recipe) == 10


def test_a_log_line_cut_short_by_a_kill_is_left_out(tmp_path):
    log = RunLog(tmp_path)
    log.write(1, "base", {"loss": 2.0})
    log.write(2, "base", {"loss": 1.0})
    with log.file.open("a") as handle:
        handle.write('[1]\n{"step": "x"}\n{"step": 3, "lo')
    with log.file.open("ab") as handle:
        handle.write(b'\n\xff\xfe{"step": 4}\n')
    assert [line["step"] for line in read_log(tmp_path)] == [1, 2]
    RunLog(tmp_path, resume_step=1).write(2, "base", {"loss": 0.5})
    assert [line["loss"] for line in read_log(tmp_path)] == [2.0, 0.5]
    assert plot_log(tmp_path) == [tmp_path / "plots" / "loss.png"]


# ---- bad input ---------------------------------------------------------------------------------


def test_a_folder_is_one_run(finished, tmp_path):
    with pytest.raises(InputError, match="already holds a run"):
        run(finished)
    with pytest.raises(InputError, match="no run to resume"):
        run(tmp_path / "nowhere", resume=True)
    with pytest.raises(InputError, match="begun with the recipe 'tiny', not 'other'"):
        run(finished, replace(tiny(), name="other"), resume=True)
    with pytest.raises(InputError, match=r"other settings of 'tiny' \(shift differ"):
        run(finished, replace(tiny(), shift=1.0), resume=True)


def test_two_runs_cannot_share_a_folder_at_one_time(tmp_path):
    with locked(tmp_path), pytest.raises(InputError, match="in use by another run"):
        run(tmp_path)


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(InputError, match="does not divide"):
        own_indices(10, 4, Processes(0, 1, torch.device("cpu")))


def test_a_run_of_an_older_version_can_be_resumed(tmp_path):
    old = Path(__file__).parent / "data" / "manifest_of_micro.json"
    assert all(word in old.read_text() for word in ('"rate"', '"size"', '"times"', '"micro"'))
    (tmp_path / "manifest.json").write_text(old.read_text())
    check_folder(tmp_path, mini(), resume=True)
    with pytest.raises(InputError, match="begun with other settings of 'mini' \\(shift differ\\)"):
        check_folder(tmp_path, replace(mini(), shift=1.0), resume=True)


class _Recorder(NoTextEncoder):
    """A text encoder that keeps what it is given."""

    def encode(self, prompts):
        self.__dict__.setdefault("seen", []).extend(prompts)
        return super().encode([""] * len(prompts))


def test_text_and_references_are_left_out_separately():
    """Guidance compares with and without each of the two. Source: 4Real-Video-V2, appendix B."""
    recipe = replace(tiny(), drop_text=0.3)
    task = VideoTask(recipe, ALONE.device)
    encoder = _Recorder(recipe.model["text_dim"], reads_text=True)
    task.generator = replace(task.generator, text_encoder=encoder)
    mixture = task.mixture(1)
    sample = replace(mixture.render([mixture.draft(0, 0)])[0], caption="a cat", kind="objects")
    count = range(4000)
    task._text([sample] * len(count), 1, 0, count)
    config = replace(recipe.stages[1].mixture, pattern_shares=(0.5, 0.0, 0.0, 0.5), seed=1)
    no_text = torch.tensor([not text for text in encoder.__dict__["seen"]])
    no_references = torch.tensor([draw_references(config, "objects", 0, index)[0] == "none" for index in count])
    for text in (True, False):
        share = (no_text == text) & no_references
        assert float(share.float().mean()) == pytest.approx(0.5 * (0.3 if text else 0.7), abs=0.03)


def test_a_missing_package_is_told_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else name)
    with pytest.raises(InputError, match=r"plots of a run need matplotlib; .*fourreal\[train\]"):
        run(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gsplat" else name)
    check_extras(tiny_recipe(), torch.device("cpu"))
    with pytest.raises(InputError, match=r"fourreal\[cuda\]"):
        check_extras(tiny_recipe(), torch.device("cuda"))


def test_under_sharding_only_what_trains_keeps_gradients(tmp_path):
    recipe = tiny()
    task = VideoTask(recipe, ALONE.device)
    (tmp_path / "run").mkdir()
    running = _Run(task, recipe, RunSettings(out=tmp_path / "run"), ALONE, None, silent)
    running.stage = 1
    running.trained, running.optimisers, running.average = running._begin_stage(1)
    running.processes = Processes(0, 2, ALONE.device)  # as among several, where every stage's parameters have gradients
    for parameter in task.model.parameters():
        parameter.requires_grad_(True)
    mixture = task.mixture(1)
    task.losses(mixture.render([mixture.draft(0, 0)]), 1, 0, (0,))["loss"].backward()
    running._drop_other_gradients()
    kept = {name for name, parameter in task.model.named_parameters() if parameter.grad is not None}
    assert kept <= running.trained.keys()
    assert kept


def test_both_wan_recipes_choose_an_average():
    for make in (video_recipes.paper_v2, video_recipes.wan_1_3b):
        assert "ema=" in inspect.getsource(make), make.__name__
