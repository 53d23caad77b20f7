"""The reconstruction model as a task: cameras, depth, points, and renders of views it was not shown.

By the paper's way Gaussians stand where the predicted cameras see the predicted depth, and cameras of views that were
not shown come from a second pass, without gradient, so that the two passes cannot agree on a wrong answer. No truth is
needed for that. Where a sample has depth and cameras, its world becomes the first shown view's camera frame with unit
mean distance, as in the prediction; a recipe may then render by these true cameras, so that a camera that is still
wrong does not blur what the head learns. With a frozen backbone, which has a scale of its own, depth is then first
brought to the true one by the ratio of medians.

Source: 4Real-Video-V2, section 3.2 "Training", section 4.2 and appendix C; VGGT, section 3.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fourreal.core.cameras import Cameras, stack
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.linspace_indices import linspace_indices
from fourreal.core.rotations import rotation_angle_deg
from fourreal.data.capture_mixture import data_sets
from fourreal.data.training_grid import Mixture, TrainingGrid, from_world, stream
from fourreal.data.worlds import HELD_OUT_SEEDS, make_world, render_worlds
from fourreal.eval.image_metrics import psnr
from fourreal.perception.picture_distance import picture_distance
from fourreal.recon.losses import (
    PerceptualDistance,
    SceneTruth,
    camera_loss,
    depth_loss,
    normalised_truth,
    point_loss,
    pose_distance,
    render_loss,
)
from fourreal.recon.model import Prediction, ReconModel
from fourreal.recon.target_cameras import cameras_of_targets
from fourreal.recon.weights import NEW_PREFIXES, find_weights, load_vggt, save_model
from fourreal.splat.rasterize import rasterize
from fourreal.train.parallel import in_any_process
from fourreal.train.recipe import ReconRecipe, ReconStage
from fourreal.train.task import Losses, SheetWriter

SHOWN_WORLDS = 2
WHITE = 1.0
CONFIDENT_BELOW = 0.2
"""Mean error of depth, in the network's unit, below which its confidence counts."""


@dataclass(frozen=True)
class Passes:
    """What the network said about a batch.

    Attributes:
        frames: what it was shown.
        prediction: its answer to that.
        second: its answer to the first view shown and all views not shown, at the first time; without gradient.
        frozen: pose encodings of the frozen backbone at the first time.
    """

    frames: Float[Tensor, "B V T 3 H W"]
    prediction: Prediction
    second: Prediction | None = None
    frozen: Float[Tensor, "I B V 1 9"] | None = None


class ReconTask:
    """Trains a `ReconModel`.

    Raises:
        InputError: the base or the perceptual distance cannot be had.
    """

    def __init__(self, recipe: ReconRecipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.model = new_model(recipe)
        self.model.aggregator.checkpointing = recipe.loop.gradient_checkpointing
        self.perceptual: PerceptualDistance | None = None
        if any(stage.losses.perceptual for stage in recipe.stages):
            distance = picture_distance(recipe.distance)
            self.perceptual = distance.to(device).requires_grad_(False) if isinstance(distance, nn.Module) else distance

    # ---- called by the loop --------------------------------------------------------------------

    def blocks(self) -> list[nn.Module]:
        aggregator = self.model.aggregator
        return [*aggregator.frame_blocks, *aggregator.global_blocks, *aggregator.temporal_blocks]

    def trainable(self, stage: int) -> dict[str, nn.Parameter]:
        prefixes = self.recipe.stages[stage].trains
        return {name: p for name, p in self.model.named_parameters() if name.startswith(prefixes)}

    def stored(self) -> dict[str, nn.Parameter]:
        if not self.recipe.base:
            return dict(self.model.named_parameters())
        prefixes = tuple(prefix for stage in self.recipe.stages for prefix in stage.trains)
        return {name: p for name, p in self.model.named_parameters() if name.startswith(prefixes)}

    def mixture(self, stage: int) -> Mixture:
        config = replace(self.recipe.stages[stage].mixture, seed=self.recipe.loop.seed * 100 + stage)
        # Captures have no depth, so what learns from depth and cameras alone learns nothing from them.
        captures = self.recipe.captures if self.recipe.stages[stage].losses.render else ()
        return data_sets(config, self.recipe.shards, captures)

    def losses(self, samples: Sequence[TrainingGrid], stage: int, step: int, indices: Sequence[int]) -> Losses:
        chosen = self.recipe.stages[stage]
        shown = shown_views(samples[0].grid.num_views, chosen.input_views)
        passes = self._passes(torch.stack([sample.grid.frames for sample in samples]), samples, shown, chosen)
        weights = chosen.losses
        seed = self.recipe.loop.seed * 100 + stage
        drawn = [drawn_views(samples[0].grid.num_views, chosen.rendered_views, seed, step, index) for index in indices]
        with torch.autocast(self.device.type, enabled=False):
            each = [self._sample_losses(sample, passes, n, chosen, drawn[n]) for n, sample in enumerate(samples)]
        zero = 0 * passes.prediction.depth.sum()
        # A loss that a sample has no truth for is 0, so that every sample counts alike in every batch.
        means = {
            name: torch.stack([losses.get(name, zero) for losses in each]).mean()
            for name in dict.fromkeys(name for losses in each for name in losses)
        }
        total = sum(getattr(weights, name.removeprefix("loss_")) * value for name, value in means.items())
        assert isinstance(total, Tensor)
        return {"loss": total, **means}

    @torch.no_grad()
    def show(self, stage: int, folder: Path | None, write_sheet: SheetWriter | None) -> Mapping[str, float]:
        chosen = self.recipe.stages[stage]
        config = chosen.mixture.worlds
        figures: dict[str, list[Tensor]] = {}
        for number in range(SHOWN_WORLDS):
            made = render_worlds([make_world(config, HELD_OUT_SEEDS + number)], self.device)[0]
            sample = from_world("objects", made)
            shown = shown_views(sample.grid.num_views, chosen.input_views)
            passes = self._passes(sample.grid.frames[None], [sample], shown, _only_rendering(chosen))
            prediction = passes.prediction
            found = _figures(prediction, truth_of(sample, shown, self.device)[0])
            if prediction.gaussians is not None:
                everything = range(sample.grid.num_views)
                rendered, true = self._rendered(sample, passes, 0, rescale=True, views=everything)
                hidden = [view for view in range(sample.grid.num_views) if view not in shown]
                if hidden:
                    pair = (part[hidden].flatten(0, 1).clamp(0, 1) for part in (rendered, true))
                    found["psnr_unseen_views"] = psnr(*pair).mean()
                if folder is not None and write_sheet is not None:
                    _write_sheets(folder, number, sample.grid, rendered, write_sheet)
            for name, value in found.items():
                figures.setdefault(name, []).append(value.cpu())
        return {name: float(torch.stack(values).mean()) for name, values in figures.items()}

    def export(self, stage: int, out: Path, steps: int, weights: Mapping[str, Tensor]) -> None:
        """A model folder that `fourreal reconstruct --model` takes."""
        with torch.device("meta"):
            model = ReconModel(self.model.config)
        model.load_state_dict(dict(weights), assign=True)
        save_model(out / "model", model, steps, overwrite=True)

    # ---- a batch -------------------------------------------------------------------------------

    def _passes(
        self,
        frames: Float[Tensor, "B V T 3 H W"],
        samples: Sequence[TrainingGrid],
        shown: Sequence[int],
        stage: ReconStage,
    ) -> Passes:
        """Every pass through the network that a batch needs; all processes make the same ones."""
        frames, weights = frames.to(self.device), stage.losses
        hidden = [view for view in range(frames.shape[1]) if view not in shown]
        no_truth = in_any_process(not all(map(has_truth, samples)), self.device)
        second, frozen = None, None
        # Before the pass with gradients, whose shards must not be gathered again in between.
        with torch.no_grad():
            if weights.render and hidden and (no_truth or self.recipe.cameras == "predicted"):
                second = self.model(frames[:, [shown[0], *hidden], :1], with_points=False, with_gaussians=False)
            if weights.camera and no_truth and self._backbone_is_frozen():
                first = frames[:, list(shown), :1]
                alone = self.model(first, with_points=False, with_gaussians=False, with_temporal=False)
                frozen = alone.poses
        frames = frames[:, list(shown)]
        prediction = self.model(frames, with_points=weights.points > 0, with_gaussians=weights.render > 0)
        return Passes(frames, prediction, second, frozen)

    def _backbone_is_frozen(self) -> bool:
        """Whether no stage trains more than what was added to the backbone."""
        return all(prefix.startswith(NEW_PREFIXES) for stage in self.recipe.stages for prefix in stage.trains)

    # ---- a sample ------------------------------------------------------------------------------

    def _sample_losses(
        self, sample: TrainingGrid, passes: Passes, n: int, stage: ReconStage, drawn: Sequence[int]
    ) -> Losses:
        weights, prediction = stage.losses, passes.prediction
        losses: Losses = {}
        if has_truth(sample):
            losses = self._geometry_losses(sample, prediction, n, stage)
        elif weights.camera and passes.frozen is not None:
            losses["loss_camera"] = pose_distance(
                prediction.poses[:, n], passes.frozen[:, n].expand_as(prediction.poses[:, n])
            )
        if weights.render:
            rendered, true = self._rendered(sample, passes, n, rescale="" not in stage.trains, views=drawn)
            perceptual = self.perceptual if weights.perceptual else None
            losses["loss_render"] = render_loss(rendered, true, perceptual, weights.perceptual).total
        return losses

    def _geometry_losses(self, sample: TrainingGrid, prediction: Prediction, n: int, stage: ReconStage) -> Losses:
        """Distances to the sample's own depth and cameras."""
        weights = stage.losses
        losses: Losses = {}
        truth, _ = truth_of(sample, shown_views(sample.grid.num_views, stage.input_views), self.device)
        if weights.camera:
            losses["loss_camera"] = camera_loss(prediction.poses[:, n], truth.cameras)
        if weights.depth:
            confidence = _believable(prediction.depth_confidence[n], prediction.depth[n], truth)
            losses["loss_depth"] = depth_loss(prediction.depth[n], confidence, truth.depth, truth.valid)
        if weights.points and prediction.points is not None and prediction.points_confidence is not None:
            losses["loss_points"] = point_loss(
                prediction.points[n], prediction.points_confidence[n], truth.points, truth.valid
            )
        return losses

    def _rendered(
        self, sample: TrainingGrid, passes: Passes, n: int, *, rescale: bool, views: Sequence[int]
    ) -> tuple[Float[Tensor, "V2 T 3 H W"], Float[Tensor, "V2 T 3 H W"]]:
        """Views of a sample, rendered from the prediction for the shown ones; and the true ones.

        Args:
            rescale: bring predicted depth to the true scale, where Gaussians stand by true cameras.
        """
        times, frames, prediction = sample.grid.num_times, passes.frames, passes.prediction
        shown = shown_views(sample.grid.num_views, frames.shape[1])
        if self.recipe.cameras == "true" and has_truth(sample):
            truth, cameras = truth_of(sample, shown, self.device)
            inputs = truth.cameras
            if rescale:
                valid = truth.valid
                ratio = truth.depth[valid].median() / prediction.depth[n].detach()[valid].median()
                depth = prediction.depth.clone()
                depth[n] = prediction.depth[n] * ratio
                prediction = replace(prediction, depth=depth)
        else:
            inputs, cameras = _predicted_cameras(passes, n, shown, sample.grid.num_views)
        true = sample.grid.frames.to(self.device)
        # What no Gaussian covers is sky or white; its mean colour stands behind them.
        sky = ~torch.isfinite(sample.depth.to(self.device)) if sample.depth is not None else None
        behind = _mean_colour(true, sky)
        cameras, true = cameras[list(views)], true[list(views)]
        pictures = [
            rasterize(prediction.gaussians_at(frames, n, time, inputs[:, time]), cameras, background=behind).color
            for time in range(times)
        ]
        return torch.stack(pictures, 1), true


def shown_views(views: int, wanted: int) -> list[int]:
    """The views the network is shown: evenly spread, first and last among them."""
    return linspace_indices(views, wanted)


def drawn_views(views: int, wanted: int, seed: int, step: int, index: int) -> list[int]:
    """Which views of a sample are rendered: all, or so many of them by the sample's own numbers."""
    if not 0 < wanted < views:
        return list(range(views))
    return sorted(stream(seed, step, index, "rendered views").permutation(views)[:wanted].tolist())


def has_truth(sample: TrainingGrid) -> bool:
    """Whether cameras and depth are known, which together give a sample its unit."""
    depth = sample.depth
    return sample.grid.cameras is not None and depth is not None and bool((torch.isfinite(depth) & (depth > 0)).any())


def _predicted_cameras(passes: Passes, n: int, shown: Sequence[int], views: int) -> tuple[Cameras, Cameras]:
    """The shown views' cameras, batch `[V, T]`, and all views' at the first time, in the first shown view's frame."""
    rig = passes.prediction.cameras[n]
    rig = rig.moved(rig.world_to_cam[0, 0])
    found = {view: rig[place, 0] for place, view in enumerate(shown)}
    if passes.second is not None:
        targets = cameras_of_targets(passes.second, n, passes.prediction.depth[n, 0, 0].detach())
        hidden = [view for view in range(views) if view not in found]
        found |= {view: targets[place] for place, view in enumerate(hidden)}
    return rig, stack([found[view] for view in range(views)])


def _only_rendering(stage: ReconStage) -> ReconStage:
    return replace(stage, losses=replace(stage.losses, camera=0.0, points=0.0, render=1.0))


def truth_of(sample: TrainingGrid, shown: Sequence[int], device: torch.device) -> tuple[SceneTruth, Cameras]:
    """The truth of the shown views in the network's frame and unit, and the cameras of all views in it."""
    assert sample.depth is not None, "only samples with depth have a unit"
    cameras, views = sample.cameras.to(device), list(shown)
    truth = normalised_truth(cameras[views], sample.depth[views].to(device))
    return truth, cameras.moved(cameras.world_to_cam[views[0]], truth.scale)


def _believable(
    confidence: Float[Tensor, "V T H W"], depth: Float[Tensor, "V T H W"], truth: SceneTruth
) -> Float[Tensor, "V T H W"]:
    """The network's confidence, once it has a reason for any: see `depth_loss`."""
    error = (depth.detach() - truth.depth)[truth.valid].abs().mean()
    return confidence if bool(error < CONFIDENT_BELOW) else torch.ones_like(confidence)


def _mean_colour(frames: Float[Tensor, "V T 3 H W"], sky: Tensor | None) -> Float[Tensor, "3"]:
    if sky is None or not bool(sky.any()):
        return frames.new_full((3,), WHITE)
    return frames.movedim(2, -1)[sky].mean(0)


def _figures(prediction: Prediction, truth: SceneTruth) -> dict[str, Tensor]:
    """Median relative rotation error in degrees over pairs of views, and AbsRel of depth after the median ratio."""
    predicted = prediction.cameras.world_to_cam[0, :, 0, :3, :3]
    true = truth.cameras.world_to_cam[:, 0, :3, :3]
    first, second = torch.triu_indices(len(predicted), len(predicted), 1)
    errors = rotation_angle_deg(predicted[second] @ predicted[first].mT, true[second] @ true[first].mT)
    depth, valid = prediction.depth[0], truth.valid
    ratio = truth.depth[valid].median() / depth[valid].median()
    relative = ((depth * ratio - truth.depth).abs() / truth.depth)[valid].mean()
    return {"rotation_error_deg": errors.median(), "depth_abs_rel": relative}


def _write_sheets(
    folder: Path, number: int, true: VideoGrid, rendered: Float[Tensor, "V T 3 H W"], write_sheet: SheetWriter
) -> None:
    grid = VideoGrid.complete(rendered.clamp(0, 1).cpu(), true.seconds.cpu())
    write_sheet(folder / f"world-{number}-rendered.png", grid)
    write_sheet(folder / f"world-{number}-true.png", true.to("cpu"))


def new_model(recipe: ReconRecipe) -> ReconModel:
    """The network a recipe starts from: the released backbone, or random weights by the recipe's seed."""
    if not recipe.base:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.loop.seed)
            return ReconModel(recipe.model)
    try:
        weights = find_weights(recipe.base)
    except InputError as error:
        raise InputError(f"'{recipe.name}' starts from the released VGGT-1B: {error} (--base FILE)") from error
    return load_vggt(weights, temporal=recipe.model.temporal, gaussian_head=True, seed=recipe.loop.seed).model
