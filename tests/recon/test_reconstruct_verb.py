"""`fourreal reconstruct`: a journey from grid folder to scene folder and picture, and what stops it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from awake import awake_model

from fourreal.cli.__main__ import main
from fourreal.core.grid import VideoGrid
from fourreal.core.media import read_image
from fourreal.files.grid_folder import save_grid
from fourreal.files.scene_folder import load_scene, load_scene_record
from fourreal.recon.overview import draw_overview
from fourreal.recon.reconstruct import ReconstructSettings, reconstruct
from fourreal.recon.weights import save_model


@pytest.fixture
def grid_folder(tmp_path: Path) -> Path:
    frames = torch.rand(2, 3, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    save_grid(tmp_path / "grid", VideoGrid.complete(frames, torch.arange(3) / 8), storage="png")
    return tmp_path / "grid"


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A network that is unsure of everything."""
    model = awake_model()
    with torch.no_grad():
        model.depth_head.scratch["output_conv2"].get_parameter("2.weight")[1] = 0
        model.depth_head.scratch["output_conv2"].get_parameter("2.bias")[1] = -4
    save_model(tmp_path / "model", model, trained_steps=1)
    return tmp_path / "model"


def _refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()
    return said[-1]


def test_a_grid_becomes_a_scene_and_a_picture(
    grid_folder: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
):
    out = grid_folder.parent / "scene"
    main(["reconstruct", str(grid_folder), "--out", str(out), "--model", str(model_folder), "--device", "cpu"])
    scene = load_scene(out)
    assert len(scene.steps) == 3
    assert scene.cameras.image_size == (24, 32)
    assert "reconstructed by model" in load_scene_record(out).source
    picture = read_image(out.with_name("scene.png"))
    assert picture.shape[1] > 2 * 120
    said = capsys.readouterr()
    assert "2 views x 3 frames" in said.out
    assert "confidence is low" in said.err


def test_chunks_give_the_same_scene(grid_folder: Path, model_folder: Path):
    out = grid_folder.parent
    common = [
        "reconstruct",
        str(grid_folder),
        "--model",
        str(model_folder),
        "--window-frames",
        "2",
        "--window-overlap",
        "0",
    ]
    main([*common, "--out", str(out / "one"), "--chunk-windows", "1"])
    main([*common, "--out", str(out / "all"), "--chunk-windows", "0"])
    for a, b in zip(load_scene(out / "one").steps, load_scene(out / "all").steps, strict=True):
        torch.testing.assert_close(a.means, b.means, atol=1e-4, rtol=1e-3)


def test_untrained_weights_are_refused_and_only_timed_on_demand(
    grid_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    save_model(tmp_path / "fresh", awake_model(), trained_steps=0)
    arguments = ["reconstruct", str(grid_folder), "--out", str(tmp_path / "scene"), "--model", str(tmp_path / "fresh")]
    assert "was never trained, so its result would be noise" in _refused(arguments, capsys)
    main([*arguments, "--allow-untrained"])
    assert "nothing was written" in capsys.readouterr().out
    assert not (tmp_path / "scene").exists()
    assert not (tmp_path / "scene.png").exists()


def test_wrong_input_ends_in_one_sentence(
    grid_folder: Path, model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    frames = torch.rand(2, 2, 3, 24, 32)
    partial = VideoGrid.complete(frames, torch.arange(2.0)).with_known("cross")
    save_grid(tmp_path / "partial", partial, storage="png")
    save_grid(tmp_path / "single", VideoGrid.complete(frames[:1], torch.arange(2.0)), storage="png")
    save_grid(tmp_path / "white", VideoGrid.complete(torch.ones(2, 1, 3, 24, 32), torch.zeros(1)), storage="png")
    model = ["--model", str(model_folder), "--out", str(tmp_path / "scene")]
    expected = {
        "partial": "needs a complete grid; missing cells (view, time): (1, 1)",
        "single": "at least two views",
        "white": "view 0 at time 0 is all white",
        "nowhere": "nowhere",
    }
    for name, sentence in expected.items():
        assert sentence in _refused(["reconstruct", str(tmp_path / name), *model], capsys)
    wrong_model = [
        "reconstruct",
        str(grid_folder),
        "--out",
        str(tmp_path / "scene"),
        "--model",
        str(tmp_path / "partial"),
    ]
    assert "no model" in _refused(wrong_model, capsys)
    assert not (tmp_path / "scene").exists()


def test_an_existing_scene_is_kept_unless_asked(
    grid_folder: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
):
    out = grid_folder.parent / "scene"
    arguments = ["reconstruct", str(grid_folder), "--out", str(out), "--model", str(model_folder)]
    main(arguments)
    before = (out / "scene.json").stat().st_mtime_ns
    assert "already exists" in _refused(arguments, capsys)
    assert (out / "scene.json").stat().st_mtime_ns == before
    main([*arguments, "--overwrite"])


def test_the_picture_measures_how_inputs_come_back(grid_folder: Path):
    frames = torch.full((2, 1, 3, 16, 16), 0.3)
    frames[..., 8:] = 0.7
    grid = VideoGrid.complete(frames, torch.zeros(1))
    model = awake_model(gaussian_head=False)
    scene = reconstruct(model, grid, ReconstructSettings(min_opacity=0.0, align="never"))
    overview = draw_overview(scene, grid, "a title")
    assert 0 <= overview.picture.min() <= overview.picture.max() <= 1
    assert 0 < overview.psnr_db < 100
