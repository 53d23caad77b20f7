"""What can be done on the page, without a browser: clips in, a preview, a scene, its files, and every refusal."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from job.tiny_jobs import moving_square, write_clip
from PIL import Image

from fourreal.app import service as service_module
from fourreal.app.grid_page import SLOT, TEMPLATE, write_grid_page
from fourreal.app.queue import Job
from fourreal.app.results import FOLDER_OF, find_result
from fourreal.app.server import open_service
from fourreal.app.service import PACK, Choices, Service
from fourreal.app.sessions import Session
from fourreal.app.settings import AppSettings
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.media import read_clip, to_uint8
from fourreal.files.grid_folder import load_grid, save_grid
from fourreal.files.ply import read_ply
from fourreal.files.scene_folder import load_scene
from fourreal.job.request import JobRequest

PATIENCE_S = 300.0


@pytest.fixture
def app_settings(models: Path, tmp_path: Path) -> AppSettings:
    return AppSettings(
        model=(str(models / "video"),),
        recon=str(models / "recon"),
        device="cpu",
        max_upload_mb=2,
        out=tmp_path / "kept",
    )


@pytest.fixture
def service(app_settings: AppSettings, tmp_path: Path) -> Iterator[Service]:
    with open_service(app_settings, tmp_path / "root") as service:
        yield service


@pytest.fixture
def session(service: Service) -> Session:
    return service.sessions.open()


CHOICES = Choices(model="video", steps=2)


def give(service: Service, session: Session, folder: Path, name: str = "my clip.mp4") -> None:
    service.receive(session, "fixed", write_clip(folder / "upload.mp4"), name)


def finish(job: Job | None) -> Job:
    assert job is not None
    assert job.wait(PATIENCE_S)
    return job


def test_a_clip_becomes_files_to_take_away(
    service: Service, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fourreal.view.movie.MOVIE_PX", 24)
    give(service, session, tmp_path)
    assert service.preview(session, CHOICES)
    looked = finish(session.preview).view()
    assert looked.phase == "finished", looked.error
    assert find_result(session.folder, "preview.png") is not None
    assert find_result(session.folder, "scene.html") is None
    service.make(session, CHOICES)
    made = finish(session.scene).view()
    assert made.phase == "finished", made.error
    assert [(s.name, s.status) for s in made.stages] == [
        ("import", "kept"),
        *[(name, "finished") for name in ("generate", "reconstruct", "render", "page", PACK)],
    ]
    found = {name: find_result(session.folder, name) for name in FOLDER_OF}
    assert all(found.values()), found
    kept = next((tmp_path / "kept").iterdir())
    assert (kept / "scene.html").read_bytes() == (session.run_folder / "scene.html").read_bytes()
    assert any(kept.name in note for note in made.notes)
    assert not any(str(tmp_path) in note for note in made.notes)
    check_archives(session)


def check_archives(session: Session) -> None:
    """Both hold what was made, number for number."""
    unpacked = session.folder / "unpacked"
    for name in ("grid.zip", "splats.zip"):
        with zipfile.ZipFile(session.folder / "packed" / name) as archive:
            archive.extractall(unpacked)
    grid, again = load_grid(session.run_folder / "grid").grid, load_grid(unpacked / "grid").grid
    assert torch.equal(grid.frames, again.frames)
    scene = load_scene(session.run_folder / "scene")
    moments = sorted((unpacked / "splats").iterdir())
    assert len(moments) == len(scene.steps)
    assert len(read_ply(moments[0]).means) == len(scene.steps[0].means)


def test_a_refused_clip_takes_the_place_of_the_last_and_speaks_without_folders(
    service: Service, session: Session, tmp_path: Path
) -> None:
    give(service, session, tmp_path)
    (tmp_path / "bad.mp4").write_bytes(b"no clip")
    with pytest.raises(InputError, match="bad is no video and no GIF") as caught:
        service.receive(session, "fixed", tmp_path / "bad.mp4", "bad.mp4")
    assert str(tmp_path) not in str(caught.value)
    assert session.clips == {}
    assert not service.preview(session, CHOICES), "there is nothing left to preview"


def test_what_goes_wrong_in_a_job_is_one_sentence_without_folders(
    service: Service, session: Session, tmp_path: Path
) -> None:
    write_clip(tmp_path / "short.mp4", times=3)
    service.receive(session, "fixed", tmp_path / "short.mp4", "short.mp4")
    service.make(session, replace(CHOICES, frames=17))
    view = finish(session.scene).view()
    assert view.phase == "failed"
    assert "short.mp4" in view.error
    assert "17" in view.error
    assert "/" not in view.error


def test_while_a_scene_is_made_its_inputs_stay(
    service: Service, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*_: object, watcher: Job, **__: object) -> None:
        with watcher.step("generate") as progress:
            begun.set()
            assert go_on.wait(PATIENCE_S)
            progress(1, 2)

    give(service, session, tmp_path)
    monkeypatch.setattr(service_module, "run_job", slow)
    service.make(session, CHOICES)
    assert begun.wait(PATIENCE_S)
    for attempt in (
        lambda: give(service, session, tmp_path),
        lambda: service.drop(session, "fixed"),
        lambda: service.take_sample(session),
        lambda: service.preview(session, CHOICES),
        lambda: service.make(session, CHOICES),
    ):
        with pytest.raises(InputError, match="stop it first"):
            attempt()
    assert not (tmp_path / "upload.mp4").exists(), "a refused upload was left lying"
    service.stop(session)
    go_on.set()
    assert finish(session.scene).view().phase == "stopped"
    service.drop(session, "fixed")
    assert not (session.folder / "clips" / "fixed").exists()


def test_nothing_given_is_said(service: Service, session: Session) -> None:
    with pytest.raises(InputError, match="got none"):
        service.make(session, CHOICES)


def test_words_alone_need_a_model_that_reads(service: Service, session: Session) -> None:
    service.make(session, replace(CHOICES, prompt="ein roter Würfel 赤い"))
    assert "give a base that can" in finish(session.scene).view().error


@pytest.mark.parametrize(
    "wrong",
    [{"views": 1}, {"views": 99}, {"frames": 0}, {"frames": 1000}, {"steps": 0}, {"steps": 9999}, {"seed": -1}],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="must be from"):
        Choices(model="mini", **wrong)
    with pytest.raises(InputError, match="letters"):
        Choices(model="mini", prompt="x" * 5000)


def test_only_models_on_offer_can_be_chosen(service: Service, session: Session, tmp_path: Path) -> None:
    give(service, session, tmp_path)
    for label in ("small", "/etc", str(tmp_path), "", "../video"):
        with pytest.raises(InputError, match="the models here are video"):
            service.make(session, replace(CHOICES, model=label))
    named = AppSettings(model=("mini", "runs/mine/model"))
    assert named.labels == ("mini", "model")
    assert named.labelled("model") == "runs/mine/model"
    with pytest.raises(InputError, match="must differ"):
        AppSettings(model=("a/model", "b/model"))


def test_format_and_offloading_reach_the_run(
    app_settings: AppSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = replace(app_settings, weight_type="bfloat16", offload="parts")
    given: list[JobRequest] = []
    seen = threading.Event()

    def look(request: JobRequest, *_: object, **__: object) -> None:
        given.append(request)
        seen.set()
        raise InputError("seen")

    monkeypatch.setattr("fourreal.app.service.run_job", look)
    with open_service(asked, tmp_path / "asked") as service:
        session = service.sessions.open()
        give(service, session, tmp_path)
        service.make(session, CHOICES)
        assert seen.wait(PATIENCE_S)
    assert (given[0].weight_type, given[0].settings.offload) == ("bfloat16", "parts")


def test_the_grid_page_holds_every_cell(tmp_path: Path) -> None:
    frames = torch.stack([moving_square(3), moving_square(3).flip(-1)])
    known = torch.tensor([[True, True, True], [True, False, True]])
    grid = VideoGrid(frames * known[..., None, None, None], known, torch.arange(3) / 8)
    save_grid(tmp_path / "grid", grid, storage="png")
    given = torch.tensor([[True, True, True], [False, False, False]])
    size = write_grid_page(grid, tmp_path / "grid.html", given)
    html = (tmp_path / "grid.html").read_text(encoding="utf-8")
    assert size == len(html.encode())
    before, after = TEMPLATE.read_text(encoding="utf-8").split(SLOT)
    values = json.loads(html.removeprefix(before).removesuffix(after))
    assert values["given"] == given.tolist()
    assert values["known"] == known.tolist()
    assert values["seconds"] == [0.0, 0.125, 0.25]
    for view in range(2):
        for time in range(3):
            picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(values["cells"][view][time]))), dtype=int)
            difference = np.abs(picture - to_uint8(grid.frames[view, time][None])[0])
            assert difference.mean() < 3, (view, time)
    assert not re.search(r"(?:src|href)=|https?://|@import", html), "the page asks for something outside itself"


def test_a_kept_clip_is_the_clip(service: Service, session: Session, tmp_path: Path) -> None:
    write_clip(tmp_path / "same.mp4")
    content = (tmp_path / "same.mp4").read_bytes()
    give(service, session, tmp_path)
    assert session.clips["fixed"].path.read_bytes() == content
    assert len(read_clip(session.clips["fixed"].path).frames) == 12
    assert session.clips["fixed"].name == "my-clip.mp4"
