"""The whole way with the models that come with the package, on footage whose truth is known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fourreal import FourDPipeline
from fourreal.cli.__main__ import main
from fourreal.core.grid import VideoGrid
from fourreal.core.media import fit, read_clip
from fourreal.core.shipped import is_shipped
from fourreal.eval.image_metrics import psnr
from fourreal.files.grid_folder import load_grid
from fourreal.files.scene_folder import load_scene
from fourreal.job.sample import render_truth

shipped = pytest.mark.skipif(
    not (is_shipped("video") and is_shipped("recon")), reason="the small trained models are not in fourreal/weights"
)


@pytest.fixture(scope="module")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sample") / "run"
    main(["run", "--sample", "--out", str(out)])
    return out


@shipped
def test_the_sample_becomes_a_scene(sample_run: Path) -> None:
    stored = load_grid(sample_run / "grid")
    scene = load_scene(sample_run / "scene")
    assert bool(stored.grid.known.all())
    assert len(scene.steps) == stored.grid.num_times
    assert min(map(len, scene.steps)) > 1000
    assert len(read_clip(sample_run / "bullet_time.mp4").frames) > 100
    assert (sample_run / "scene.html").stat().st_size < 25e6


@shipped
def test_the_generated_cells_are_nearer_to_the_truth_than_copies(sample_run: Path) -> None:
    made = load_grid(sample_run / "grid").grid
    given = load_grid(sample_run / "input").grid.known
    truth = render_truth().grid
    views = [round(v * (truth.num_views - 1) / (made.num_views - 1)) for v in range(made.num_views)]
    cells = fit(truth.frames[views][:, : made.num_times], made.image_size)
    unknown = ~given

    def score(frames: torch.Tensor) -> float:
        return float(psnr(frames[unknown], cells[unknown]).mean())

    assert score(made.frames) > score(cells[:1].expand_as(cells)), "worse than the fixed view shown to every view"
    assert score(made.frames) > score(cells[:, :1].expand_as(cells)), "worse than every view standing still"


@shipped
@pytest.mark.slow
def test_the_real_capture_is_completed_from_its_row_and_column(shared_dir: Path, tmp_path: Path) -> None:
    cells = shared_dir / "real" / "neural3dvideo_4x4" / "cam{v}_t{t}.png"
    main(["import", "--cells", str(cells), "--out", str(tmp_path / "truth"), "--storage", "png", "--size", "64", "64"])
    truth = str(tmp_path / "truth")
    main(["run", "--fixed", truth, "--freeze", truth, "--out", str(tmp_path / "run")])
    made, true = load_grid(tmp_path / "run" / "grid").grid, load_grid(tmp_path / "truth").grid
    assert made.frames.shape == true.frames.shape
    known = load_grid(tmp_path / "run" / "input").grid.known
    assert int((~known).sum()) == 9
    assert torch.equal(made.frames[known], true.frames[known])
    assert float(psnr(made.frames[~known], true.frames[~known]).mean()) > 15


@shipped
def test_ten_lines_of_python_do_everything() -> None:
    truth = render_truth().grid
    pipe = FourDPipeline.from_pretrained("mini", device="cpu")
    grid = pipe(fixed=truth, freeze=truth.frames[:, 0], steps=4)
    scene = pipe.reconstruct(grid)
    assert isinstance(grid, VideoGrid)
    assert len(scene.at(0.5)) > 1000


@shipped
@pytest.mark.slow
def test_the_real_capture_becomes_one_scene_in_any_chunks(shared_dir: Path, tmp_path: Path) -> None:
    cells = shared_dir / "real" / "neural3dvideo_4x4" / "cam{v}_t{t}.png"
    main(["import", "--cells", str(cells), "--out", str(tmp_path / "grid"), "--storage", "png", "--size", "64", "64"])
    windows = ["--window-frames", "3", "--window-overlap", "1"]
    for name, chunk in (("one", "0"), ("many", "1")):
        out = str(tmp_path / name)
        main(["reconstruct", str(tmp_path / "grid"), "--out", out, *windows, "--chunk-windows", chunk])
    whole, parts = load_scene(tmp_path / "one"), load_scene(tmp_path / "many")
    assert len(whole.steps) == 4
    torch.testing.assert_close(whole.cameras.world_to_cam, parts.cameras.world_to_cam, atol=1e-4, rtol=1e-4)
    for step, other in zip(whole.steps, parts.steps, strict=True):
        torch.testing.assert_close(step.means, other.means, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(step.opacities, other.opacities, atol=1e-3, rtol=1e-3)
    main(["page", str(tmp_path / "many"), "--out", str(tmp_path / "scene.html")])
    main(["export", str(tmp_path / "many"), "--format", "ply", "--out", str(tmp_path / "ply")])
    assert (tmp_path / "scene.html").stat().st_size > 1e5
    assert len(list((tmp_path / "ply").glob("*.ply"))) == 4
