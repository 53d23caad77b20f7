"""The folder of a run is opened at its scene by every verb that reads one, or refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fourreal.cli.__main__ import main
from fourreal.core.progress import set_quiet


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    set_quiet(True)
    folder = tmp_path_factory.mktemp("runs") / "run"
    main(f"synth --out {folder} --seed 3 --views 2 --frames 2 --size 16 16".split())
    set_quiet(False)
    (folder / "manifest.json").write_text(json.dumps({"format": "fourreal-run", "format_version": 1}))
    return folder


def test_verbs_open_a_run_at_its_scene(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["info", str(run)])
    assert "Gaussians" in capsys.readouterr().out
    main(["movie", str(run), "--out", str(tmp_path / "m.mp4"), "--move", "play", "--size", "16", "16"])
    main(["page", str(run), "--out", str(tmp_path / "p.html")])
    main(["export", str(run), "--format", "ply", "--out", str(tmp_path / "ply")])
    main(["sheet", str(run), "--out", str(tmp_path / "s.png")])
    assert {path.name for path in tmp_path.iterdir()} == {"m.mp4", "p.html", "ply", "s.png"}


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_who_can_see_a_viewer_is_said(
    host: str, warned: bool, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Shown:
        notes: tuple[str, ...] = ()
        url = "http://localhost"

        def wait(self) -> None:
            pass

    monkeypatch.setattr("fourreal.view.server.serve", lambda **_: Shown())
    main(["view", str(run), "--no-open", "--host", host])
    assert ("lets everybody who can reach this machine see" in capsys.readouterr().err) == warned


def test_a_run_is_no_clip_and_one_without_a_scene_says_so(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "manifest.json").write_text((run / "manifest.json").read_text())
    expected = {
        ("run", "--freeze", str(run), "--out", str(tmp_path / "out")): "is the folder of a run, no freeze input",
        ("view", str(tmp_path / "begun"), "--no-open"): "has no scene yet",
    }
    for arguments, sentence in expected.items():
        with pytest.raises(SystemExit) as stop:
            main(list(arguments))
        assert stop.value.code == 2
        assert sentence in capsys.readouterr().err
