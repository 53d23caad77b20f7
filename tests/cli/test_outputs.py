"""Wherever a verb is told to write, it writes there or says in one sentence why not, before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from fourreal.cli.__main__ import VERBS, main
from fourreal.core.progress import set_quiet

SAID_AT_ONCE = ("synth", "generate", "reconstruct", "import", "page", "movie", "sheet", "export", "run", "evaluate")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    set_quiet(True)
    folder = tmp_path_factory.mktemp("outputs") / "world"
    main(f"synth --out {folder} --seed 3 --views 2 --frames 2 --size 16 16".split())
    set_quiet(False)
    return folder


def written(verb: str, world: Path, out: Path) -> list[str]:
    """A verb told to write to `out`."""
    grid, scene, video = (str(world / name) for name in ("grid", "scene", "grid/rgb/v000.mp4"))
    arguments = {
        "synth": ["--views", "2", "--frames", "2", "--size", "16", "16", "--no-scene"],
        "generate": [grid],
        "reconstruct": [grid],
        "import": ["--rows", video, video],
        "page": [scene],
        "movie": [grid, "--move", "play"],
        "sheet": [grid],
        "export": [scene, "--format", "ply"],
        "run": ["--grid", grid, "--until", "import"],
        "evaluate": ["grid", "--data", grid, "--model", "copy-view", "--scenes", "1", "--no-perceptual"],
    }
    return [verb, *arguments[verb], "--out", str(out)]


def outputs(folder: Path) -> dict[str, Path]:
    (folder / "file").write_text("mine")
    (folder / "full").mkdir()
    (folder / "full" / "thesis.txt").write_text("mine")
    return {
        "below a file": folder / "file" / "out",
        "a place nobody can write to": Path("/proc/nowhere/out"),
        "too long": folder / ("x" * 300),
        "a folder with other things": folder / "full",
        "a file, or a name of no format": folder / "file",
        "an unknown suffix": folder / "out.xyz",
    }


@pytest.mark.parametrize("verb", SAID_AT_ONCE)
def test_no_output_argument_ends_in_a_traceback(
    verb: str, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for what, out in outputs(tmp_path).items():
        if what == "an unknown suffix" and verb not in ("movie", "sheet"):
            continue  # a folder's name, or a page's, may end in anything
        if what == "a file, or a name of no format" and verb == "page":
            continue  # replaced, as a page of an earlier run is
        if what == "a folder with other things" and verb in ("synth", "evaluate"):
            continue  # both add to a folder
        with pytest.raises(SystemExit) as stop:
            main(written(verb, world, out))
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert stop.value.code == 2, f"{verb}, {what}: {said}"
        assert said.startswith("fourreal: "), f"{verb}, {what}: {said}"
    assert (tmp_path / "full" / "thesis.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full"], "something was left behind"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["generate", "GRID", "--device", "cuda:99"], "cuda"),
        (["reconstruct", "GRID", "--device", "cuda:99"], "cuda"),
        (["run", "--grid", "GRID", "--device", "cuda:99"], "cuda"),
        (["evaluate", "grid", "--data", "GRID", "--device", "cuda:99"], "cuda"),
        (["generate", "GRID", "--steps", "0"], "at least 1 step"),
        (["run", "--sample", "--steps", "0"], "at least 1 step"),
        (["run", "--sample", "--size", "60", "64"], "multiples of 8"),
    ],
)
def test_what_cannot_be_met_is_refused_before_any_work(
    arguments: list[str], sentence: str, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(world / "grid") if word == "GRID" else word for word in arguments] + ["--out", str(tmp_path / "out")])
    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_sensible_placeholders(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    told = capsys.readouterr().out
    assert "usage: fourreal" in told
    assert "{None" not in told
