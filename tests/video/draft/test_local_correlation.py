"""The cost volume's kernel against interpolated maps and plain products, forward and in gradient."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.video.draft.local_correlation import local_correlation


def slow(first: Tensor, second: Tensor, flow: Tensor, radius: int) -> Float[Tensor, "N K H W"]:
    """One offset after the other, by interpolating the whole second map."""
    height, width = first.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    found = []
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            place = torch.stack([x + flow[:, 0] + dx + 0.5, y + flow[:, 1] + dy + 0.5], -1)
            place = 2 * place / torch.tensor([width, height]) - 1
            read = torch.nn.functional.grid_sample(second, place, align_corners=False)
            found.append((first * read).mean(1))
    return torch.stack(found, 1)


def test_the_kernel_agrees_with_its_slow_twin_forward_and_in_gradient() -> None:
    first, second = torch.randn(2, 2, 5, 7, 9).unbind(0)
    flow = 4 * torch.randn(2, 2, 7, 9)
    flow[0, :, 0, 0] = 1e6  # far outside: zero, as anywhere outside
    weights = torch.randn(2, 25, 7, 9)
    told = []
    for correlate in (local_correlation, slow):
        a, b = first.clone().requires_grad_(), second.clone().requires_grad_()
        out = correlate(a, b, flow, 2)
        (out * weights).sum().backward()
        told.append((out, a.grad, b.grad))
    for fast, plain in zip(*told, strict=True):
        torch.testing.assert_close(fast, plain, atol=1e-5, rtol=1e-4)


def test_the_peak_is_at_the_true_shift() -> None:
    features = torch.randn(1, 32, 12, 12)
    shifted = torch.roll(features, (2, -1), (-2, -1))  # what is at (y, x) is now at (y + 2, x - 1)
    found = local_correlation(features, shifted, torch.zeros(1, 2, 12, 12), 3)[0, :, 4:8, 4:8].argmax(0)
    assert set((found // 7 - 3).flatten().tolist()) == {2}
    assert set((found % 7 - 3).flatten().tolist()) == {-1}


def test_moving_the_flow_by_a_whole_pixel_moves_the_window() -> None:
    first, second = torch.randn(2, 1, 4, 8, 8).unbind(0)
    flow = torch.randn(1, 2, 8, 8)
    here = local_correlation(first, second, flow, 2).unflatten(1, (5, 5))
    right = local_correlation(first, second, flow + torch.tensor([1.0, 0.0])[None, :, None, None], 2).unflatten(
        1, (5, 5)
    )
    torch.testing.assert_close(here[:, :, 1:], right[:, :, :-1], atol=1e-5, rtol=1e-4)
