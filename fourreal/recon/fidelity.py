"""How well a reconstruction shows the frames it was made from, and the frame size at which it does so best.

The given views were seen by the network, so this measures whether the parts fit together, not how new views look;
but what does not even bring back its own inputs is ruined.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.gaussians import GaussianSequence
from fourreal.core.grid import VideoGrid
from fourreal.core.linspace_indices import linspace_indices
from fourreal.splat.rasterize import Rendering, rasterize

MAX_VIEWS = 6
CELL_PX = 160
"""Longer side of the pictures that are compared."""


def judged_cells(grid: VideoGrid) -> tuple[list[int], list[int]]:
    """Views, evenly chosen, and times, the first and the last, by which a reconstruction is judged."""
    return linspace_indices(grid.num_views, MAX_VIEWS), sorted({0, grid.num_times - 1})


def cell_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of frames of this size, scaled to `CELL_PX`."""
    scale = CELL_PX / max(image_size)
    return max(1, round(image_size[0] * scale)), max(1, round(image_size[1] * scale))


@torch.no_grad()
def render_inputs(
    scene: GaussianSequence, grid: VideoGrid, views: list[int], time: int
) -> tuple[Float[Tensor, "V 3 h w"], Rendering]:
    """Frames of a time, and the scene drawn from their cameras, in no more pixels than the frames have."""
    size = cell_size(grid.image_size)
    drawn = size if size[0] < grid.image_size[0] else grid.image_size
    inputs = torch.nn.functional.interpolate(grid.frames[views, time].cpu(), size=drawn, mode="area")
    return inputs, rasterize(scene.steps[time], scene.cameras[views].resized(drawn), background=torch.ones(3))


def input_psnr_db(scene: GaussianSequence, grid: VideoGrid) -> float:
    """PSNR of the judged cells' renders against the frames themselves, dB."""
    views, times = judged_cells(grid)
    pairs = [render_inputs(scene, grid, views, time) for time in times]
    return psnr_db([(rendering.color.clamp(0, 1) - inputs).square().mean() for inputs, rendering in pairs])


def psnr_db(errors: list[Tensor]) -> float:
    """Of mean squared errors."""
    return float(-10 * torch.stack(errors).mean().clamp(min=1e-10).log10())
