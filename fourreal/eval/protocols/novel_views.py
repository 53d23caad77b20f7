"""Tables in which a scene is reconstructed from some views and rendered from others.

Three methods are compared: target cameras that the model predicts from the target frames, as in the paper; the true
target cameras, aligned with the reconstruction by the input cameras alone; and the input view nearest to the target.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.gaussians import GaussianSequence
from fourreal.core.grid import KnownPattern, VideoGrid, known_pattern
from fourreal.eval.baselines import copy_view
from fourreal.eval.grid_pair import GridPair
from fourreal.eval.protocols.completion import pair_metrics
from fourreal.eval.protocols.pair_scores import PairScores
from fourreal.eval.protocols.protocol import Extent, Models, Protocol, SceneScore, Table
from fourreal.splat.rasterize import rasterize

COVERED = 0.5
NEAREST = "nearest input view"
METRICS = ("PSNR", "LPIPS (AlexNet)", "SSIM", "ST-LPIPS (alex)")


def novel_views(
    table: Table,
    models: Models,
    extent: Extent,
    *,
    read: Callable[[str], tuple[VideoGrid, VideoGrid]],
    given: KnownPattern | None = None,
) -> Protocol:
    """The protocol of such a table.

    Args:
        read: a scene's name to its input views and its target views, complete, with cameras, of the same times.
        given: which cells of the input views the generator gets; all go to the reconstruction when left out.

    Raises:
        InputError: a model that the table needs is missing.
    """
    model = models.reconstruction(table.name)
    complete = None if given is None else models.generator(table.name)
    scores = PairScores(pair_metrics(METRICS, extent))
    cached = lru_cache(maxsize=1)(read)
    aligned, from_truth = f"{models.name}, true target cameras", f"{models.name}, from the true grid"

    def partly_known(inputs: VideoGrid) -> VideoGrid:
        return inputs if given is None else inputs.with_known(known_pattern(given, *inputs.known.shape))

    def reconstructed(inputs: VideoGrid) -> GaussianSequence:
        return model.reconstruct(VideoGrid.complete(inputs.frames, inputs.seconds))

    @lru_cache(maxsize=1)
    def predicted(scene: str) -> tuple[VideoGrid, GaussianSequence]:
        """The complete inputs and the scene, shared by the methods that render it from different cameras."""
        inputs = partly_known(cached(scene)[0])
        whole = inputs if complete is None else complete(inputs)
        return whole, reconstructed(whole)

    def rendered_targets(scene: str, method: str) -> VideoGrid:
        inputs, targets = cached(scene)
        if method == NEAREST:
            return nearest_inputs(inputs if given is None else copy_view(partly_known(inputs)), targets)
        whole, gaussians = (inputs, reconstructed(inputs)) if method == from_truth else predicted(scene)
        if method == aligned:
            assert targets.cameras is not None
            assert inputs.cameras is not None
            cameras = model.aligned(targets.cameras, inputs.cameras, gaussians.cameras)
        else:
            cameras = model.target_cameras(whole.frames[:, 0], targets.frames[:, 0])
        return rendered(gaussians, cameras, whole, targets.seconds)[0]

    def score(scene: str, method: str) -> SceneScore:
        targets = cached(scene)[1]
        none = known_pattern("none", *targets.known.shape)
        return scores.score(GridPair(scene=scene, generated=rendered_targets(scene, method), truth=targets, given=none))

    own = (models.name, aligned, *(() if given is None else (from_truth,)))
    return Protocol(
        table=table,
        methods={**dict.fromkeys(own, models.identity), NEAREST: {}},
        baselines=(NEAREST,),
        metrics=scores.metrics,
        score=score,
        absent=scores.absent,
    )


@torch.no_grad()
def rendered(
    scene: GaussianSequence, cameras: Cameras, inputs: VideoGrid, seconds: Float[Tensor, "T"]
) -> tuple[VideoGrid, Float[Tensor, "V T H W"], Float[Tensor, "V T H W"]]:
    """A scene rendered from some cameras at some times: complete grid, expected z-depth (scene units) and alpha.

    The background is the mean colour of the input pixels that the reconstruction does not cover, or of all input
    pixels where it covers all. No target is used.
    """
    background = _background_colour(scene, inputs)
    renders = [rasterize(scene.at(float(second)), cameras, background=background) for second in seconds]
    color = torch.stack([render.color for render in renders], 1).clamp(0, 1)
    return (
        VideoGrid.complete(color, seconds.cpu()),
        torch.stack([render.depth for render in renders], 1),
        torch.stack([render.alpha for render in renders], 1),
    )


def nearest_inputs(inputs: VideoGrid, targets: VideoGrid) -> VideoGrid:
    """For every target view the input view with the nearest camera; by row number without cameras."""
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


def _background_colour(scene: GaussianSequence, inputs: VideoGrid) -> Float[Tensor, "3"]:
    left = rasterize(scene.at(float(inputs.seconds[0])), scene.cameras).alpha < COVERED
    pixels = inputs.frames[:, 0].movedim(1, -1)
    return (pixels[left] if bool(left.any()) else pixels.reshape(-1, 3)).mean(0)
