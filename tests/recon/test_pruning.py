"""Pruning: white backgrounds but not white objects, the least sure share, and merging that keeps what counts."""

from __future__ import annotations

import torch

from fourreal.core.gaussians import Gaussians
from fourreal.recon.pruning import confident, merge_voxels, white_background


def _gaussians(means: torch.Tensor, opacities: torch.Tensor, colors: torch.Tensor) -> Gaussians:
    count = len(means)
    quats = torch.zeros(count, 4)
    quats[:, 0] = 1
    return Gaussians.from_colors(means, quats, torch.full((count, 3), 0.01), opacities, colors)


def test_white_inside_an_object_stays():
    frame = torch.ones(1, 3, 12, 12)
    frame[:, :, 3:9, 3:9] = 0.2
    frame[:, :, 5:7, 5:7] = 1.0
    mask = white_background(frame)
    assert mask[0, 0, 0]
    assert not mask[0, 5, 5]
    assert int((~mask).sum()) == 36


def test_white_behind_a_bend_is_reached():
    frame = torch.zeros(1, 3, 7, 7)
    for y, x in ((0, 1), (1, 1), (2, 1), (2, 2), (2, 3), (3, 3), (4, 3)):
        frame[0, :, y, x] = 1.0
    assert int(white_background(frame).sum()) == 7


def test_nearly_white_counts_and_off_white_does_not():
    frame = torch.full((1, 3, 4, 4), 0.99)
    assert white_background(frame).all()
    frame[:, 2] = 0.9
    assert not white_background(frame).any()


def test_the_least_confident_share_of_all_views_goes():
    confidence = torch.arange(24.0).reshape(2, 3, 4)
    keep = confident(confidence, 0.25)
    assert int(keep.sum()) == 18
    assert not keep[0].flatten()[:6].any()
    assert confident(confidence, 0.0).all()


def test_equal_confidences_still_drop_the_exact_share():
    assert int(confident(torch.ones(1, 10, 10), 0.3).sum()) == 70


def test_merging_leaves_one_gaussian_per_cube_and_weights_by_opacity():
    means = torch.tensor([[0.1, 0.1, 0.1], [0.3, 0.1, 0.1], [5.0, 5.0, 5.0]])
    colors = torch.tensor([[1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]])
    merged = merge_voxels(_gaussians(means, torch.tensor([0.9, 0.3, 0.5]), colors), 1.0)
    assert len(merged) == 2
    first = int(merged.means[:, 0].argmin())
    torch.testing.assert_close(merged.means[first], torch.tensor([0.15, 0.1, 0.1]))
    torch.testing.assert_close(merged.base_colors[first], torch.tensor([0.75, 0.0, 0.25]), atol=1e-5, rtol=0)
    torch.testing.assert_close(merged.opacities[first], torch.tensor(0.9))
    assert merged.scales[first].min() > 0.01


def test_merging_with_tiny_cubes_changes_nothing_but_the_order():
    torch.manual_seed(0)
    gaussians = _gaussians(torch.rand(50, 3), torch.rand(50), torch.rand(50, 3))
    merged = merge_voxels(gaussians, 1e-4)
    order, same = gaussians.means[:, 0].argsort(), merged.means[:, 0].argsort()
    torch.testing.assert_close(merged.means[same], gaussians.means[order])
    torch.testing.assert_close(merged.opacities[same], gaussians.opacities[order])
    torch.testing.assert_close(merged.sh[same], gaussians.sh[order], atol=1e-5, rtol=1e-5)


def test_merging_nothing_gives_nothing():
    empty = _gaussians(torch.zeros(0, 3), torch.zeros(0), torch.zeros(0, 3))
    assert len(merge_voxels(empty, 0.1)) == 0
