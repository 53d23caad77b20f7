"""Small scenes and grids whose pictures can be predicted."""

from __future__ import annotations

import torch

from fourreal.core.camera_paths import arc
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.gaussians import Gaussians, GaussianSequence
from fourreal.core.grid import VideoGrid

RED, GREEN = (0.9, 0.1, 0.1), (0.1, 0.55, 0.15)


def rig(views: int = 5, size: tuple[int, int] = (96, 128), span_deg: float = 60.0) -> Cameras:
    """Cameras on an arc 4 units from the origin, 20 degrees above the horizon of a z-up world."""
    poses = arc(torch.zeros(3), 4.0, views, span_deg=span_deg, elevation_deg=20.0)
    return Cameras(poses, intrinsics_from_fov(40.0, size).expand(views, 3, 3).clone(), size)


def ball_centers(times: int) -> torch.Tensor:
    """The red ball's way: along +y, right to left for a camera on -x, left to right for one on +x."""
    along = torch.linspace(-0.8, 0.8, times)
    return torch.stack([torch.zeros(times), along, torch.full((times,), 0.4)], -1)


def moving_ball(times: int = 4, count: int = 2000, *, still: bool = False) -> GaussianSequence:
    """A red ball that moves over a green disc (or rests on it); half of the Gaussians each."""
    generator = torch.Generator().manual_seed(0)
    half = count // 2
    directions = torch.nn.functional.normalize(torch.randn(half, 3, generator=generator), dim=-1)
    angle, radius = torch.rand(count - half, generator=generator) * 2 * torch.pi, 1.3
    distance = radius * torch.rand(count - half, generator=generator).sqrt()
    disc = torch.stack([distance * angle.cos(), distance * angle.sin(), torch.zeros_like(angle)], -1)
    quats = torch.tensor([1.0, 0, 0, 0]).expand(count, 4).clone()
    colors = torch.tensor([RED, GREEN]).repeat_interleave(torch.tensor([half, count - half]), 0)
    scales = torch.full((count, 3), 0.04)
    scales[half:, 2] = 0.005
    steps = tuple(
        Gaussians.from_colors(
            torch.cat([0.3 * directions + center, disc]), quats, scales, torch.full((count,), 0.95), colors
        )
        for center in (ball_centers(times)[:1].expand(times, 3) if still else ball_centers(times))
    )
    return GaussianSequence(steps, torch.arange(times) / 4, rig())


def unrepeating(times: int, count: int) -> GaussianSequence:
    """Random everything: the worst a compressor can meet."""
    generator = torch.Generator().manual_seed(0)

    def step() -> Gaussians:
        return Gaussians.from_colors(
            torch.randn(count, 3, generator=generator),
            torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=-1),
            torch.rand(count, 3, generator=generator) * 0.05,
            torch.rand(count, generator=generator),
            torch.rand(count, 3, generator=generator),
        )

    return GaussianSequence(tuple(step() for _ in range(times)), torch.arange(times) / 4, rig())


def colored_grid(
    views: int = 3, times: int = 4, size: tuple[int, int] = (96, 128), *, cameras: bool = False
) -> VideoGrid:
    """Every cell one colour of its own: red says the view, green the time."""
    red = torch.linspace(0.1, 0.9, views)[:, None].expand(views, times)
    green = torch.linspace(0.1, 0.9, times)[None].expand(views, times)
    colors = torch.stack([red, green, torch.full((views, times), 0.5)], -1)
    frames = colors[..., None, None].expand(views, times, 3, *size).clone()
    return VideoGrid.complete(frames, torch.arange(times) / 4, rig(views, size) if cameras else None)
