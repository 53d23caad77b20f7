"""The reconstruction model as a task: cameras, depth, points, and renders of views it was not shown.

A sample's world becomes the first shown view's camera frame with unit mean distance, as in the prediction. Its
Gaussians stand where the true cameras see the predicted depth, so that a camera that is still wrong does not blur
what the head learns; with a frozen backbone, which has a scale of its own, depth is first brought to the true
one by the ratio of medians.

Source: 4Real-Video-V2, section 3.2 "Training" and appendix C; VGGT, section 3.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.linspace_indices import linspace_indices
from fourreal.core.rotations import rotation_angle_deg
from fourreal.data.mixture import GridMixture
from fourreal.data.shards import ShardMixture
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
    render_loss,
)
from fourreal.recon.model import Prediction, ReconModel
from fourreal.recon.weights import load_vggt, save_model
from fourreal.splat.rasterize import rasterize
from fourreal.train.recipe import ReconRecipe, ReconStage
from fourreal.train.task import Losses, SheetWriter

SHOWN_WORLDS = 2
WHITE = 1.0
CONFIDENT_BELOW = 0.2
"""Mean error of depth, in the network's unit, below which its confidence counts."""


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
            distance = picture_distance("st-lpips")
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
        return ShardMixture(Path(self.recipe.shards), config) if self.recipe.shards else GridMixture(config)

    def losses(self, samples: Sequence[TrainingGrid], stage: int, step: int, indices: Sequence[int]) -> Losses:
        chosen = self.recipe.stages[stage]
        shown = shown_views(samples[0].grid.num_views, chosen.input_views)
        frames = torch.stack([sample.grid.frames[shown] for sample in samples]).to(self.device)
        weights = chosen.losses
        prediction: Prediction = self.model(frames, with_points=weights.points > 0, with_gaussians=weights.render > 0)
        seed = self.recipe.loop.seed * 100 + stage
        drawn = [drawn_views(samples[0].grid.num_views, chosen.rendered_views, seed, step, index) for index in indices]
        with torch.autocast(self.device.type, enabled=False):
            each = [
                self._sample_losses(sample, frames, prediction, n, chosen, drawn[n]) for n, sample in enumerate(samples)
            ]
        means = {name: torch.stack([losses[name] for losses in each]).mean() for name in each[0]}
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
            frames = sample.grid.frames[None, shown].to(self.device)
            prediction: Prediction = self.model(frames, with_points=False)
            found = _figures(prediction, truth_of(sample, shown, self.device)[0])
            if prediction.gaussians is not None:
                everything = range(sample.grid.num_views)
                rendered, true = self._rendered(sample, frames, prediction, 0, rescale=True, views=everything)
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

    # ---- a sample ------------------------------------------------------------------------------

    def _sample_losses(
        self,
        sample: TrainingGrid,
        frames: Float[Tensor, "B V T 3 H W"],
        prediction: Prediction,
        n: int,
        stage: ReconStage,
        drawn: Sequence[int],
    ) -> Losses:
        weights = stage.losses
        truth, _ = truth_of(sample, shown_views(sample.grid.num_views, stage.input_views), self.device)
        losses: Losses = {}
        if weights.camera:
            losses["loss_camera"] = camera_loss(prediction.poses[:, n], truth.cameras)
        if weights.depth:
            confidence = _believable(prediction.depth_confidence[n], prediction.depth[n], truth)
            losses["loss_depth"] = depth_loss(prediction.depth[n], confidence, truth.depth, truth.valid)
        if weights.points and prediction.points is not None and prediction.points_confidence is not None:
            losses["loss_points"] = point_loss(
                prediction.points[n], prediction.points_confidence[n], truth.points, truth.valid
            )
        if weights.render:
            rendered, true = self._rendered(sample, frames, prediction, n, rescale="" not in stage.trains, views=drawn)
            perceptual = self.perceptual if weights.perceptual else None
            losses["loss_render"] = render_loss(rendered, true, perceptual, weights.perceptual).total
        return losses

    def _rendered(
        self,
        sample: TrainingGrid,
        frames: Float[Tensor, "B V T 3 H W"],
        prediction: Prediction,
        n: int,
        *,
        rescale: bool,
        views: Sequence[int],
    ) -> tuple[Float[Tensor, "V2 T 3 H W"], Float[Tensor, "V2 T 3 H W"]]:
        """Views of a sample, rendered from the prediction for the shown ones; and the true ones."""
        times = sample.grid.num_times
        truth, cameras = truth_of(sample, shown_views(sample.grid.num_views, frames.shape[1]), self.device)
        if rescale:
            valid = truth.valid
            ratio = truth.depth[valid].median() / prediction.depth[n].detach()[valid].median()
            depth = prediction.depth.clone()
            depth[n] = prediction.depth[n] * ratio
            prediction = replace(prediction, depth=depth)
        true = sample.grid.frames.to(self.device)
        # What no Gaussian covers is sky or white; its mean colour stands behind them.
        sky = ~torch.isfinite(sample.depth.to(self.device)) if sample.depth is not None else None
        behind = _mean_colour(true, sky)
        cameras, true = cameras[list(views)], true[list(views)]
        pictures = [
            rasterize(
                prediction.gaussians_at(frames, n, time, truth.cameras[:, time]), cameras, background=behind
            ).color
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


def truth_of(sample: TrainingGrid, shown: Sequence[int], device: torch.device) -> tuple[SceneTruth, Cameras]:
    """The truth of the shown views in the network's frame and unit, and the cameras of all views in it."""
    assert sample.depth is not None, "reconstruction learns from samples with depth"
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
    if not Path(recipe.base).is_file():
        raise InputError(
            f"the recipe '{recipe.name}' starts from the released VGGT-1B and there is no file '{recipe.base}'; read "
            "its licence, fetch it, and give its model.safetensors: --base FILE"
        )
    return load_vggt(recipe.base, temporal=recipe.model.temporal, gaussian_head=True, seed=recipe.loop.seed).model
