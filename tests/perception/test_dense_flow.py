"""Flow on pairs whose displacement is known exactly, and its algebra."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fourreal.perception.optical_flow import _divergence, _forward_gradient, compose, dense_flow, warp

SIDE, BORDER = 96, 14


def picture() -> torch.Tensor:
    from skimage import data

    image = torch.from_numpy(np.ascontiguousarray(data.astronaut())).permute(2, 0, 1).float() / 255
    size = (SIDE + 2 * BORDER, SIDE + 2 * BORDER)
    return torch.nn.functional.interpolate(image[None], size=size, mode="bilinear", antialias=True)


def grid() -> tuple[torch.Tensor, torch.Tensor]:
    half = (SIDE + 2 * BORDER) / 2
    axis = torch.arange(SIDE + 2 * BORDER) + 0.5 - half
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x, y


def displacement(kind: str) -> torch.Tensor:
    x, y = grid()
    if kind == "shift":
        return torch.stack([torch.full_like(x, 3.5), torch.full_like(x, -2.0)], -1)
    if kind == "far":
        return torch.stack([torch.full_like(x, 9.0), torch.full_like(x, 6.0)], -1)
    angle = math.radians(4)
    return torch.stack([-y * math.sin(angle), x * math.sin(angle)], -1)


@pytest.mark.parametrize(("kind", "mean_error"), [("shift", 0.1), ("far", 0.7), ("turn", 0.25)])
def test_known_displacements_are_found(kind: str, mean_error: float) -> None:
    true = displacement(kind)
    target = picture()
    source = warp(target, true[None])
    inner = (..., slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    found = dense_flow(source[inner], target[inner])[0]
    error = (found - true[BORDER:-BORDER, BORDER:-BORDER]).norm(dim=-1)
    assert float(error.mean()) < mean_error
    assert float(error.median()) < mean_error / 2


def test_equal_images_have_no_flow_and_pairs_of_a_batch_do_not_mix() -> None:
    image = picture()[..., :48, :48]
    moved = image.roll(2, -1)
    assert float(dense_flow(image, image).abs().max()) < 1e-4
    together = dense_flow(torch.cat([image, moved]), torch.cat([moved, image]))
    torch.testing.assert_close(together[:1], dense_flow(image, moved), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together[1:], dense_flow(moved, image), atol=1e-4, rtol=1e-4)


def test_warping_by_whole_pixels_moves_them() -> None:
    image = torch.rand(1, 3, 8, 9)
    flow = torch.tensor([2.0, -1.0]).expand(1, 8, 9, 2)
    torch.testing.assert_close(warp(image, flow)[..., 1:, :-2], image[..., :-1, 2:], atol=1e-5, rtol=1e-5)


def test_composed_flows_follow_one_another() -> None:
    first = torch.tensor([1.5, 0.0]).expand(1, 20, 20, 2)
    y = torch.arange(20.0)[None, :, None].expand(1, 20, 20)
    second = torch.stack([torch.zeros_like(y), 0.1 * y], -1)
    torch.testing.assert_close(compose(first, second), first + second, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        compose(second, second)[:, :17], (second + torch.stack([torch.zeros_like(y), 0.1 * (1.1 * y)], -1))[:, :17],
        atol=1e-4, rtol=1e-4,
    )  # fmt: skip


def test_divergence_is_minus_the_gradients_adjoint() -> None:
    u, dual = torch.randn(2, 2, 7, 9).double(), torch.randn(2, 2, 2, 7, 9).double()
    torch.testing.assert_close((_forward_gradient(u) * dual).sum(), -(u * _divergence(dual)).sum())
