"""`worlds` and `worlds-recon`: this project's own tables, on procedural worlds that no training has seen.

Everything is made from seeds, so that anybody can measure the same figures without fetching anything.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.configs import to_dict
from fourreal.core.gaussians import GaussianSequence
from fourreal.core.grid import VideoGrid, known_pattern
from fourreal.core.rotations import rotation_angle_deg
from fourreal.data.sample import GridSample
from fourreal.data.worlds import HELD_OUT_SEEDS, WorldConfig, make_world, render_world
from fourreal.eval.grid_pair import GridPair
from fourreal.eval.image_metrics import MOVING_THRESHOLD
from fourreal.eval.protocols.completion import completion, pair_metrics
from fourreal.eval.protocols.novel_views import NEAREST, nearest_inputs, rendered
from fourreal.eval.protocols.pair_scores import PairScores
from fourreal.eval.protocols.protocol import WHOLE, Extent, Models, Protocol, SceneScore, Table
from fourreal.eval.scores import Metric

SCENES = 64
INPUT_VIEWS, TARGET_VIEWS = (0, 2, 5, 7), (1, 3, 4, 6)
RECON_FRAMES, RECON_FPS = 4, 4.0
ROTATION, DEPTH, FOCAL = "rotation error", "depth AbsRel", "focal length error"


def held_out_sample(worlds: WorldConfig, scene: int) -> GridSample:
    """World number `scene` of the held-out ones: even ones draw their arc from the lower half of the range, odd ones
    from the upper half."""
    (low, high), middle = worlds.arc_deg, middle_arc_deg(worlds)
    arc = (low, middle) if scene % 2 == 0 else (middle, high)
    return render_world(make_world(replace(worlds, arc_deg=arc), HELD_OUT_SEEDS + scene))


def middle_arc_deg(worlds: WorldConfig) -> float:
    return sum(worlds.arc_deg) / 2


def worlds(models: Models, held_out: WorldConfig, extent: Extent = WHOLE) -> Protocol:
    """Completing the grids of 64 held-out worlds from their first row and first column.

    Worlds have the seeds 900000 to 900063; even ones draw their camera arc from the lower half of the range, odd
    ones from the upper half, and both halves are reported by themselves too. Only cells that were not given count.

    Raises:
        InputError: there is no generator.
    """
    scenes, groups = _scenes(held_out, extent)
    size = held_out.image_size
    table = Table(
        name="worlds",
        title=f"Held-out worlds: {held_out.views} views x {held_out.frames} frames of {size[1]} x {size[0]}, first row "
        "and first column given",
        scenes=scenes,
        settings={
            **to_dict(held_out.shape),
            "first_seed": HELD_OUT_SEEDS,
            "moving_threshold": MOVING_THRESHOLD,
        },
        groups=groups,
    )

    def read(scene: str) -> VideoGrid:
        return held_out_sample(held_out, scenes.index(scene)).grid

    metrics = ("PSNR", "PSNR (moving)", "SSIM", "ST-LPIPS (alex)")
    return completion(table, models, extent, read=read, given="cross", metrics=metrics)


def worlds_recon(models: Models, held_out: WorldConfig, extent: Extent = WHOLE) -> Protocol:
    """Reconstructing held-out worlds from 4 of 8 views at 4 times, rendered from the 4 views in between.

    Target cameras are the true ones, aligned with the reconstruction by the similarity between the true and the
    reconstructed **input** cameras, so no target is used. The baseline is the nearest input view. Also reported: the
    median over pairs of input views of the error of their relative rotation, and the mean relative error of the depth
    rendered in the input views, after scaling by the ratio of medians, over pixels that have a true depth and whose
    rendered opacity is above one half.

    A similarity cannot correct a wrong focal length: the scene is then deeper or flatter than the true one, agrees
    with its own cameras, and appears too large or too small in the true ones. So a second row renders with cameras
    whose focal length is also scaled to the reconstruction's, by the median ratio over the input views.

    Raises:
        InputError: there is no reconstruction model.
    """
    model = models.reconstruction("worlds-recon")
    refocused = f"{models.name}, focal length fitted"
    held_out = replace(held_out, views=len(INPUT_VIEWS) + len(TARGET_VIEWS), frames=RECON_FRAMES, fps=RECON_FPS)
    scenes, groups = _scenes(held_out, extent)
    scores = PairScores(pair_metrics(("PSNR", "SSIM", "ST-LPIPS (alex)"), extent))
    cached = lru_cache(maxsize=1)(partial(held_out_sample, held_out))

    @lru_cache(maxsize=1)
    def reconstruction_of(number: int) -> GaussianSequence:
        inputs = cached(number).grid.select(views=INPUT_VIEWS)
        return model.reconstruct(VideoGrid.complete(inputs.frames, inputs.seconds))

    def score(scene: str, method: str) -> SceneScore:
        sample = cached(scenes.index(scene))
        inputs, targets = sample.grid.select(views=INPUT_VIEWS), sample.grid.select(views=TARGET_VIEWS)
        none = known_pattern("none", *targets.known.shape)
        assert inputs.cameras is not None
        assert targets.cameras is not None
        if method == NEAREST:
            return scores.score(
                GridPair(scene=scene, generated=nearest_inputs(inputs, targets), truth=targets, given=none)
            )
        predicted = reconstruction_of(scenes.index(scene))
        cameras = model.aligned(targets.cameras, inputs.cameras, predicted.cameras)
        if method == refocused:
            cameras = magnified(cameras, focal_ratio(predicted.cameras, inputs.cameras))
        views, _, _ = rendered(predicted, cameras, inputs, targets.seconds)
        _, depth, alpha = rendered(predicted, predicted.cameras, inputs, inputs.seconds)
        extras = {
            ROTATION: median_rotation_error_deg(predicted.cameras, inputs.cameras),
            DEPTH: depth_abs_rel(depth, alpha, sample.depth[list(INPUT_VIEWS)]),
            FOCAL: 100 * abs(focal_ratio(predicted.cameras, inputs.cameras) - 1),
        }
        return scores.score(GridPair(scene=scene, generated=views, truth=targets, given=none), extras)

    size = held_out.image_size
    settings: dict[str, Any] = {**to_dict(held_out.shape), "inputs": list(INPUT_VIEWS), "targets": list(TARGET_VIEWS)}
    table = Table(
        name="worlds-recon",
        title=f"Held-out worlds reconstructed from {len(INPUT_VIEWS)} views at {RECON_FRAMES} times of {size[1]} x "
        f"{size[0]}, rendered from {len(TARGET_VIEWS)} other views between them",
        scenes=scenes,
        settings={**settings, "first_seed": HELD_OUT_SEEDS},
        groups=groups,
    )
    return Protocol(
        table=table,
        methods={models.name: models.identity, refocused: {"same as": models.name}, NEAREST: {}},
        baselines=(NEAREST,),
        metrics=(
            *scores.metrics,
            Metric(ROTATION, "lower", unit="degrees"),
            Metric(DEPTH, "lower"),
            Metric(FOCAL, "lower", unit="percent"),
        ),
        score=score,
        absent=scores.absent,
    )


def focal_ratio(predicted: Cameras, true: Cameras) -> float:
    """Median over the views of the predicted focal length over the true one."""
    return float((predicted.intrinsics[:, 0, 0] / true.intrinsics[:, 0, 0]).median())


def magnified(cameras: Cameras, by: float) -> Cameras:
    """The same cameras with all focal lengths times `by`."""
    intrinsics = cameras.intrinsics.clone()
    intrinsics[..., :2, :2] *= by
    return replace(cameras, intrinsics=intrinsics)


def median_rotation_error_deg(predicted: Cameras, true: Cameras) -> float:
    """Median over pairs of views of the angle between the predicted and the true relative rotation, degrees."""
    rotations, truth = predicted.world_to_cam[:, :3, :3], true.world_to_cam[:, :3, :3]
    first, second = torch.triu_indices(len(rotations), len(rotations), 1)
    errors = rotation_angle_deg(rotations[second] @ rotations[first].mT, truth[second] @ truth[first].mT)
    return float(errors.median())


def depth_abs_rel(
    predicted: Float[Tensor, "V T H W"], alpha: Float[Tensor, "V T H W"], true: Float[Tensor, "V T H W"]
) -> float:
    """Mean of |predicted - true| / true after bringing the medians together; NaN where no pixel has both depths."""
    valid = torch.isfinite(true) & (true > 0) & (alpha > 0.5) & (predicted > 0)
    if not bool(valid.any()):
        return float("nan")
    ratio = true[valid].median() / predicted[valid].median()
    return float(((predicted[valid] * ratio - true[valid]).abs() / true[valid]).mean())


def _scenes(held_out: WorldConfig, extent: Extent) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Names of the worlds, and those of the narrow and the wide half."""
    scenes = extent.first([f"world-{HELD_OUT_SEEDS + number}" for number in range(SCENES)])
    low, high = held_out.arc_deg
    halves = {
        f"narrow arcs, {low:g} to {middle_arc_deg(held_out):g} degrees": scenes[::2],
        f"wide arcs, {middle_arc_deg(held_out):g} to {high:g} degrees": scenes[1::2],
    }
    return scenes, {name: half for name, half in halves.items() if half}
