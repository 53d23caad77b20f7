"""Reading along a flow, resizing flows, and carrying pixels along one."""

from __future__ import annotations

import torch
from torch.nn import functional

from fourreal.video.draft.splatting import splatted
from fourreal.video.draft.warping import convexly_upsampled, resized_flow, warped


def constant(x: float, y: float, size: tuple[int, int] = (8, 10), count: int = 1) -> torch.Tensor:
    return torch.tensor([float(x), float(y)])[None, :, None, None].expand(count, 2, *size).contiguous()


def test_no_flow_changes_nothing() -> None:
    images = torch.rand(2, 3, 8, 10)
    torch.testing.assert_close(warped(images, torch.zeros(2, 2, 8, 10)), images)
    carried, arrived = splatted(images, torch.zeros(2, 2, 8, 10), torch.rand(2, 1, 8, 10) + 0.1)
    torch.testing.assert_close(carried, images)
    torch.testing.assert_close(arrived, torch.ones(2, 1, 8, 10))


def test_a_whole_shift_reads_the_neighbour_and_carries_to_it() -> None:
    images = torch.rand(1, 3, 8, 10)
    torch.testing.assert_close(warped(images, constant(1, 0))[..., :-1], images[..., 1:])
    carried, arrived = splatted(images, constant(2, -1), torch.ones(1, 1, 8, 10))
    torch.testing.assert_close(carried[..., :-1, 2:], images[..., 1:, :-2], atol=1e-4, rtol=0)
    assert float(arrived[..., -1, :].abs().max()) == 0, "nothing arrives in the last row"


def slow_splat(values, flow, weights):
    """Every pixel and corner by itself."""
    total, weight = torch.zeros_like(values), torch.zeros_like(weights)
    arrived = torch.zeros_like(weights)
    _, _, height, width = values.shape
    for n, y, x in ((n, y, x) for n in range(len(values)) for y in range(height) for x in range(width)):
        px, py = x + float(flow[n, 0, y, x]), y + float(flow[n, 1, y, x])
        for yy in range(height):
            for xx in range(width):
                share = max(0.0, 1 - abs(px - xx)) * max(0.0, 1 - abs(py - yy))
                total[n, :, yy, xx] += share * weights[n, 0, y, x] * values[n, :, y, x]
                weight[n, 0, yy, xx] += share * weights[n, 0, y, x]
                arrived[n, 0, yy, xx] += share
    return total / weight.clamp(min=1e-6), arrived


def test_splatting_agrees_with_its_slow_twin() -> None:
    values, flow, weights = torch.rand(2, 2, 5, 6), 2 * torch.randn(2, 2, 5, 6), torch.rand(2, 1, 5, 6)
    flow[0, :, 0, 0] = 1e7
    for fast, plain in zip(splatted(values, flow, weights), slow_splat(values, flow, weights), strict=True):
        torch.testing.assert_close(fast, plain, atol=1e-4, rtol=1e-4)


def test_a_heavy_pixel_hides_a_light_one() -> None:
    values, weights = torch.zeros(1, 1, 1, 3), torch.ones(1, 1, 1, 3)
    values[..., 0], weights[..., 0] = 1.0, 1000.0
    flow = torch.zeros(1, 2, 1, 3)
    flow[0, 0, 0, 0] = 2.0
    carried, arrived = splatted(values, flow, weights)
    assert float(carried[0, 0, 0, 2]) > 0.99
    assert arrived[0, 0, 0].tolist() == [0, 1, 2]


def test_flows_grow_with_their_frames() -> None:
    assert torch.equal(resized_flow(constant(1, 2), (8, 10)), constant(1, 2))
    torch.testing.assert_close(resized_flow(constant(1, 2), (16, 30)), constant(3, 4, (16, 30)))
    torch.testing.assert_close(convexly_upsampled(constant(1, 2), torch.randn(1, 36, 8, 10)), constant(2, 4, (16, 20)))


def test_convex_upsampling_can_pick_any_neighbour() -> None:
    flow = torch.randn(1, 2, 4, 4)
    logits = torch.full((1, 36, 4, 4), -100.0)
    logits[:, 5 * 4 : 6 * 4] = 100.0  # of the nine, the one to the right of the middle
    right = functional.pad(flow, (0, 1, 0, 0), mode="replicate")[..., 1:]
    torch.testing.assert_close(
        convexly_upsampled(flow, logits), 2 * right.repeat_interleave(2, -1).repeat_interleave(2, -2)
    )
