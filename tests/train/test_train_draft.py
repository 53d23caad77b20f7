"""The draft's recipe: what trains in which stage, exact flow as its truth, and that a run resumes and exports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from train.tiny_runs import ALONE, stored_tensors

from fourreal.cli.synth import Synth
from fourreal.data.sample import GridSample
from fourreal.data.worlds import make_world, render_world, tiny_worlds
from fourreal.train.draft_losses import composing_losses, match_likelihood, matching_losses, pixel_weights
from fourreal.train.draft_recipes import tiny
from fourreal.train.draft_task import DraftTask
from fourreal.train.flow_truth import (
    FlowTruth,
    cell_batch,
    disturbed,
    drawn_pairs,
    flow_truth,
    joined_cells,
    mirrored,
    recoloured,
)
from fourreal.train.log import read_log
from fourreal.train.loop import train
from fourreal.train.recipe import DraftRecipe
from fourreal.train.settings import RunSettings
from fourreal.video.draft.composing import Composed
from fourreal.video.draft.draft_weights import load_draft
from fourreal.video.draft.matching import Matches
from fourreal.video.draft.warping import warped


@pytest.fixture(scope="module")
def sample() -> GridSample:
    return render_world(make_world(replace(tiny_worlds(), background="ground"), 7))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards") / "flow"
    Synth(out=folder, shards=True, kind="draft", recipe="tiny", count=4, per_shard=2, device="cpu").run()
    return folder


def _run(out: Path, recipe: DraftRecipe, **options) -> None:
    train(DraftTask(recipe, ALONE.device), recipe, RunSettings(out=out, **options), ALONE)


@pytest.fixture(scope="module")
def finished(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("draft") / "run"
    _run(out, replace(tiny(), shards=str(shards)))
    return out


def test_each_stage_trains_its_part(finished: Path) -> None:
    lines = [line for line in read_log(finished) if "loss" in line]
    assert [line["stage"] for line in lines] == ["matching"] * 4 + ["choice"] * 4
    task = DraftTask(tiny(), ALONE.device)
    assert {name.split(".")[0] for name in task.trainable(0)} == {"matcher"}
    assert {name.split(".")[0] for name in task.trainable(1)} == {"composer"}
    figures = next(line for line in read_log(finished) if "psnr" in line)
    assert {"psnr_moving", "error_view_solid", "error_time_moving"} <= figures.keys()


def test_an_interrupted_run_ends_in_identical_tensors(finished: Path, shards: Path, tmp_path: Path) -> None:
    recipe = replace(tiny(), shards=str(shards))
    _run(tmp_path / "run", recipe, steps=5)
    _run(tmp_path / "run", recipe, resume=True)
    whole, pieced = stored_tensors(finished), stored_tensors(tmp_path / "run")
    assert whole.keys() == pieced.keys()
    assert all(torch.equal(whole[name], pieced[name]) for name in whole)


def test_the_exported_model_is_where_another_run_begins(finished: Path) -> None:
    exported = load_draft(finished / "model")
    begun = DraftTask(replace(tiny(), base=str(finished / "model")), ALONE.device).model
    assert all(torch.equal(value, begun.state_dict()[name]) for name, value in exported.state_dict().items())


def test_the_true_frame_is_what_the_true_flow_reads(sample: GridSample) -> None:
    truth = flow_truth(sample, [((1, 0), (0, 0))])
    there = warped(sample.grid.frames[:1, 0], truth.flow)
    inner = truth.visible & truth.solid
    wrong = (there - sample.grid.frames[1:2, 0]).abs().mean(1, keepdim=True)
    still = (sample.grid.frames[:1, 0] - sample.grid.frames[1:2, 0]).abs().mean(1, keepdim=True)
    assert float(wrong[inner].mean()) < 0.5 * float(still[inner].mean())


def test_exact_answers_cost_less_than_any_other(sample: GridSample) -> None:
    truth = flow_truth(sample, [((1, 0), (0, 0)), ((0, 0), (1, 0))])

    def cost(shift: float) -> dict[str, torch.Tensor]:
        flow = truth.flow + shift
        seen = 20.0 * (2.0 * truth.visible - 1)
        matches = Matches(flow=flow, visible=seen, guesses=(flow,), similarity=None, features=flow, context=flow)
        return matching_losses(matches, truth)

    assert float(cost(0.0)["loss"]) < 1e-3
    assert float(cost(1.0)["loss"]) > 0.1
    assert float(cost(3.0)["error"]) == pytest.approx(3 * 2**0.5, rel=1e-4)


def test_the_likelihood_of_a_match_is_that_of_its_four_neighbours() -> None:
    flow = torch.tensor([4.0, 2.0])[None, :, None, None].expand(1, 2, 16, 16).contiguous()
    yes = torch.ones(1, 1, 16, 16, dtype=torch.bool)
    truth = FlowTruth(flow, yes, ~yes, yes)
    similarity = torch.randn(1, 16, 16)
    chances = similarity.log_softmax(-1)[0]
    total = 0.0
    for y in range(4):
        for x in range(4):  # one quarter pixel to the right, half a one down
            for row in (y, y + 1):
                if x + 1 < 4 and row < 4:
                    total -= 0.5 * float(chances[4 * y + x, 4 * row + x + 1])
    assert float(match_likelihood(similarity, truth)) == pytest.approx(total / 16, rel=1e-4)


def test_hidden_and_empty_pixels_count_little_and_moving_ones_more() -> None:
    flow = torch.zeros(1, 2, 1, 5)
    flow[..., 4] = 100.0
    masks = [
        torch.tensor(values, dtype=torch.bool).view(1, 1, 1, 5)
        for values in ((1, 1, 0, 1, 1), (0, 1, 0, 0, 0), (1, 1, 1, 0, 1))
    ]
    assert pixel_weights(FlowTruth(flow, *masks)).flatten().tolist() == pytest.approx([1.0, 4.0, 0.1, 0.02, 0.0])


def test_mirroring_twice_changes_nothing(sample: GridSample) -> None:
    truth = flow_truth(sample, [((0, 1), (2, 1))])
    again = mirrored(mirrored(truth))
    assert torch.equal(again.flow, truth.flow)
    assert torch.equal(again.visible, truth.visible)


def test_pairs_alternate_between_views_and_times() -> None:
    pairs = drawn_pairs(3, 4, 6, np.random.default_rng(0))
    assert [a[1] == b[1] for a, b in pairs] == [True, False] * 3
    assert all(a != b for a, b in pairs)
    assert all(a[1] == b[1] for a, b in drawn_pairs(3, 1, 4, np.random.default_rng(0)))


def test_no_strength_leaves_frames_alone() -> None:
    frames = torch.rand(3, 3, 4, 4)
    torch.testing.assert_close(recoloured(frames, np.random.default_rng(0), 0.0), frames)
    torch.testing.assert_close(disturbed(frames, np.random.default_rng(0), 0.0), frames)
    assert not torch.equal(recoloured(frames, np.random.default_rng(0), 1.0), frames)


def test_cells_of_several_grids_keep_their_own_references(sample: GridSample) -> None:
    parts = [cell_batch(sample, 2, np.random.default_rng(seed), 0.0) for seed in (0, 1)]
    both = joined_cells(parts)
    assert len(both.true) == len(both.own) == sum(len(part.own) for part in parts)
    second = len(parts[0].own)
    for name in ("own", "row", "corner"):
        mine = both.frames[getattr(both, name)[second:]]
        assert torch.equal(mine, parts[1].frames[getattr(parts[1], name)])


def test_the_true_frames_cost_nothing_but_the_share_of_flow(sample: GridSample) -> None:
    batch = cell_batch(sample, 1, np.random.default_rng(0), 0.0)
    own, row = batch.flows

    def cost(frames: torch.Tensor) -> float:
        seen = 20.0 * (2.0 * torch.cat([own.visible, row.visible], 1) - 1)
        shares = torch.zeros(len(frames), 5, *frames.shape[-2:])
        made = Composed(frames=frames, own=(own.flow,), row=(row.flow,), seen=seen, shares=shares)
        return float(composing_losses(made, batch.true, batch.changed, own, row)["distance"])

    assert cost(batch.true) == 0
    assert cost(batch.true + 0.1) == pytest.approx(0.1, rel=1e-3)
