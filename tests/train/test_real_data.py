"""From clips and captures to training by command: real data without depth, drawn uniformly over data sets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fourreal.cli.synth import Synth
from fourreal.cli.train import Train
from fourreal.core.errors import InputError
from fourreal.core.media import write_image, write_video
from fourreal.data.capture_mixture import CaptureMixture, UniformMixture, data_sets
from fourreal.data.mixture import MixtureConfig
from fourreal.data.shards import ShardMixture
from fourreal.data.worlds import training_worlds
from fourreal.train.catalog import find_recipe
from fourreal.train.log import read_log
from fourreal.train.settings import RecipeChanges, RunSettings

SIZE = (32, 32)


def _config(views: int = 3, frames: int = 2, seed: int = 0) -> MixtureConfig:
    small = {"height": 32, "width": 32, "antialias": False, "photo_textures": False}
    return MixtureConfig(worlds=replace(training_worlds(), views=views, frames=frames, **small), seed=seed)


def _dl3dv(folder: Path, views: int = 5) -> None:
    """A scene in DL3DV's layout; every photo is its number's grey, with noise on it."""
    frames = []
    for view in range(views):
        write_image(folder / "images" / f"{view}.png", (0.1 * view + 0.2 * torch.rand(3, *SIZE)))
        pose = np.eye(4)
        pose[0, 3] = 0.1 * view
        frames.append({"file_path": f"images/{view}.png", "transform_matrix": pose.tolist()})
    (folder / "transforms.json").write_text(json.dumps({"fl_x": 30, "w": 32, "h": 32, "frames": frames}))


def _realestate10k(folder: Path, name: str, views: int = 6) -> None:
    lines = ["https://example.org/clip"]
    for view in range(views):
        write_image(folder / name / f"{1000 * view}.png", torch.rand(3, *SIZE))
        pose = np.eye(4)[:3]
        pose[0, 3] = -0.1 * view
        lines.append(" ".join(map(str, [1000 * view, 0.9, 0.9, 0.5, 0.5, 0, 0, *pose.ravel()])))
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def captures(tmp_path: Path) -> tuple[str, str]:
    _dl3dv(tmp_path / "dl3dv" / "scene")
    for name in ("a", "b", "c"):
        _realestate10k(tmp_path / "re10k", name)
    return f"transforms-json:{tmp_path}/dl3dv/*", f"realestate10k:{tmp_path}/re10k/*.txt"


def test_photos_become_a_stretch_of_their_path_that_stands_still(captures):
    mixture = CaptureMixture(captures[0], _config())
    for step in range(6):
        draft = mixture.draft(step, 0)
        assert draft == mixture.draft(step, 0)  # a function of seed, step and index
        (sample,) = mixture.render([draft])
        assert sample.grid.frames.shape == (3, 2, 3, 32, 32)
        assert torch.equal(sample.grid.frames[:, 0], sample.grid.frames[:, 1])
        assert sample.kind == "static"
        assert not sample.references.any()
        assert sample.depth is None
        assert sample.grid.cameras is not None
        greys = sample.grid.frames[:, 0].mean((1, 2, 3))
        assert torch.equal(greys.sort(descending=draft.reverse).values, greys)  # the path, one way or the other
    with pytest.raises(InputError, match="has 5 views; the grids have 6"):
        CaptureMixture(captures[0], _config(views=6)).draft(0, 0)


def test_data_sets_are_drawn_alike_often(captures):
    mixture = data_sets(_config(), "", captures)
    assert isinstance(mixture, UniformMixture)
    drafts = [mixture.draft(step, 0) for step in range(90)]
    counts = [sum(draft.part == part for draft in drafts) for part in range(3)]
    assert min(counts) > 18  # one scene in one data set, three in another, endless worlds in the third
    picked = [next(draft for draft in drafts if draft.part == part) for part in (2, 0, 1)]
    sources = [sample.source for sample in mixture.render(picked)]
    assert "RealEstate10K" in sources[0]
    assert sources[2].endswith(": scene")


def test_reconstruction_trains_on_captures_by_command(captures, tmp_path):
    changes = RecipeChanges(captures=captures, stage_steps=(1, 1, 1), batch=2)
    Train(kind="recon", session=RunSettings(out=tmp_path / "run"), recipe="tiny", device="cpu", changes=changes).run()
    assert [line["stage"] for line in read_log(tmp_path / "run") if "loss" in line] == [
        "geometry",
        "gaussians",
        "dynamic",
    ]


def test_captures_and_clips_become_shards_by_command(captures, tmp_path):
    Synth(
        out=tmp_path / "shards", shards=True, captures=captures[1], kind="recon", count=3, views=3, frames=2, size=SIZE
    ).run()
    mixture = ShardMixture(tmp_path / "shards", _config())
    (sample,) = mixture.render([mixture.draft(0, 0)])
    assert sample.depth is None
    assert sample.kind == "static"
    frames = torch.rand(12, 3, 48, 48)
    write_video(tmp_path / "clips" / "a_dog-runs.mp4", frames, fps=8.0)
    Synth(
        out=tmp_path / "warped", shards=True, clips=str(tmp_path / "clips"), count=2, views=3, frames=2, size=SIZE
    ).run()
    mixture = ShardMixture(tmp_path / "warped", _config())
    (sample,) = mixture.render([mixture.draft(0, 0)])
    assert (sample.kind, sample.caption) == ("warped", "a dog runs")


def test_clips_reach_the_warped_samples_of_a_recipe(tmp_path):
    write_video(tmp_path / "clips" / "a.mp4", torch.rand(12, 3, 32, 32), fps=8.0)
    recipe = find_recipe("video", "tiny", RecipeChanges(clips=str(tmp_path / "clips")))
    assert {stage.mixture.clips for stage in recipe.stages} == {str(tmp_path / "clips")}


def test_wrong_sources_are_told_before_any_work(captures, tmp_path):
    for changes, says in (
        (RecipeChanges(captures=("nothing",)), "given as READER:PATH, READER one of colmap"),
        (RecipeChanges(captures=(f"colmap:{tmp_path}/none/*",)), "there is no scene"),
        (RecipeChanges(clips=str(tmp_path)), "holds no clips"),
        (RecipeChanges(clips=str(tmp_path), shards="somewhere"), "samples come from shards"),
    ):
        with pytest.raises(InputError, match=says):
            find_recipe("video", "mini", changes)
    with pytest.raises(InputError, match="it warps none"):
        find_recipe("recon", "mini", RecipeChanges(clips=str(tmp_path)))
    with pytest.raises(InputError, match="add --shards"):
        Synth(out=tmp_path / "out", captures=captures[0]).run()
