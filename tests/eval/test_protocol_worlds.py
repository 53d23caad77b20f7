"""Held-out worlds: oracles get the ideal figures, an interrupted evaluation goes on, halves are what they say."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fourreal.core.errors import InputError
from fourreal.core.gaussians import GaussianSequence
from fourreal.core.grid import VideoGrid, known_pattern
from fourreal.core.rotations import matrix_to_quat, quat_multiply, quat_to_matrix
from fourreal.data.worlds import HELD_OUT_SEEDS, WorldConfig, make_world, render_world
from fourreal.eval.baselines import BASELINES
from fourreal.eval.image_metrics import psnr
from fourreal.eval.protocols.evaluate import evaluate
from fourreal.eval.protocols.pair_scores import PSNR_CEILING_DB
from fourreal.eval.protocols.protocol import Extent, Models, Reconstructor
from fourreal.eval.protocols.report import write_report
from fourreal.eval.protocols.worlds import (
    depth_abs_rel,
    focal_ratio,
    held_out_sample,
    magnified,
    median_rotation_error_deg,
    worlds,
    worlds_recon,
)
from fourreal.eval.scores import Measured, NotComputed
from fourreal.recon.alignment import Similarity, similarity_between
from fourreal.recon.lift import lift_grid

SMALL = WorldConfig(views=3, frames=3, height=24, width=24, arc_deg=(5.0, 35.0))
TWO = Extent(scenes=2, perceptual=False)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Oracle:
    """Knows the worlds, and counts how often it is asked."""

    def __init__(self, held_out: WorldConfig, scenes: int) -> None:
        self.truth = [held_out_sample(held_out, scene).grid for scene in range(scenes)]
        self.asked = 0

    def __call__(self, grid: VideoGrid) -> VideoGrid:
        self.asked += 1
        return next(t for t in self.truth if torch.equal(t.frames[:, 0], grid.frames[:, 0]))


def test_an_oracle_is_perfect_and_stands_beside_the_baselines(tmp_path: Path) -> None:
    oracle = Oracle(SMALL, 2)
    evaluation = evaluate(worlds(SMALL, Models(name="oracle", complete=oracle), TWO), tmp_path)
    assert list(evaluation.scores) == ["oracle", *BASELINES]
    perfect = evaluation.scores["oracle"]
    assert perfect["PSNR"].value == PSNR_CEILING_DB, "one perfect cell must not make every mean infinite"
    assert perfect["SSIM"].value == pytest.approx(1)
    margin = evaluation.margins["PSNR"]
    best = max((evaluation.scores[name]["PSNR"].value, name) for name in BASELINES)
    assert margin[0] == best[1]
    assert margin[1].value == pytest.approx(PSNR_CEILING_DB - best[0])


def test_figures_are_those_of_the_cells_that_were_not_given(tmp_path: Path) -> None:
    protocol = worlds(SMALL, Models(name="copy-view", complete=BASELINES["copy-view"], baselines=()), TWO)
    evaluation = evaluate(protocol, tmp_path)
    for scene, name in enumerate(protocol.scenes):
        truth = held_out_sample(SMALL, scene).grid
        made = BASELINES["copy-view"](truth.with_known("cross"))
        open_cells = ~known_pattern("cross", 3, 3)
        expected = psnr(made.frames[open_cells], truth.frames[open_cells]).clamp(max=PSNR_CEILING_DB).mean()
        assert evaluation.per_scene["copy-view"][name]["PSNR"] == pytest.approx(float(expected), abs=1e-4)


def test_scenes_are_held_out_and_halves_have_their_arcs(tmp_path: Path) -> None:
    protocol = worlds(SMALL, Models(name="x", complete=BASELINES["copy-view"]))
    assert protocol.scenes[0] == f"world-{HELD_OUT_SEEDS}"
    assert len(protocol.scenes) == 64
    narrow, wide = protocol.groups.values()
    assert len(narrow) == len(wide) == 32
    assert not set(narrow) & set(wide)
    for scene in range(4):
        config = replace(SMALL, arc_deg=((5.0, 20.0), (20.0, 35.0))[scene % 2])
        expected = render_world(make_world(config, HELD_OUT_SEEDS + scene))
        assert torch.equal(held_out_sample(SMALL, scene).grid.frames, expected.grid.frames)
    with pytest.raises(InputError, match="65 scenes were asked for; this protocol has 64"):
        worlds(SMALL, Models(name="x", complete=BASELINES["copy-view"]), Extent(scenes=65))


def test_an_interrupted_evaluation_goes_on_where_it_stopped(tmp_path: Path) -> None:
    oracle = Oracle(SMALL, 2)
    whole = evaluate(worlds(SMALL, Models(name="oracle", complete=oracle, baselines=()), TWO), tmp_path / "whole")
    asked = 0

    def stops(grid: VideoGrid) -> VideoGrid:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise KeyboardInterrupt
        return oracle(grid)

    with pytest.raises(KeyboardInterrupt):
        evaluate(worlds(SMALL, Models(name="oracle", complete=stops, baselines=()), TWO), tmp_path / "cut")
    oracle.asked = 0
    models = Models(name="oracle", complete=oracle, baselines=())
    resumed = evaluate(worlds(SMALL, models, TWO), tmp_path / "cut")
    assert oracle.asked == 1, "the first scene was measured already"
    assert resumed.per_scene == whole.per_scene
    assert resumed.scores == whole.scores
    evaluate(worlds(SMALL, models, TWO), tmp_path / "cut")
    assert oracle.asked == 1, "nothing was left to do"
    evaluate(worlds(SMALL, replace(models, identity={"weights": "other"}), TWO), tmp_path / "cut")
    assert oracle.asked == 3, "other weights are another model"
    entry = next((tmp_path / "cut").rglob("*.safetensors"))
    entry.write_bytes(entry.read_bytes()[:40])
    evaluate(worlds(SMALL, replace(models, identity={"weights": "other"}), TWO), tmp_path / "cut")
    assert oracle.asked == 4, "a damaged entry is measured again"


def test_the_report_says_everything_and_is_json(tmp_path: Path) -> None:
    models = Models(name="copy-view", complete=BASELINES["copy-view"], baselines=("change-add",))
    evaluation = evaluate(worlds(SMALL, models, TWO), tmp_path)
    write_report(evaluation, tmp_path, "fourreal evaluate worlds")
    document = json.loads((tmp_path / "results.json").read_text())
    score = evaluation.scores["copy-view"]["PSNR"]
    assert isinstance(score, Measured)
    assert document["scores"]["copy-view"]["PSNR"]["value"] == pytest.approx(score.value)
    assert set(document["per_scene"]["copy-view"]) == set(evaluation.protocol.scenes)
    assert document["settings"]["first_seed"] == HELD_OUT_SEEDS
    page = (tmp_path / "results.md").read_text()
    assert "| **copy-view** |" in page
    assert "Wide arcs, 20 to 35 degrees" in page


def test_names_of_models_are_no_markup_in_the_report(tmp_path: Path) -> None:
    name = "a|b<img src=x>\x1b[2J"
    models = Models(name=name, complete=BASELINES["copy-view"], baselines=("change-add",))
    write_report(evaluate(worlds(SMALL, models, TWO), tmp_path), tmp_path, "")
    page = (tmp_path / "results.md").read_text()
    assert r"| **a\|b&lt;img src=x&gt; \[2J** |" in page
    assert "<img" not in page
    assert "\x1b" not in page


def test_a_damaged_entry_is_measured_again(tmp_path: Path) -> None:
    models = Models(name="copy-view", complete=BASELINES["copy-view"], baselines=("change-add",))
    first = evaluate(worlds(SMALL, models, TWO), tmp_path)
    for index, entry in enumerate(sorted(tmp_path.rglob("*.safetensors"))):
        content = bytearray(entry.read_bytes())
        place = content.index(b"unmeasured") if index % 2 else 12
        content[place] ^= 1
        entry.write_bytes(bytes(content))
    again = evaluate(worlds(SMALL, models, TWO), tmp_path)
    assert again.scores["copy-view"]["PSNR"].value == first.scores["copy-view"]["PSNR"].value


def test_wrong_answers_are_refused_by_scene(tmp_path: Path) -> None:
    def small(grid: VideoGrid) -> VideoGrid:
        return VideoGrid.complete(grid.frames[..., :16], grid.seconds)

    def broken(grid: VideoGrid) -> VideoGrid:
        return VideoGrid.complete(grid.frames.clone().index_fill(0, torch.tensor([1]), math.nan), grid.seconds)

    for model, says in ((small, r"x, scene 'world-900000': .*\(24, 16\), truth \(24, 24\)"), (broken, "NaN")):
        with pytest.raises(InputError, match=says):
            evaluate(worlds(SMALL, Models(name="x", complete=model, baselines=()), TWO), tmp_path)
    with pytest.raises(InputError, match="unknown baseline 'best'"):
        worlds(SMALL, Models(name="x", complete=small, baselines=("best",)), TWO)
    with pytest.raises(InputError, match="evaluates a generator"):
        worlds(SMALL, Models(name="x"), TWO)
    with pytest.raises(InputError, match="needs a reconstruction model"):
        worlds_recon(SMALL, Models(name="x"), TWO)


# ---- reconstruction ----------------------------------------------------------------------------

RECON = WorldConfig(height=40, width=40, arc_deg=(60.0, 110.0))
ELSEWHERE = Similarity(
    quat_to_matrix(torch.nn.functional.normalize(torch.tensor([0.5, -0.3, 0.7, 0.2]), dim=0)),
    torch.tensor([0.4, -2.0, 1.0]),
    0.37,
)


def _moved(scene: GaussianSequence, turn: Similarity) -> GaussianSequence:
    """The same scene in another world."""
    quat = matrix_to_quat(turn.rotation)[None]
    steps = tuple(
        replace(
            step,
            means=turn.scale * step.means @ turn.rotation.T + turn.translation,
            quats_wxyz=quat_multiply(quat, step.quats_wxyz),
            scales=turn.scale * step.scales,
        )
        for step in scene.steps
    )
    return GaussianSequence(steps, scene.seconds, turn.cameras(scene.cameras))


def knowing_reconstructor(turn: Similarity = ELSEWHERE) -> Reconstructor:
    """Lifts the true depth through the true cameras, and answers in a world of its own."""
    samples = [held_out_sample(replace(RECON, frames=4, fps=4.0), scene) for scene in range(2)]

    def reconstruct(grid: VideoGrid) -> GaussianSequence:
        sample = next(s for s in samples if torch.equal(s.grid.frames[[0, 2, 5, 7]], grid.frames))
        views = [0, 2, 5, 7]
        return _moved(lift_grid(sample.grid.select(views=views), sample.depth[views]), turn)

    return Reconstructor(
        reconstruct,
        target_cameras=lambda inputs, targets: pytest.fail("true cameras are given here"),
        aligned=lambda targets, inputs, scene: similarity_between(inputs, scene).cameras(targets),
    )


def test_true_geometry_in_any_world_is_recognised(tmp_path: Path) -> None:
    evaluation = evaluate(
        worlds_recon(RECON, Models(name="truth", reconstructor=knowing_reconstructor()), TWO), tmp_path
    )
    truth, nearest = evaluation.scores["truth"], evaluation.scores["nearest input view"]
    assert truth["rotation error"].value < 0.05
    assert truth["depth AbsRel"].value < 0.06, "what blurred edges of 40 pixels leave"
    assert truth["PSNR"].value > nearest["PSNR"].value + 1
    assert isinstance(nearest["depth AbsRel"], NotComputed)
    assert "rotation error" not in evaluation.margins
    assert truth["focal length error"].value < 1e-3
    fitted = evaluation.scores["truth, focal length fitted"]
    assert fitted["PSNR"].value == pytest.approx(truth["PSNR"].value, abs=0.05), "nothing was to be fitted"


def test_a_focal_length_taken_for_another_is_fitted_on_the_inputs() -> None:
    cameras = held_out_sample(replace(RECON, views=4, frames=1), 0).cameras
    predicted = magnified(cameras, 0.8)
    assert focal_ratio(predicted, cameras) == pytest.approx(0.8)
    assert torch.equal(predicted.intrinsics[:, :2, 2], cameras.intrinsics[:, :2, 2]), "the centre stays"
    assert torch.equal(predicted.world_to_cam, cameras.world_to_cam)
    assert torch.allclose(magnified(predicted, 1 / focal_ratio(predicted, cameras)).intrinsics, cameras.intrinsics)


def test_rotation_error_and_depth_error_are_what_they_say() -> None:
    sample = held_out_sample(replace(RECON, views=4, frames=1), 0)
    cameras = sample.cameras
    assert median_rotation_error_deg(ELSEWHERE.cameras(cameras), cameras) < 1e-2
    pair = cameras[:2]
    turned = pair.world_to_cam.clone()
    angle = math.radians(7)
    about_z = torch.tensor([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
    turned[1:, :3] = about_z @ turned[1:, :3]
    assert median_rotation_error_deg(replace(pair, world_to_cam=turned), pair) == pytest.approx(7, abs=1e-2)
    covered = torch.ones_like(sample.depth)
    assert depth_abs_rel(sample.depth.nan_to_num(posinf=9) * 3, covered, sample.depth) < 1e-5
    half = sample.depth.clone()
    finite = torch.isfinite(half)
    half[finite] *= torch.where(torch.arange(int(finite.sum())) % 2 == 0, 1.1, 0.9)
    assert 0.05 < depth_abs_rel(half.nan_to_num(posinf=9), covered, sample.depth) < 0.15
    assert math.isnan(depth_abs_rel(sample.depth, covered * 0, sample.depth))
