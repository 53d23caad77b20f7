"""Stages are made once, kept while nothing they depend on changes, and made again when it does."""

from __future__ import annotations

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from job.tiny_jobs import Diary, request, write_clip

from fourreal.core.errors import InputError
from fourreal.core.folder_lock import locked
from fourreal.core.grid import VideoGrid
from fourreal.core.media import read_clip, read_image
from fourreal.data.grid_wish import GridWish
from fourreal.files.grid_folder import load_grid, save_grid
from fourreal.files.scene_folder import load_scene
from fourreal.job import stages
from fourreal.job.manifest import load_manifest
from fourreal.job.request import JobRequest, StageName
from fourreal.job.run import RunReport, run_job
from fourreal.job.summary import next_steps
from fourreal.recon.settings import ReconstructSettings

THREE: StageName = "reconstruct"


def kept(report: RunReport) -> list[str]:
    return [name for name in report.stages if name in report.reused]


def assert_same_results(one: Path, other: Path) -> None:
    """Grids bit for bit; a network may round its last bit otherwise from one call to the next."""
    assert torch.equal(load_grid(one / "grid").grid.frames, load_grid(other / "grid").grid.frames)
    for a, b in zip(load_scene(one / "scene").steps, load_scene(other / "scene").steps, strict=True):
        torch.testing.assert_close(a.means, b.means, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(a.sh, b.sh, atol=1e-5, rtol=1e-4)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "fixed.mp4")
    save_grid(folder / "grid", VideoGrid.complete(torch.rand(3, 5, 3, 16, 16), torch.arange(5) / 8), storage="png")
    return folder


def test_footage_becomes_a_page_and_a_second_run_keeps_all(models: Path, clips: Path, tmp_path: Path) -> None:
    wanted, out, diary = request(models, fixed=clips / "fixed.mp4"), tmp_path / "run", Diary()
    report = run_job(wanted, out, watcher=diary)
    assert diary.made == ["import", "generate", "reconstruct", "render", "page"]
    assert kept(report) == []
    before, after = load_grid(out / "input").grid, load_grid(out / "grid").grid
    assert (after.num_views, after.num_times, after.image_size) == (3, 5, (16, 16))
    assert bool(after.known.all())
    assert torch.equal(after.frames[before.known], before.frames[before.known])
    assert len(load_scene(out / "scene").steps) == 5
    assert len(read_clip(out / "bullet_time.mp4").frames) > 24
    assert (out / "scene.html").read_text(encoding="utf-8", errors="replace").lstrip().startswith("<!doctype html>")
    for picture in ("preview.png", "contact.png", "reconstruction.png"):
        assert read_image(out / picture).shape[0] == 3
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["inputs"]["fixed"]["name"] == "fixed.mp4"
    assert len(manifest["inputs"]["fixed"]["sha256"]) == len(manifest["models"]["recon"]["sha256"]) == 64
    assert manifest["stages"]["generate"]["settings"]["steps"] == 2
    assert all(stage["peak_mb"]["memory"] > 10 for stage in manifest["stages"].values())
    assert str(tmp_path) not in json.dumps(manifest), "a path of this machine went into the record"
    again = Diary()
    assert kept(run_job(wanted, out, watcher=again)) == again.kept == diary.made
    assert again.made == []


@pytest.fixture(scope="module")
def whole(models: Path, clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that went through as far as its scene; copies of it are runs as well."""
    out = tmp_path_factory.mktemp("whole") / "run"
    run_job(crossed(models, clips), out, until=THREE)
    return out


def crossed(models: Path, clips: Path) -> JobRequest:
    return request(models, fixed=clips / "fixed.mp4", freeze=clips / "grid")


def test_changed_settings_run_again_only_what_depends_on_them(
    models: Path, clips: Path, whole: Path, tmp_path: Path
) -> None:
    wanted, out = crossed(models, clips), tmp_path / "run"
    shutil.copytree(whole, out)
    assert kept(run_job(replace(wanted, settings=replace(wanted.settings, seed=1)), out, until="generate")) == [
        "import"
    ]
    # The same result as at first: what depends on it is still right.
    assert kept(run_job(wanted, out, until=THREE)) == ["import", THREE]
    assert kept(run_job(wanted, out, redo="generate", until=THREE)) == ["import", THREE]
    assert kept(run_job(replace(wanted, wish=GridWish(views=2)), out, until="generate")) == []


def test_a_folder_of_an_earlier_version_runs_on(models: Path, clips: Path, whole: Path, tmp_path: Path) -> None:
    wanted, out = crossed(models, clips), tmp_path / "run"
    shutil.copytree(whole, out)
    manifest = json.loads((out / "manifest.json").read_text())
    generation = manifest["stages"]["generate"]
    generation["key"], generation["figures"] = "0" * 64, {"views": 3, "times": 5}
    generation["settings"] = {"prompt": "", "steps": 2, "seed": 0, "models": generation["settings"]["models"]}
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert kept(run_job(wanted, out, until=THREE)) == ["import", THREE]
    assert_same_results(out, whole)


def test_what_is_gone_or_changed_is_made_again(models: Path, clips: Path, whole: Path, tmp_path: Path) -> None:
    wanted, out = crossed(models, clips), tmp_path / "run"
    shutil.copytree(whole, out)
    (out / "contact.png").unlink()
    assert kept(run_job(wanted, out, until=THREE)) == ["import", THREE]
    step = out / "scene" / "steps" / "t001.safetensors"
    step.write_bytes(step.read_bytes()[:100])
    assert kept(run_job(wanted, out, until=THREE)) == ["import", "generate"]
    assert_same_results(out, whole)


@pytest.mark.parametrize("stage", ["import", "generate"])
def test_an_interrupted_run_goes_on_and_ends_the_same(
    models: Path, clips: Path, whole: Path, tmp_path: Path, stage: StageName
) -> None:
    wanted, out = crossed(models, clips), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run_job(wanted, out, watcher=Diary(stop_in=stage), until=THREE)
    # A process that is killed cannot clean up behind itself.
    (out / ".grid.0123.partial").mkdir()
    (out / ".contact.0123.partial.png").touch()
    resumed = run_job(wanted, out, until=THREE)
    assert kept(resumed) == ([] if stage == "import" else ["import"])
    assert_same_results(out, whole)
    assert not list(out.glob(".*partial*"))


def test_a_full_disk_is_one_sentence_and_keeps_what_is_finished(
    models: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    wanted, out = request(models, fixed=clips / "fixed.mp4"), tmp_path / "run"
    run_job(wanted, out, until="import")
    with (
        monkeypatch.context() as patched,
        pytest.raises(InputError, match=r"no space left .* finished stages are kept"),
    ):
        patched.setattr("fourreal.core.media._encode", full)
        patched.setattr("fourreal.files.grid_folder.write_image", full)
        run_job(wanted, out, until="generate")
    assert sorted(path.name for path in out.iterdir()) == [".lock", "input", "manifest.json", "preview.png"]
    assert kept(run_job(wanted, out, until="generate")) == ["import"]


def test_two_runs_do_not_share_a_folder(models: Path, clips: Path, tmp_path: Path) -> None:
    wanted = request(models, fixed=clips / "fixed.mp4")
    with locked(tmp_path / "run"), pytest.raises(InputError, match="in use by another run"):
        run_job(wanted, tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(InputError, match=r"holds other things \(thesis.txt\)"):
        run_job(wanted, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    (tmp_path / "mine" / "manifest.json").write_text('{"recipe": {}}')
    with pytest.raises(InputError, match="not the record of a run"):
        load_manifest(tmp_path / "mine")


def test_a_complete_grid_is_only_reconstructed(models: Path, clips: Path, tmp_path: Path) -> None:
    wanted = request(models, grid=clips / "grid", model="nobody/has-this")
    run_job(wanted, tmp_path / "run", until=THREE)
    assert torch.equal(load_grid(tmp_path / "run" / "grid").grid.frames, load_grid(clips / "grid").grid.frames)
    assert len(load_scene(tmp_path / "run" / "scene").steps) == 5


def test_what_is_wished_of_the_reconstruction_reaches_it_and_its_figure_is_told(
    models: Path, clips: Path, tmp_path: Path
) -> None:
    """White pixels at the border leave no Gaussians behind; another frame size makes the stage run again."""
    grid = load_grid(clips / "grid").grid
    frames = grid.frames.clone()
    frames[..., :4, :] = 1.0
    save_grid(tmp_path / "white", VideoGrid.complete(frames, grid.seconds), storage="png")
    wanted, out = request(models, grid=tmp_path / "white"), tmp_path / "run"
    keep = ReconstructSettings(min_opacity=0.0)
    drop = replace(keep, drop_white_background=True)
    counts = []
    for settings in (keep, drop):
        report = run_job(replace(wanted, reconstruction=settings), out, until=THREE)
        assert THREE not in kept(report)
        counts.append(report.stages[THREE].figures["gaussians"])
    assert counts[1] == counts[0] * 12 / 16
    psnr = report.stages[THREE].figures["input_psnr_db"]
    assert f"the given views come back at {psnr:.1f} dB" in " ".join(next_steps(report))


def test_a_grid_gives_its_row_and_its_column(models: Path, clips: Path, tmp_path: Path) -> None:
    wanted = request(models, fixed=clips / "grid", freeze=clips / "grid")
    run_job(wanted, tmp_path / "run", until="import")
    grid, source = load_grid(tmp_path / "run" / "input").grid, load_grid(clips / "grid").grid
    assert torch.equal(grid.frames, source.with_known("cross").frames)


def test_larger_grids_are_made_in_windows(models: Path, clips: Path, tmp_path: Path) -> None:
    wish = GridWish(views=4, frames=9, size=(16, 32))
    run_job(request(models, fixed=clips / "fixed.mp4", wish=wish), tmp_path / "run", until="generate")
    assert load_grid(tmp_path / "run" / "grid").grid.frames.shape == (4, 9, 3, 16, 32)


def test_what_was_said_is_kept(models: Path, clips: Path, tmp_path: Path) -> None:
    diary = Diary()
    wanted = request(models, fixed=clips / "fixed.mp4", prompt="ein roter Würfel 🟥 " * 50)
    report = run_job(wanted, tmp_path / "run", watcher=diary, until="generate")
    assert ["this model reads no text" in note for note in diary.notes] == [True]
    assert report.stages["generate"].notes == diary.notes
    assert load_grid(tmp_path / "run" / "grid").record.caption == wanted.prompt
    run_job(replace(wanted, prompt="a blue cube"), tmp_path / "run", until="generate")
    assert load_grid(tmp_path / "run" / "grid").record.caption == "a blue cube"


def test_a_prompt_alone_needs_a_model_that_reads(models: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="reads no text, so a prompt alone"):
        run_job(request(models, prompt="a fox runs", model="mini"), tmp_path / "run")
    with pytest.raises(InputError, match=r"was not trained to make a freeze-time video.*--base wan2\.2-ti2v-5b"):
        run_job(request(models, prompt="a fox runs"), tmp_path / "run")
    assert not (tmp_path / "run" / "grid").exists()


def test_a_prompt_alone_becomes_a_grid(models: Path, tmp_path: Path) -> None:
    from video.tiny_generator import PIXELS
    from video.tiny_wan import tiny_tokenizer, tiny_umt5

    from fourreal.core.grid_shape import GridShape
    from fourreal.video.codec import PixelTubelets
    from fourreal.video.generator import ViewTimeGenerator
    from fourreal.video.text import TransformersTextEncoder
    from fourreal.video.transformer import ViewTimeTransformer

    encoder = TransformersTextEncoder(tiny_umt5(), tiny_tokenizer(), max_tokens=16)
    transformer = ViewTimeTransformer(**{**PIXELS, "text_dim": encoder.dim, "context_tokens": True})
    ViewTimeGenerator(
        transformer=transformer, codec=PixelTubelets(), text_encoder=encoder, training_size=GridShape.of(2, 5, (8, 8))
    ).save_pretrained(tmp_path / "reads")
    wanted = request(models, prompt="一只狐狸 runs", model=str(tmp_path / "reads"))
    report = run_job(wanted, tmp_path / "run", until="generate")
    assert list(report.stages) == ["generate"]
    stored = load_grid(tmp_path / "run" / "grid")
    assert stored.grid.frames.shape == (2, 5, 3, 8, 8)
    assert stored.record.caption == "一只狐狸 runs"


def test_requests_that_cannot_be_met_are_refused_before_anything(models: Path, clips: Path, tmp_path: Path) -> None:
    clip = clips / "fixed.mp4"
    with pytest.raises(InputError, match="got none"):
        JobRequest()
    with pytest.raises(InputError, match="a grid already holds its inputs"):
        JobRequest(fixed=clip, grid=clips / "grid")
    with pytest.raises(InputError, match="at least 2 views"):
        JobRequest(fixed=clip, wish=GridWish(views=1))
    with pytest.raises(InputError, match="does not exist; it was given as the freeze input"):
        JobRequest(freeze=tmp_path / "absent.mp4")
    for changes, words in (
        ({"model": "nothing"}, "no folder, no hub id"),
        ({"recon": "nothing"}, "no model 'nothing'"),
    ):
        with pytest.raises(InputError, match=words):
            run_job(request(models, fixed=clip, **changes), tmp_path / "run")
    with pytest.raises(InputError, match="'page' is to run again but is left out"):
        run_job(request(models, fixed=clip), tmp_path / "run", redo="page", until="render")
    assert not [path for path in (tmp_path / "run").iterdir() if path.name != ".lock"]


def test_the_movie_and_the_page_can_be_left_out(models: Path, clips: Path) -> None:
    names = [stage.name for stage in stages.planned(request(models, fixed=clips / "fixed.mp4", skip=("render",)))]
    assert names == ["import", "generate", "reconstruct", "page"]
