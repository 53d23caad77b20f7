"""What a newcomer does, verb after verb, and what the command line says when the input is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from fourreal.cli.__main__ import main
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.media import read_clip, read_image, write_image, write_video
from fourreal.core.progress import set_quiet
from fourreal.files.grid_folder import GridRecord, load_grid, save_grid
from fourreal.files.scene_folder import load_scene


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small world, made by the verb itself."""
    set_quiet(True)
    folder = tmp_path_factory.mktemp("journey") / "world"
    main(f"synth --out {folder} --seed 3 --views 3 --frames 3 --size 40 48 --background ground".split())
    set_quiet(False)
    return folder


def run(*arguments: str | Path) -> None:
    main([str(argument) for argument in arguments])


def fails(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run a verb that must refuse; return its one sentence."""
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    printed = capsys.readouterr().err.strip()
    assert stop.value.code == 2, printed
    assert printed.startswith("fourreal: ")
    assert "\n" not in printed
    assert "Traceback" not in printed
    return printed


def test_a_world_is_made_whole(world: Path) -> None:
    stored, scene = load_grid(world / "grid"), load_scene(world / "scene")
    assert stored.grid.frames.shape == (3, 3, 3, 40, 48)
    assert stored.record.depth is not None
    assert stored.record.caption
    assert len(scene.steps) == 3
    assert min(len(step) for step in scene.steps) > 40 * 48 / 2
    assert read_image(world / "contact.png").shape[0] == 3


def test_the_same_seed_is_the_same_world(world: Path, tmp_path: Path) -> None:
    again = "--seed 3 --views 3 --frames 3 --size 40 48 --background ground --no-scene".split()
    run("synth", "--out", tmp_path / "again", *again)
    first, second = load_grid(world / "grid"), load_grid(tmp_path / "again" / "grid")
    assert torch.equal(first.grid.frames, second.grid.frames)
    assert not (tmp_path / "again" / "scene").exists()


def test_several_worlds_are_named_by_their_seeds(tmp_path: Path) -> None:
    run("synth", "--out", tmp_path, "--seed", 8, "--count", 2, *"--views 2 --frames 2 --size 16 16 --no-scene".split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000008", "000009"]


def test_info_tells_what_is_there(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("info", world / "grid")
    run("info", world / "scene")
    run("info", world / "grid" / "rgb" / "v000.mp4")
    run("info")
    told = capsys.readouterr().out
    for words in ("3 x 3", "40 x 48 (height x width)", "9 of 9", "a time", "h264", "torch"):
        assert words in told


def test_page_movie_sheet_and_exports(world: Path, tmp_path: Path) -> None:
    run("page", world / "scene", "--out", tmp_path / "scene.html", "--grid", world / "grid")
    assert (
        (tmp_path / "scene.html").read_text(encoding="utf-8", errors="replace").lstrip().lower().startswith("<!doctype")
    )
    run("movie", world / "scene", "--out", tmp_path / "scene.mp4", "--fps", "6", "--camera-seconds", "1")
    run("movie", world / "grid", "--out", tmp_path / "grid.mp4", "--move", "freeze")
    assert len(read_clip(tmp_path / "scene.mp4").frames) > 12
    assert len(read_clip(tmp_path / "grid.mp4").frames) == 5
    run("sheet", world / "grid", "--out", tmp_path / "sheet.png")
    assert read_image(tmp_path / "sheet.png").shape[0] == 3
    for kind in ("ply", "spz", "splat", "gltf"):
        run("export", world / "scene", "--format", kind, "--out", tmp_path / kind)
        assert len(list((tmp_path / kind).glob("t*"))) == 3
    run("export", world / "scene", "--format", "4dgs", "--out", tmp_path / "scene.4dgs")
    for kind in ("nerfstudio", "colmap"):
        run("export", world / "grid", "--format", kind, "--time", "0", "--out", tmp_path / kind)
        assert len(list((tmp_path / kind / "images").iterdir())) == 3


def test_videos_travel_from_grid_to_grid(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = sorted((world / "grid" / "rgb").glob("*.mp4"))
    run("import", "--rows", *rows, "--out", tmp_path / "grid", "--storage", "png")
    again, first = load_grid(tmp_path / "grid").grid, load_grid(world / "grid").grid
    torch.testing.assert_close(again.frames, first.frames, atol=1 / 255, rtol=0)
    torch.testing.assert_close(again.seconds, first.seconds)
    run("import", "--fixed", rows[0], "--freeze", rows[0], "--out", tmp_path / "cross")
    assert int(load_grid(tmp_path / "cross").grid.known.sum()) == 5
    assert "warning" not in capsys.readouterr().err
    run("import", "--fixed", rows[0], "--freeze", rows[2], "--views", "2", "--out", tmp_path / "apart")
    assert "fourreal: the fixed-view video's first frame" in capsys.readouterr().err


def test_the_real_capture_imports(shared_dir: Path, tmp_path: Path) -> None:
    cells = shared_dir / "real" / "neural3dvideo_4x4" / "cam{v}_t{t}.png"
    run("import", "--cells", cells, "--out", tmp_path / "kitchen", "--storage", "png", "--size", "112", "112")
    grid = load_grid(tmp_path / "kitchen").grid
    assert grid.frames.shape == (4, 4, 3, 112, 112)
    assert read_image(tmp_path / "kitchen_contact.png").shape[0] == 3


def test_wrong_input_is_one_sentence_and_exit_code_2(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    out = ("--out", tmp_path / "out")
    assert "does not exist" in fails(capsys, "import", "--fixed", tmp_path / "absent.mp4", *out)
    assert "cannot be read as a video" in fails(capsys, "import", "--rows", tmp_path / "text.mp4", *out)
    assert "none of them" in fails(capsys, "import", *out)
    assert "--rows and --fixed" in fails(capsys, "import", "--rows", "a", "--fixed", "b", *out)
    assert "at least one frame" in fails(capsys, "import", "--fixed", "a", "--frames", "0", *out)
    assert "did you mean 'import'" in fails(capsys, "imprt")
    assert "not empty" in fails(
        capsys, "synth", "--out", world, "--seed", 3, *"--views 2 --frames 2 --size 16 16".split()
    )
    assert "must be positive" in fails(capsys, "synth", *out, "--views", "0")
    assert "at least one world" in fails(capsys, "synth", *out, "--count", "0")
    assert "neither a grid nor a scene" in fails(capsys, "view", tmp_path, "--no-open")
    assert "no Gaussians" in fails(capsys, "export", world / "grid", "--format", "ply", *out)
    assert "needs a scene" in fails(capsys, "movie", world / "grid", "--move", "orbit", "--out", tmp_path / "x.mp4")
    assert "more than the limit of 0.01 MB" in fails(
        capsys, "page", world / "scene", "--out", tmp_path / "x.html", "--max-mb", "0.01"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.mp4"], "something half-written was left behind"


def test_damaged_folders_are_named(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(world / "scene", tmp_path / "scene")
    (tmp_path / "scene" / "steps" / "t001.safetensors").unlink()
    assert "t001.safetensors" in fails(capsys, "page", tmp_path / "scene", "--out", tmp_path / "x.html")
    shutil.copytree(world / "grid", tmp_path / "grid")
    manifest = json.loads((tmp_path / "grid" / "cameras.json").read_text())
    del manifest["frames"]
    (tmp_path / "grid" / "cameras.json").write_text(json.dumps(manifest))
    assert "frames" in fails(capsys, "sheet", tmp_path / "grid", "--out", tmp_path / "x.png")


def test_cameras_of_different_length_are_refused_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, times in (("a.mp4", 4), ("b.mp4", 6)):
        write_video(tmp_path / name, torch.rand(times, 3, 16, 16), fps=4)
    said = fails(capsys, "import", "--rows", tmp_path / "a.mp4", tmp_path / "b.mp4", "--out", tmp_path / "grid")
    assert "6 frames" in said
    assert not (tmp_path / "grid").exists()


def test_parse_errors_also_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run("synth", "--out", "x", "--viws", "3")
    assert stop.value.code == 2
    assert "--views" in capsys.readouterr().err


def test_version_and_overview(capsys: pytest.CaptureFixture[str]) -> None:
    run("--version")
    run()
    told = capsys.readouterr().out
    assert told.startswith("fourreal 0.")
    assert "verbs:" in told


def test_info_verifies_checksums_and_moves_no_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = VideoGrid.complete(torch.rand(1, 2, 3, 8, 8), torch.arange(2.0))
    record = GridRecord(caption="a fox\x1b[2J\u202e runs")
    save_grid(tmp_path / "grid", grid, record=record, storage="png")
    run("info", tmp_path / "grid")
    said = capsys.readouterr().out
    assert "3 files are as they were written" in said
    assert "a fox [2J runs" in said
    picture = tmp_path / "grid" / "rgb" / "v000" / "t001.png"
    write_image(picture, torch.zeros(3, 8, 8))
    assert load_grid(tmp_path / "grid").grid.num_times == 2
    assert "t001.png differs from its checksum" in fails(capsys, "info", tmp_path / "grid")
    with pytest.raises(InputError, match="differs from its checksum"):
        load_grid(tmp_path / "grid", verify=True)
    (tmp_path / "grid" / "SHA256SUMS").unlink()
    run("info", tmp_path / "grid")
    assert "not recorded" in capsys.readouterr().out
    assert "\x1b" not in fails(capsys, "info", tmp_path / "a\x1b[31mb")


def test_every_verb_takes_the_shipped_models_when_none_is_named() -> None:
    """From one constant, whatever the verb calls it."""
    from fourreal.app.settings import AppSettings
    from fourreal.cli.evaluate import Evaluate
    from fourreal.cli.generate import Generate
    from fourreal.cli.reconstruct import Reconstruct
    from fourreal.core.shipped import SHIPPED_NAME
    from fourreal.job.request import JobRequest

    out = Path("out")
    asked = (
        Generate(out=out).model,
        Reconstruct(grid=out, out=out).model,
        Evaluate(protocol="worlds", out=out).model,
        JobRequest(sample=True).model,
        JobRequest(sample=True).recon,
        *AppSettings().model,
        AppSettings().recon,
    )
    assert set(asked) == {SHIPPED_NAME}
