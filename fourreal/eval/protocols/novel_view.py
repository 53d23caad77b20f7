"""Novel views: tables in which a scene is reconstructed from some views and rendered from others.

Three methods: the reconstruction rendered with target cameras that the model predicts from the target frames, as in
the paper; the same with the true target cameras, aligned by the input cameras alone, for data with cameras; and the
input view that is nearest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.gaussians import GaussianSequence
from fourreal.core.grid import VideoGrid, known_pattern
from fourreal.eval.baselines import copy_view
from fourreal.eval.grid_pair import GridPair
from fourreal.eval.protocols.pair_scores import PairScores
from fourreal.eval.protocols.protocol import Extent, Models, Protocol, SceneScore
from fourreal.splat.rasterize import rasterize

NEAREST = "nearest input view"
METRICS = ("PSNR", "LPIPS (AlexNet)", "SSIM", "ST-LPIPS (alex)")
COVERED = 0.5


def novel_view_protocol(
    name: str,
    scenes: Sequence[str],
    read: Callable[[str], VideoGrid],
    models: Models,
    extent: Extent,
    *,
    inputs: int,
    generated: bool = False,
    has_cameras: bool = True,
    settings: Mapping[str, Any],
) -> Protocol:
    """Reconstruction from the first views, rendered from the others; without a title and the paper's figures.

    Args:
        read: a scene's name to a complete grid with cameras.
        inputs: its first so many views are the inputs, the others the targets.
        has_cameras: whether the grids do; without, there are predicted target cameras only.
        generated: only the first row and column of the inputs are given; a generator fills in the other cells.

    Raises:
        InputError: a model that the table needs is missing.
    """
    model = models.reconstruction(name)
    complete = models.generator(name) if generated else None
    scores = PairScores(METRICS, extent)
    aligned, from_truth = f"{models.name}, true target cameras", f"{models.name}, from the true grid"

    @lru_cache(maxsize=1)
    def split(scene: str) -> tuple[VideoGrid, VideoGrid]:
        grid = read(scene)
        return grid.select(views=range(inputs)), grid.select(views=range(inputs, grid.num_views))

    def given(scene: str) -> VideoGrid:
        truth, _ = split(scene)
        return truth.with_known(known_pattern("cross", *truth.known.shape)) if generated else truth

    @lru_cache(maxsize=1)
    def reconstructed(scene: str) -> tuple[VideoGrid, GaussianSequence]:
        """The complete inputs and the scene, shared by the methods that render it."""
        whole = given(scene) if complete is None else complete(given(scene))
        return whole, model.reconstruct(VideoGrid.complete(whole.frames, whole.seconds))

    def answer(scene: str, method: str) -> VideoGrid:
        truth, targets = split(scene)
        if method == NEAREST:
            return nearest_inputs(copy_view(given(scene)) if generated else truth, targets)
        if method == from_truth:
            whole, built = truth, model.reconstruct(VideoGrid.complete(truth.frames, truth.seconds))
        else:
            whole, built = reconstructed(scene)
        if method == aligned:
            assert targets.cameras is not None
            assert truth.cameras is not None
            cameras = model.aligned(targets.cameras, truth.cameras, built.cameras)
        else:
            cameras = model.target_cameras(whole.frames[:, 0], targets.frames[:, 0])
        return rendered(built, cameras, whole, targets.seconds)[0]

    def score(scene: str, method: str) -> SceneScore:
        _, targets = split(scene)
        nothing = known_pattern("none", *targets.known.shape)
        return scores.score(GridPair(scene, answer(scene, method), targets, nothing))

    own = (models.name, *((aligned,) if has_cameras else ()), *((from_truth,) if generated else ()))
    return Protocol(
        name=name,
        title=name,
        scenes=tuple(scenes),
        methods={**dict.fromkeys(own, models.identity), NEAREST: {}},
        baselines=(NEAREST,),
        metrics=scores.metrics,
        score=score,
        settings=settings,
        absent=scores.absent,
    )


@torch.no_grad()
def rendered(
    scene: GaussianSequence, cameras: Cameras, inputs: VideoGrid, seconds: Float[Tensor, "T"]
) -> tuple[VideoGrid, Float[Tensor, "V T H W"], Float[Tensor, "V T H W"]]:
    """The scene from some cameras at some times.

    The background is the mean colour of the input pixels that the reconstruction leaves uncovered in its own input
    views, of all input pixels where it leaves none. No target is used.

    Returns:
        A complete grid, clipped to [0, 1]; the expected z-depth, in the scene's unit; alpha.
    """
    background = _background_colour(scene, inputs)
    renders = [rasterize(scene.at(float(second)), cameras, background=background) for second in seconds]
    color, depth, alpha = (torch.stack([getattr(r, name) for r in renders], 1) for name in ("color", "depth", "alpha"))
    return VideoGrid.complete(color.clamp(0, 1), seconds.cpu()), depth, alpha


def nearest_inputs(inputs: VideoGrid, targets: VideoGrid) -> VideoGrid:
    """For every target view the input view whose camera is nearest; by row number without cameras."""
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
    uncovered = rasterize(scene.at(float(inputs.seconds[0])), scene.cameras).alpha < COVERED
    pixels = inputs.frames[:, 0].movedim(1, -1)
    return (pixels[uncovered] if bool(uncovered.any()) else pixels.reshape(-1, 3)).mean(0)
