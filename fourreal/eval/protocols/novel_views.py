"""Looking at a reconstruction from views that it was not made from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.gaussians import GaussianSequence
from fourreal.core.grid import VideoGrid
from fourreal.splat.rasterize import rasterize

COVERED = 0.5


@dataclass(frozen=True, eq=False)
class RenderedViews:
    """Renders of a scene at all its times.

    Attributes:
        grid: complete, clipped to [0, 1].
        depth: expected z-depth, in the scene's unit.
    """

    grid: VideoGrid
    depth: Float[Tensor, "V T H W"]
    alpha: Float[Tensor, "V T H W"]


@torch.no_grad()
def rendered(
    scene: GaussianSequence, cameras: Cameras, inputs: VideoGrid, seconds: Float[Tensor, "T"]
) -> RenderedViews:
    """The scene from some cameras at some times.

    Behind the scene stands what the reconstruction leaves uncovered of its own input views: the mean colour of
    those input pixels, of all where it leaves none. Nothing of a target is looked at.
    """
    behind = _colour_behind(scene, inputs)
    renders = [rasterize(scene.at(float(second)), cameras, background=behind) for second in seconds]
    color = torch.stack([render.color for render in renders], 1).clamp(0, 1)
    return RenderedViews(
        VideoGrid.complete(color, seconds.cpu()),
        torch.stack([render.depth for render in renders], 1),
        torch.stack([render.alpha for render in renders], 1),
    )


def nearest_inputs(inputs: VideoGrid, targets: VideoGrid) -> VideoGrid:
    """Every target view answered by the input view whose camera stands nearest; by row number without cameras."""
    if inputs.cameras is None or targets.cameras is None:
        places = torch.linspace(0, 1, inputs.num_views)[:, None]
        wanted = torch.linspace(0, 1, targets.num_views + 2)[1:-1, None]
    else:
        places = _per_view(inputs.cameras).centers
        wanted = _per_view(targets.cameras).centers
    nearest = torch.cdist(wanted.double(), places.double()).argmin(1)
    return VideoGrid.complete(inputs.frames[nearest], targets.seconds)


def _per_view(cameras: Cameras) -> Cameras:
    return cameras if len(cameras.batch_shape) == 1 else cameras[:, 0]


def _colour_behind(scene: GaussianSequence, inputs: VideoGrid) -> Float[Tensor, "3"]:
    left = rasterize(scene.at(float(inputs.seconds[0])), scene.cameras).alpha < COVERED
    pixels = inputs.frames[:, 0].movedim(1, -1)
    return (pixels[left] if bool(left.any()) else pixels.reshape(-1, 3)).mean(0)
