"""`worlds` and `worlds-recon`: this project's own tables, on procedural worlds that no training has seen.

Everything is made from seeds, so that anybody can measure the same figures without fetching anything.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial

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
from fourreal.eval.protocols.completion import completion_protocol
from fourreal.eval.protocols.novel_view import NEAREST, nearest_inputs, rendered
from fourreal.eval.protocols.pair_scores import PairScores
from fourreal.eval.protocols.protocol import WHOLE, Extent, Models, Protocol, SceneScore
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


def worlds(held_out: WorldConfig, models: Models, extent: Extent = WHOLE) -> Protocol:
    """Completing the grids of 64 held-out worlds from their first row and first column.

    Worlds have the seeds 900000 to 900063; even ones draw their camera arc from the lower half of the range, odd
    ones from the upper half, and both halves are reported by themselves too. Only cells that were not given count.

    Raises:
        InputError: there is no generator.
    """
    scenes, groups = _scenes(held_out, extent)
    size = held_out.image_size
    protocol = completion_protocol(
        "worlds",
        scenes,
        lambda scene: held_out_sample(held_out, scenes.index(scene)).grid,
        models,
        extent,
        metrics=("PSNR", "PSNR (moving)", "SSIM", "ST-LPIPS (alex)"),
        settings={**to_dict(held_out.shape), "first_seed": HELD_OUT_SEEDS, "moving_threshold": MOVING_THRESHOLD},
    )
    title = (
        f"Held-out worlds: {held_out.views} views x {held_out.frames} frames of {size[1]} x {size[0]}, first row and "
        "first column given"
    )
    return replace(protocol, title=title, groups=groups)


def worlds_recon(held_out: WorldConfig, models: Models, extent: Extent = WHOLE) -> Protocol:
    """Reconstructing held-out worlds from 4 of 8 views at 4 times, rendered from the 4 views in between.

    Target cameras are the true ones, aligned to the reconstruction by the similarity between the true and the
    reconstructed **input** cameras, so no target is used. The baseline is the nearest input view. Other metrics than
    those of the pictures: the median over pairs of input views of the error of their relative rotation, and the mean
    relative error of the depth rendered in the input views, after scaling by the ratio of medians, over pixels that
    have a true depth and that the scene covers by half.

    No similarity corrects a wrong focal length: the scene is then deeper or flatter than the true one, fits its own
    cameras, and appears too large or too small through the true ones. A second row therefore renders with cameras
    whose focal length is scaled to the reconstruction's, by the median ratio over the input views.

    Raises:
        InputError: there is no reconstruction model.
    """
    model = models.reconstruction("worlds-recon")
    refocused = f"{models.name}, focal length fitted"
    held_out = replace(held_out, views=len(INPUT_VIEWS) + len(TARGET_VIEWS), frames=RECON_FRAMES, fps=RECON_FPS)
    scenes, groups = _scenes(held_out, extent)
    pair_scores = PairScores(("PSNR", "SSIM", "ST-LPIPS (alex)"), extent)
    read_once = lru_cache(maxsize=1)(partial(held_out_sample, held_out))

    @lru_cache(maxsize=1)
    def reconstructed(number: int) -> GaussianSequence:
        inputs = read_once(number).grid.select(views=INPUT_VIEWS)
        return model.reconstruct(VideoGrid.complete(inputs.frames, inputs.seconds))

    def score(scene: str, method: str) -> SceneScore:
        sample = read_once(scenes.index(scene))
        inputs, targets = sample.grid.select(views=INPUT_VIEWS), sample.grid.select(views=TARGET_VIEWS)
        nothing = known_pattern("none", *targets.known.shape)
        assert inputs.cameras is not None
        assert targets.cameras is not None
        if method == NEAREST:
            return pair_scores.score(GridPair(scene, nearest_inputs(inputs, targets), targets, nothing))
        built = reconstructed(scenes.index(scene))
        cameras = model.aligned(targets.cameras, inputs.cameras, built.cameras)
        if method == refocused:
            cameras = magnified(cameras, focal_ratio(built.cameras, inputs.cameras))
        views, _, _ = rendered(built, cameras, inputs, targets.seconds)
        _, depth, alpha = rendered(built, built.cameras, inputs, inputs.seconds)
        extras = {
            ROTATION: median_rotation_error_deg(built.cameras, inputs.cameras),
            DEPTH: depth_abs_rel(depth, alpha, sample.depth[list(INPUT_VIEWS)]),
            FOCAL: 100 * abs(focal_ratio(built.cameras, inputs.cameras) - 1),
        }
        return pair_scores.score(GridPair(scene, views, targets, nothing), extras)

    size = held_out.image_size
    extra_metrics = (Metric(ROTATION, "lower", "degrees"), Metric(DEPTH, "lower"), Metric(FOCAL, "lower", "percent"))
    return Protocol(
        name="worlds-recon",
        title=f"Held-out worlds reconstructed from {len(INPUT_VIEWS)} views at {RECON_FRAMES} times of {size[1]} x "
        f"{size[0]}, seen from {len(TARGET_VIEWS)} unseen views between them",
        scenes=scenes,
        methods={models.name: models.identity, refocused: {"same as": models.name}, NEAREST: {}},
        baselines=(NEAREST,),
        metrics=(*pair_scores.metrics, *extra_metrics),
        score=score,
        settings={
            **to_dict(held_out.shape),
            "inputs": list(INPUT_VIEWS),
            "targets": list(TARGET_VIEWS),
            "first_seed": HELD_OUT_SEEDS,
        },
        absent=pair_scores.absent,
        groups=groups,
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
    """Mean of |predicted - true| / true after scaling to equal medians; NaN where no pixel has both depths."""
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
