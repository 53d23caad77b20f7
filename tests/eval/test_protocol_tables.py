"""Every paper's table runs on a miniature of its data in the real layout: right views, right cells, right reasons."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from miniature_benchmarks import (
    SIZE,
    consistent4d,
    eight_bit,
    filmed,
    llff,
    neural_3d,
    nvidia,
    objects,
    pairs,
    realestate,
    tanks,
    write_pictures,
)
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.gaussians import GaussianSequence
from fourreal.core.grid import VideoGrid
from fourreal.data.worlds import WorldConfig
from fourreal.eval.baselines import BASELINES, change_add, copy_time
from fourreal.eval.feature_cache import FeatureCache, video_features
from fourreal.eval.frechet import frechet_score
from fourreal.eval.protocols import PROTOCOLS, make_protocol, paper_numbers
from fourreal.eval.protocols.evaluate import Evaluation, evaluate
from fourreal.eval.protocols.one_grid import one_grid
from fourreal.eval.protocols.pair_scores import PSNR_CEILING_DB
from fourreal.eval.protocols.plots import draw_plots
from fourreal.eval.protocols.protocol import Extent, Models, Protocol, Reconstructor, Table
from fourreal.eval.protocols.report import write_report
from fourreal.eval.protocols.sv4d2 import sv4d2_table_1, sv4d2_table_2, sv4d2_table_3, sv4d2_table_4
from fourreal.eval.protocols.v1 import v1_table_1, v1_table_2
from fourreal.eval.protocols.v2_further import (
    v2_figure_s3,
    v2_table_5_nvidia,
    v2_table_5_objaverse,
    v2_table_8,
    v2_table_s1_nvidia,
    v2_table_s1_objaverse,
    v2_table_s5_llff,
    v2_table_s5_neural3d,
    v2_table_s5_tanks,
)
from fourreal.eval.protocols.v2_generation import v2_table_2_nvidia, v2_table_2_objaverse, v2_table_3
from fourreal.eval.protocols.v2_reconstruction import (
    NVIDIA_HELD_OUT,
    NVIDIA_VIEWS,
    v2_table_6_llff,
    v2_table_6_tanks,
    v2_table_7,
    v2_table_s6,
)
from fourreal.eval.scores import Measured, NotComputed
from fourreal.perception.random_features import RandomVideoFeatures
from fourreal.recon.lift import lift_grid

LITTLE = Extent(scenes=1, size=SIZE, perceptual=False, video_features="random")


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("FOURREAL_WEIGHTS", str(tmp_path / "no weights"))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def oracle(truth: VideoGrid) -> Models:
    """Answers with the truth, whatever it is given."""
    frames = eight_bit(truth.frames)
    return Models(name="oracle", complete=lambda grid: VideoGrid.complete(frames, grid.seconds), baselines=())


def little(**changes) -> Extent:
    from dataclasses import replace

    return replace(LITTLE, **changes)


def run(protocol: Protocol, out: Path, *, plots: bool = False) -> Evaluation:
    """Evaluate and write, as the command does."""
    evaluation = evaluate(protocol, out)
    write_report(evaluation, out)
    json.loads((out / "results.json").read_text())
    if plots:
        draw_plots(evaluation, out)
    return evaluation


# ---- generated grids against the truth ----------------------------------------------------------


def test_nvidia_grids_are_the_views_that_are_not_held_out(tmp_path: Path) -> None:
    truth = nvidia(tmp_path / "data").select(views=NVIDIA_VIEWS)
    assert not set(NVIDIA_VIEWS) & set(NVIDIA_HELD_OUT)
    protocol = v2_table_2_nvidia(tmp_path / "data", oracle(truth), little(frames=5))
    evaluation = run(protocol, tmp_path / "out")
    assert evaluation.scores["oracle"]["PSNR"].value == pytest.approx(PSNR_CEILING_DB)
    assert isinstance(evaluation.scores["oracle"]["SSIM"], Measured)
    page = (tmp_path / "out" / "results.md").read_text()
    assert "| *4Real-Video-V2, Table 2, NVIDIA Dynamic: Fused View & Time Attn.* | 23.15 |" in page
    assert "another setting than the protocol's: scenes 1, (height, width) (24, 32), frames 5" in page


def test_objects_in_view_folders(tmp_path: Path) -> None:
    truth = objects(tmp_path / "data")
    with pytest.raises(InputError, match=r"4 views; there is no view 4, 5, 6, 7"):
        evaluate(v2_table_2_objaverse(tmp_path / "data", oracle(truth), little(frames=4)), tmp_path / "out")
    protocol = v2_table_2_objaverse(tmp_path / "data", oracle(truth), little(frames=4, views=4))
    assert run(protocol, tmp_path / "out").scores["oracle"]["PSNR"].value == pytest.approx(PSNR_CEILING_DB)


def test_any_grid_as_truth(tmp_path: Path) -> None:
    truth = filmed(3, 3)
    models = Models(name="change-add", complete=change_add)
    evaluation = run(one_grid({"mine": lambda: truth}, models, Extent(perceptual=False)), tmp_path, plots=True)
    assert list(evaluation.scores) == ["change-add", *(name for name in BASELINES if name != "change-add")]
    assert {path.name for path in tmp_path.glob("*.png")} == {"bars.png", "scenes.png", "slices.png", "failures.png"}
    with pytest.raises(InputError, match=r"scene 'open': .* needs a complete grid"):
        evaluate(one_grid({"open": lambda: truth.with_known("cross")}, models, Extent(perceptual=False)), tmp_path)


@pytest.mark.parametrize("table", [sv4d2_table_1, sv4d2_table_3])
def test_sv4d_tables_give_one_row_and_score_the_others(tmp_path: Path, table) -> None:
    truth = objects(tmp_path / "data") if table is sv4d2_table_1 else consistent4d(tmp_path / "data")
    seen = []

    def model(grid: VideoGrid) -> VideoGrid:
        seen.append(grid)
        return copy_time(grid)

    extent = little(frames=4, views=4, cache=FeatureCache(tmp_path / "features"))
    protocol = table(tmp_path / "data", Models(name="mine", complete=model), extent)
    evaluation = run(protocol, tmp_path / "out")
    assert seen[0].known.tolist() == [[True] * 4] + [[False] * 4] * 3
    torch.testing.assert_close(seen[0].frames[0], eight_bit(truth.frames[0]))
    assert list(evaluation.scores) == ["mine", "copy-time", "nearest-view"], "only these answer from a row"
    assert evaluation.scores["mine"]["PSNR"] == evaluation.scores["copy-time"]["PSNR"]
    rows, copies = eight_bit(truth.frames[1:4]), eight_bit(truth.frames[:1]).expand(3, -1, -1, -1, -1)
    expected = frechet_score(*(video_features(videos, RandomVideoFeatures()) for videos in (copies, rows)))
    found = evaluation.scores["mine"]["FVD-F"]
    assert isinstance(found, Measured)
    assert found.value == pytest.approx(expected.value, rel=1e-4), "the given row is no result"
    assert "covariance is singular" in found.note
    assert "CLIP-S" not in evaluation.scores["mine"], "learned distances were not wanted"


def test_absent_weights_are_named_and_the_rest_is_measured(tmp_path: Path) -> None:
    truth = consistent4d(tmp_path / "data").select(views=range(4))
    extent = Extent(scenes=1, size=SIZE, views=4, frames=4)
    evaluation = run(sv4d2_table_3(tmp_path / "data", oracle(truth), extent), tmp_path / "out")
    assert "at least 32 pixels" in evaluation.scores["oracle"]["ST-LPIPS (alex)"].reason
    for metric, file in (
        ("FVD-F", "i3d_torchscript.pt"),
        ("CLIP-S", "clip"),
        ("LPIPS (AlexNet)", "alexnet-owt-7be5be79.pth"),
    ):
        score = evaluation.scores["oracle"][metric]
        assert isinstance(score, NotComputed)
        assert file in score.reason
        assert "get it from" in score.reason
    assert isinstance(evaluation.scores["oracle"]["SSIM"], Measured)
    assert "i3d_torchscript.pt" in (tmp_path / "out" / "results.md").read_text()


# ---- reconstruction -----------------------------------------------------------------------------


def wall(truth: VideoGrid, inputs: list[int]) -> Reconstructor:
    """Paints the input frames on a wall before the true cameras; knows where targets stand."""
    cameras = truth.cameras
    assert cameras is not None

    def reconstruct(grid: VideoGrid) -> GaussianSequence:
        seen = VideoGrid.complete(grid.frames, grid.seconds, cameras[inputs])
        return lift_grid(seen, torch.full((*grid.known.shape, *grid.image_size), 4.0))

    def target_cameras(shown: Tensor, targets: Tensor) -> Cameras:
        apart = (truth.frames[:, 0, None] - targets[None]).abs().mean((2, 3, 4))
        return cameras[apart.argmin(0)]

    return Reconstructor(
        reconstruct, target_cameras, lambda targets, inputs, scene: targets, lambda frames: frames[:, 0] * 4
    )


@pytest.mark.parametrize(("write", "table"), [(llff, v2_table_6_llff), (tanks, v2_table_6_tanks)])
def test_static_scenes_hold_out_every_eighth_photo(tmp_path: Path, write, table) -> None:
    truth = write(tmp_path / "data")
    # 9 photos: 0 and 8 are targets, 4 of the 7 others are inputs.
    inputs = [1, 3, 5, 7]
    models = Models(name="wall", reconstructor=wall(truth, inputs))
    evaluation = run(table(tmp_path / "data", models, LITTLE), tmp_path / "out")
    predicted, aligned, nearest = (evaluation.scores[method]["PSNR"].value for method in evaluation.scores)
    assert predicted == pytest.approx(aligned, abs=0.2), "both kinds of target cameras are the true ones here"
    assert evaluation.margins["PSNR"][0] == "nearest input view"
    assert nearest > 10
    assert evaluation.stored["wall"][next(iter(evaluation.stored["wall"]))].cells["PSNR"].shape == (2,)
    page = (tmp_path / "out" / "results.md").read_text()
    assert "4 inputs: Ours*" in page
    with pytest.raises(InputError, match="has 7 usable views; at least 16 are needed"):
        evaluate(table(tmp_path / "data", models, little(views=16)), tmp_path / "out")


def test_dynamic_scenes_from_four_videos(tmp_path: Path) -> None:
    truth = neural_3d(tmp_path / "data").select(times=[0, 10])
    inputs = [0, 2, 3, 5]
    models = Models(name="wall", reconstructor=wall(truth, inputs))
    evaluation = run(v2_table_7(tmp_path / "data", models, little(frames=2)), tmp_path / "out")
    cells = evaluation.stored["wall"]["coffee_martini"].cells["PSNR"]
    assert cells.shape == (2 * 2,), "two views are left, at two times"
    nearest = evaluation.stored["nearest input view"]["coffee_martini"].cells["PSNR"]
    expected = -10 * (truth.frames[[0, 5]] - truth.frames[[1, 4]]).square().mean((2, 3, 4)).log10()
    best = torch.maximum(expected, -10 * (truth.frames[[2, 3]] - truth.frames[[1, 4]]).square().mean((2, 3, 4)).log10())
    assert bool((nearest <= best.flatten() + 1).all())


def test_the_pipeline_is_seen_from_held_out_views(tmp_path: Path) -> None:
    whole = nvidia(tmp_path / "data", times=3)
    truth = whole.select(views=NVIDIA_VIEWS)
    given = []

    def generate(grid: VideoGrid) -> VideoGrid:
        given.append(grid)
        return VideoGrid.complete(eight_bit(truth.frames), grid.seconds)

    models = Models(name="both", complete=generate, reconstructor=wall(whole, list(NVIDIA_VIEWS)))
    evaluation = run(v2_table_s6(tmp_path / "data", models, little(frames=3)), tmp_path / "out")
    assert len(given) == 1, "methods that render one scene share its grid"
    assert given[0].known.sum() == 8 + 3 - 1
    both, aligned, from_truth, nearest = evaluation.scores
    assert (both, from_truth, nearest) == ("both", "both, from the true grid", "nearest input view")
    assert evaluation.scores[both]["PSNR"] == evaluation.scores[from_truth]["PSNR"], "this generator is perfect"
    assert evaluation.scores[aligned]["PSNR"].value == pytest.approx(evaluation.scores[both]["PSNR"].value, abs=0.2)


@pytest.mark.parametrize("table", [sv4d2_table_2, sv4d2_table_4])
def test_4d_outputs_are_renders_of_the_scene(tmp_path: Path, table) -> None:
    truth = objects(tmp_path / "data") if table is sv4d2_table_2 else consistent4d(tmp_path / "data")
    truth = truth.select(views=range(4))
    perfect = oracle(truth)
    models = Models(name="both", complete=perfect.complete, reconstructor=wall(truth, [0, 1, 2, 3]), baselines=())
    evaluation = run(table(tmp_path / "data", models, little(views=4, frames=4)), tmp_path / "out")
    psnr = evaluation.scores["both"]["PSNR"]
    if isinstance(psnr, Measured):
        assert 15 < psnr.value < PSNR_CEILING_DB - 5, "what counts is the render, not the perfect grid under it"
    with pytest.raises(InputError, match="needs a reconstruction model"):
        table(tmp_path / "data", perfect, LITTLE)


def test_the_ablations_show_their_own_rows(tmp_path: Path) -> None:
    truth = nvidia(tmp_path / "nvidia").select(views=NVIDIA_VIEWS)
    for table, row in (
        (v2_table_5_nvidia, "Objaverse, Kubric, 2D-transformed videos* | 23.38 | 0.742 |"),
        (v2_table_s1_nvidia, "Learnable View PE* | 23.45 | 0.751 |"),
    ):
        protocol = table(tmp_path / "nvidia", oracle(truth), little(frames=5))
        assert run(protocol, tmp_path / protocol.name).scores["oracle"]["PSNR"].value == pytest.approx(PSNR_CEILING_DB)
        assert row in (tmp_path / protocol.name / "results.md").read_text(), protocol.name
    truth = objects(tmp_path / "objects")
    for table, row in (
        (v2_table_5_objaverse, "Kubric* | 17.99 |"),
        (v2_table_s1_objaverse, "Learnable View PE* | 19.5"),
    ):
        protocol = table(tmp_path / "objects", oracle(truth), little(frames=4, views=4))
        run(protocol, tmp_path / protocol.name)
        assert row in (tmp_path / protocol.name / "results.md").read_text(), protocol.name
    for write, table, inputs, row in (
        (llff, v2_table_s5_llff, [1, 3, 5, 7], "DL3DV* | 18.41 |"),
        (tanks, v2_table_s5_tanks, [1, 3, 5, 7], "ACID* | 18.28 |"),
        (neural_3d, v2_table_s5_neural3d, [0, 2, 3, 5], "Kubric* | 17.14 |"),
    ):
        models = Models(name="wall", reconstructor=wall(write(tmp_path / table.__name__), inputs))
        protocol = table(tmp_path / table.__name__, models, little(views=4, frames=1))
        run(protocol, tmp_path / protocol.name)
        assert row in (tmp_path / protocol.name / "results.md").read_text(), protocol.name
    with pytest.raises(InputError, match="has 7 usable views; at least 16 are needed"):
        evaluate(v2_table_s5_llff(tmp_path / "v2_table_s5_llff", models, LITTLE), tmp_path / "sixteen")


def test_two_frames_of_a_clip(tmp_path: Path) -> None:
    truth = realestate(tmp_path / "data")
    models = Models(name="wall", reconstructor=wall(truth, [0, 6]))
    evaluation = run(v2_figure_s3(tmp_path / "data", models, LITTLE), tmp_path / "out")
    cells = evaluation.stored["nearest input view"]["0a1b2c3d"].cells["PSNR"]
    targets, nearest = truth.frames[[2, 3, 4], 0], truth.frames[[0, 6], 0]
    mse = (targets[:, None] - nearest[None]).square().mean((2, 3, 4)).amin(1)
    assert cells.shape == (3,)
    torch.testing.assert_close(cells[[0, 2]], -10 * mse.log10()[[0, 2]], rtol=0.02, atol=0.1)
    assert len(evaluation.scores) == 3, "clips have cameras, so the true ones are tried too"
    with pytest.raises(InputError, match=r"holds no clip; expected RealEstate10K"):
        v2_figure_s3(tmp_path / "absent", models)


def test_kubric_has_predicted_cameras_only(tmp_path: Path) -> None:
    truth = objects(tmp_path / "data", "scene-0", views=4)
    models = Models(name="wall", reconstructor=wall(truth, [0, 2]))
    evaluation = run(v2_table_8(tmp_path / "data", models, little(views=2, frames=2)), tmp_path / "out")
    assert list(evaluation.scores) == ["wall", "nearest input view"]
    assert evaluation.stored["wall"]["scene-0"].cells["PSNR"].shape == (2 * 2,)
    assert "w/o temporal attention* | 22.6" in (tmp_path / "out" / "results.md").read_text()
    with pytest.raises(InputError, match="holds no scene; expected renders of Kubric"):
        v2_table_8(tmp_path / "absent", models)


# ---- grids without a truth ----------------------------------------------------------------------


def test_quality_over_views_and_time(tmp_path: Path) -> None:
    grids = pairs(tmp_path / "data", 1)
    extent = little(scenes=1, views=3, frames=5)
    models = Models(
        name="change-add", complete=change_add, reconstructor=wall(grids[0], [0, 1, 2]), baselines=("copy-view",)
    )
    evaluation = run(v2_table_3(tmp_path / "data", models, extent), tmp_path / "out", plots=True)
    still = evaluation.scores["copy-view"]
    assert still["temporal flickering"].value == pytest.approx(100), "frames that stand still do not flicker"
    moving = evaluation.scores["change-add"]
    assert 50 < moving["temporal flickering"].value < 100
    assert 50 < moving["motion smoothness (flow)"].value < 100
    assert isinstance(moving["cross-view warping error"], Measured)
    for metric, word in (("MEt3R", "authors"), ("subject consistency", "dino"), ("imaging quality", "MUSIQ")):
        assert word in moving[metric].reason
    assert "Full Method* | 0.173 |" in (tmp_path / "out" / "results.md").read_text()


@pytest.mark.parametrize("table", [v1_table_1, v2_table_3])
def test_prompts_reach_models_that_read_them(tmp_path: Path, table) -> None:
    pairs(tmp_path / "data", 1)
    told: list[str] = []

    def prompted(grid: VideoGrid, prompt: str) -> VideoGrid:
        told.append(prompt)
        return change_add(grid)

    reads = Models(name="mine", complete=change_add, complete_prompted=prompted, baselines=())
    settings = []
    for models in (reads, Models(name="mine", complete=change_add, baselines=())):
        protocol = table(tmp_path / "data", models, little(scenes=1, views=3, frames=5))
        run(protocol, tmp_path / f"out-{len(settings)}")
        settings.append(protocol.settings)
    assert told == ["things that move"], "and baselines and models without text are asked without"
    assert settings[0]["prompts"] == {"000": "things that move"}
    assert [given["prompts_are_given"] for given in settings] == [True, False]


def test_distributions_of_generated_videos(tmp_path: Path) -> None:
    grids = pairs(tmp_path / "data", 2)
    extent = little(scenes=2, views=3, frames=5)
    models = Models(name="change-add", complete=change_add, baselines=("copy-view",))
    without = run(v1_table_1(tmp_path / "data", models, extent), tmp_path / "without")
    assert "no real videos" in without.scores["change-add"]["FVD, time"].reason
    assert isinstance(without.scores["change-add"]["FVD-Test, time"], Measured)
    for number, grid in enumerate(grids):
        write_pictures(tmp_path / "data" / "real" / str(number), grid.frames[1])
    evaluation = run(v1_table_1(tmp_path / "data", models, extent), tmp_path / "out")
    scores = evaluation.scores["change-add"]
    for metric in ("FID", "FVD, time", "FVD, view", "FVD-Test, time", "FVD-Test, view"):
        assert isinstance(scores[metric], Measured), metric
    time = scores["FVD, time"]
    assert time.samples == 2 * 2, "two made rows a grid"
    assert "samples for" in time.note
    assert "VideoScore" in scores["visual quality, time"].reason
    assert "clip" in scores["CLIP score"].reason


def test_agreement_between_views(tmp_path: Path) -> None:
    grids = pairs(tmp_path / "data", 1)
    models = Models(
        name="change-add",
        complete=change_add,
        reconstructor=wall(grids[0], [0, 1, 2]),
        baselines=(),
        matcher=lambda a, b: torch.full(a.shape[1:], 0.6),
    )
    evaluation = run(v1_table_2(tmp_path / "data", models, little(views=3, frames=5)), tmp_path / "out")
    scores = evaluation.scores["change-add"]
    assert [scores[f"matching confidence > {t}"].value for t in (0.1, 0.5, 0.7)] == [100, 100, 0]
    shares = [scores[f"3-D confidence > {t}"].value for t in ("2", "2.5", "3")]
    assert shares == sorted(shares, reverse=True)
    assert 0 < shares[0] <= 100
    with pytest.raises(InputError, match="needs a reconstruction model or a matcher"):
        v1_table_2(tmp_path / "data", Models(name="x", complete=change_add), LITTLE)


# ---- bad input ----------------------------------------------------------------------------------


def test_missing_scenes_are_listed(tmp_path: Path) -> None:
    models = Models(name="change-add", complete=change_add)
    nvidia(tmp_path, views=2, times=1)
    with pytest.raises(InputError, match=r"lacks 8 of 9 scenes of NVIDIA Dynamic Scenes: Balloon2, DynamicFace, Jum"):
        v2_table_2_nvidia(tmp_path, models)
    with pytest.raises(InputError, match=r"lacks 30 of 30 scenes of pairs.*000, 001.* and 18 more"):
        v2_table_3(tmp_path, models)
    with pytest.raises(InputError, match="is not a folder; expected Neural 3D Video"):
        v2_table_7(tmp_path / "absent", Models(name="x", reconstructor=wall(filmed(2, 1), [0])))
    (tmp_path / "000").mkdir()
    with pytest.raises(InputError, match=r"scene '000': .*must hold one fixed video.*found 0"):
        evaluate(v2_table_3(tmp_path, models, LITTLE), tmp_path / "out")


def test_wrong_extents_are_refused(tmp_path: Path) -> None:
    models = Models(name="change-add", complete=change_add)
    with pytest.raises(InputError, match="views must be at least 1; got 0"):
        Extent(views=0)
    with pytest.raises(InputError, match="12 scenes were asked for; this protocol has 9"):
        v2_table_2_nvidia(tmp_path, models, Extent(scenes=12))
    with pytest.raises(InputError, match="9 views were asked for; this protocol has 8"):
        v2_table_2_nvidia(tmp_path, models, Extent(views=9))
    with pytest.raises(InputError, match="unknown feature network 'best'"):
        consistent4d(tmp_path)
        sv4d2_table_3(tmp_path, Models(name="copy-time", complete=copy_time), Extent(scenes=1, video_features="best"))
    with pytest.raises(InputError, match="change-add cannot answer in sv4d2-table-3, where only the row"):
        sv4d2_table_3(tmp_path, models, Extent(scenes=1))


def test_paper_tables_are_whole() -> None:
    tables = [value for value in vars(paper_numbers).values() if isinstance(value, Table)]
    tables += [*paper_numbers.v2_table_6("LLFF", 4), *paper_numbers.v2_table_6("Tanks & Temples", 16)]
    assert len(tables) == 13 + 8
    for table in tables:
        assert all(len(figures) == len(table.columns) for _, figures in table.rows), table.place


def test_every_protocol_is_a_function_of_its_file(tmp_path: Path) -> None:
    for name in PROTOCOLS:
        absent = WorldConfig() if name.startswith("worlds") else {} if name == "grid" else tmp_path / "absent"
        with pytest.raises(InputError):
            make_protocol(name, absent, Models(name="nothing"))
    with pytest.raises(InputError, match="no scene to evaluate"):
        make_protocol("grid", {}, Models(name="copy-time", complete=copy_time))
