"""Laws of the training mixture: shares, references, reversal, warps, and that a sample is a function of its number."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fourreal.core.errors import InputError
from fourreal.core.grid import known_pattern
from fourreal.data.mixture import GRID_KINDS, GridMixture, MixtureConfig, draw_references, is_physics, worlds_at
from fourreal.data.shards import ShardMixture, read_sample, write_shards
from fourreal.data.single_videos import VideoMixture, draw_mask
from fourreal.data.training_grid import reversed_views, stream
from fourreal.data.warp2d import four_point_homography, view_homographies, warp_clip
from fourreal.data.worlds import HELD_OUT_SEEDS, tiny_worlds

SMALL = MixtureConfig(worlds=replace(tiny_worlds(), frames=5, height=16, width=16, antialias=False), seed=3)


def _only(kind: str, **changes) -> MixtureConfig:
    return replace(SMALL, shares=tuple(float(name == kind) for name in GRID_KINDS), **changes)


@pytest.fixture(scope="module")
def samples():
    mixture = GridMixture(SMALL)
    drafts = [mixture.draft(0, index) for index in range(24)]
    return drafts, mixture.render(drafts)


def test_kinds_patterns_and_reversal_come_in_their_shares():
    count = 4000
    kinds, patterns, reverse = Counter(), Counter(), 0
    for index in range(count):
        rng = stream(3, 0, index, "kind")
        kind = GRID_KINDS[int(rng.choice(4, p=SMALL.shares))]
        pattern, backwards = draw_references(SMALL, kind, 0, index)
        kinds[kind] += 1
        reverse += backwards
        if kind != "static":
            patterns[pattern] += 1
    # Four standard deviations of a share near a half are 0.032.
    for kind, share in zip(GRID_KINDS, (0.4, 0.2, 0.2, 0.2), strict=True):
        assert abs(kinds[kind] / count - share) < 0.032
    assert abs(patterns["cross"] / patterns.total() - 0.55) < 0.04
    assert set(patterns) == {"cross", "row", "column", "none"}
    assert abs(reverse / count - 0.5) < 0.032


def test_drafts_have_the_kinds_that_the_shares_ask_for(samples):
    drafts, made = samples
    assert {draft.kind for draft in drafts} == set(GRID_KINDS)
    assert [sample.kind for sample in made] == [draft.kind for draft in drafts]
    for draft in drafts:
        if draft.kind in ("objects", "physics"):
            assert is_physics(draft.world) == (draft.kind == "physics")


def test_about_a_third_is_on_white(samples):
    mixture = GridMixture(SMALL)
    worlds = [mixture.draft(1, index).world for index in range(30)]
    white = sum(world.environment.white for world in worlds) / len(worlds)
    assert 0.08 < white < 0.64


def test_static_samples_stand_still_and_give_nothing_away(samples):
    _, made = samples
    static = [sample for sample in made if sample.kind == "static"]
    assert static
    for sample in static:
        assert not sample.references.any()
        assert torch.equal(sample.grid.frames, sample.grid.frames[:, :1].expand_as(sample.grid.frames))
        assert (sample.grid.frames[0] - sample.grid.frames[-1]).abs().max() > 0.05  # but the views differ


def test_the_other_samples_give_a_named_pattern(samples):
    _, made = samples
    named = [known_pattern(name, 3, 5).tolist() for name in ("none", "row", "column", "cross")]
    assert all(sample.references.tolist() in named for sample in made)
    assert any(sample.references.any() for sample in made)


def test_no_sample_shows_a_world_held_out_for_evaluation():
    mixture = GridMixture(SMALL)
    assert all(mixture.draft(step, 0).world.seed < HELD_OUT_SEEDS for step in range(12))


def test_reversal_turns_frames_cameras_and_depth_and_undoes_itself(samples):
    _, made = samples
    sample = next(sample for sample in made if sample.kind == "objects")
    turned = reversed_views(sample)
    assert torch.equal(turned.grid.frames, sample.grid.frames.flip(0))
    assert torch.equal(turned.cameras.world_to_cam, sample.cameras.world_to_cam.flip(0))
    assert torch.equal(turned.depth, sample.depth.flip(0))
    assert torch.equal(reversed_views(turned).grid.frames, sample.grid.frames)


def test_a_sample_depends_on_seed_step_and_index_alone():
    mixture = GridMixture(SMALL)
    alone = mixture.render([mixture.draft(4, 2)])[0]
    drafts = [mixture.draft(4, index) for index in (5, 2, 0)]
    in_company = mixture.render(drafts)[1]
    assert torch.equal(alone.grid.frames, in_company.grid.frames)
    assert torch.equal(alone.references, in_company.references)
    for other in (GridMixture(replace(SMALL, seed=4)).draft(4, 2), mixture.draft(5, 2), mixture.draft(4, 3)):
        assert other.world.seed != mixture.draft(4, 2).world.seed


# ---- warps ------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.integers(2, 9))
@settings(max_examples=30, deadline=None)
def test_homographies_start_at_identity_and_change_smoothly(seed, views):
    found = view_homographies(views, 0.35, np.random.default_rng(seed))
    assert torch.equal(found[0], torch.eye(3))
    fine = view_homographies(8 * (views - 1) + 1, 0.35, np.random.default_rng(seed))
    assert torch.allclose(fine[::8], found, atol=1e-5)  # one path, however finely it is sampled
    assert fine.diff(dim=0).abs().amax() < found.diff(dim=0).abs().amax() + 1e-6


def test_four_points_go_where_they_should():
    rng = np.random.default_rng(0)
    source = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    target = source + rng.uniform(-0.3, 0.3, (4, 2))
    mapped = np.concatenate([source, np.ones((4, 1))], 1) @ four_point_homography(source, target).T
    np.testing.assert_allclose(mapped[:, :2] / mapped[:, 2:], target, atol=1e-12)


def test_a_warp_is_the_clip_at_the_first_view_and_the_same_at_every_time():
    clip = torch.rand(4, 3, 20, 24)
    homographies = view_homographies(3, 0.3, np.random.default_rng(1))
    views = warp_clip(clip, homographies, (16, 16))
    assert torch.equal(views[0], clip[:, :, 2:18, 4:20])
    for time in range(4):
        still = warp_clip(clip[time : time + 1], homographies, (16, 16))
        assert torch.allclose(views[:, time], still[:, 0], atol=1e-6)


def test_a_warp_equals_a_pixel_by_pixel_one():
    clip = torch.rand(1, 3, 24, 24, dtype=torch.float64)
    homography = view_homographies(2, 0.15, np.random.default_rng(2)).double()
    view = warp_clip(clip, homography, (16, 16))[1, 0]
    for row, column in ((4, 5), (8, 8), (11, 3)):
        x, y = (column + 0.5) / 8 - 1, (row + 0.5) / 8 - 1
        u, v, w = (homography[1] @ torch.tensor([x, y, 1.0], dtype=torch.float64)).tolist()
        px, py = (u / w + 1) * 8 + 4 - 0.5, (v / w + 1) * 8 + 4 - 0.5
        left, top = int(np.floor(px)), int(np.floor(py))
        a, b = px - left, py - top
        patch = clip[0, :, top : top + 2, left : left + 2]
        expected = patch[:, 0, 0] * (1 - a) * (1 - b) + patch[:, 0, 1] * a * (1 - b)
        expected = expected + patch[:, 1, 0] * (1 - a) * b + patch[:, 1, 1] * a * b
        assert torch.allclose(view[:, row, column], expected, atol=1e-6)


# ---- single videos, curriculum, shards ---------------------------------------------------------


def test_single_videos_come_in_both_modes_and_move_accordingly():
    mixture = VideoMixture(SMALL)
    made = mixture.render([mixture.draft(0, index) for index in range(10)])
    assert {sample.kind for sample in made} == {"dynamic", "freeze_time"}
    for sample in made:
        assert sample.grid.known.shape == (1, 5)
        assert sample.references.shape == (1, 5)
        assert not sample.references.all()


@given(st.integers(0, 100_000), st.integers(1, 30), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_masks_withhold_something_and_keep_groups_whole(seed, times, group):
    mask = draw_mask(times, group, np.random.default_rng(seed))
    assert mask.shape == (times,)
    assert not mask.all()
    for start in range(1, times, group):
        assert len(set(mask[start : start + group].tolist())) == 1


def test_the_curriculum_opens_arcs_and_ends_at_the_full_variety():
    config = replace(SMALL, curriculum_steps=100)
    arcs = [worlds_at(config, step).arc_deg[1] for step in (0, 50, 100, 1000)]
    assert arcs[0] < arcs[1] < arcs[2] == arcs[3] == SMALL.worlds.arc_deg[1]
    assert worlds_at(config, 100) == SMALL.worlds


def test_shards_give_back_what_was_written(tmp_path):
    config = _only("objects", reversal=0.0)
    mixture = GridMixture(config)
    shards = write_shards(tmp_path, mixture, 3, per_shard=2)
    assert [path.name for path in shards] == ["shard-00000.tar", "shard-00001.tar"]
    made = mixture.render([mixture.draft(2, 0)])[0]
    stored = read_sample(shards[1], "000002")
    assert (stored.grid.frames - made.grid.frames).abs().max() <= 0.5 / 255 + 1e-6
    assert torch.allclose(stored.cameras.world_to_cam, made.cameras.world_to_cam)
    finite = made.depth.isfinite()
    assert torch.equal(stored.depth.isfinite(), finite)
    assert torch.allclose(stored.depth[finite], made.depth[finite], rtol=1e-3)
    assert stored.caption == made.caption
    reader = ShardMixture(tmp_path, config)
    first, second = (reader.render([reader.draft(7, 1)])[0] for _ in range(2))
    assert torch.equal(first.grid.frames, second.grid.frames)


def test_bad_input_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match="not all 0"):
        replace(SMALL, shares=(0.0, 0.0, 0.0, 0.0))
    with pytest.raises(InputError, match="no shards"):
        ShardMixture(tmp_path, SMALL).draft(0, 0)
    (tmp_path / "shard-00000.tar").write_bytes(b"not a tar" * 100)
    with pytest.raises(InputError, match="damaged"):
        ShardMixture(tmp_path, SMALL).draft(0, 0)
    with pytest.raises(InputError, match="no clips"):
        GridMixture(_only("warped", clips=str(tmp_path))).draft(0, 0)
    with pytest.raises(InputError, match="at least 1 sample"):
        write_shards(tmp_path, GridMixture(SMALL), 0)
