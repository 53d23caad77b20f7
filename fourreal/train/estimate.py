"""What a video recipe costs on some GPUs, from the same counts as `fourreal plan`; nothing is measured.

A step's operations, in forward passes: one forward, one more when activations are computed again, one for the
gradients of activations, and one for the gradients of weights in the share of them that trains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fourreal.train.recipe import VideoRecipe, VideoStage
from fourreal.video.arrangements import trains
from fourreal.video.hardware import DeviceSpec
from fourreal.video.model_shape import ModelShape, named_shape
from fourreal.video.plan import plan_generation
from fourreal.video.transformer import ViewTimeTransformer

BLOCK_BYTES = 60
"""What a block keeps for its backward pass, per token and channel, with two-byte activations (measured)."""


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """A stage on some GPUs.

    Attributes:
        peak_gb: of one GPU, with everything but the text encoder sharded.
        hours: all GPUs busy at the share of their peak that `plan` assumes.
    """

    stage: str
    tokens: int
    petaflops_per_step: float
    peak_gb: float
    hours: float


def estimate_training(recipe: VideoRecipe, model: str, gpus: int, device: DeviceSpec) -> list[StageCost]:
    """The cost of every stage.

    Args:
        model: name of the shape to count, as for `fourreal plan`.

    Raises:
        InputError: no shape of that name.
    """
    shape = named_shape(model)
    share = _trained_share(model)
    return [_stage_cost(recipe, stage, shape, share, gpus, device) for stage in recipe.stages]


def _stage_cost(
    recipe: VideoRecipe, stage: VideoStage, shape: ModelShape, share: float, gpus: int, device: DeviceSpec
) -> StageCost:
    share = 1.0 if stage.trains == "all" else share
    views = 1 if stage.data == "videos" else stage.mixture.worlds.views
    plan = plan_generation(shape, replace(stage.mixture.worlds.shape, views=views), device)
    again = recipe.loop.gradient_checkpointing
    flops = plan.pass_flops * (2 + again + share) * stage.batch
    values = 4 + share * (4 + 8 + (4 if recipe.loop.ema else 0))  # weights, gradients, two moments, average
    micro = min(recipe.loop.micro_batch, max(1, stage.batch // gpus))
    kept = 4 * shape.layers + BLOCK_BYTES if again else BLOCK_BYTES * shape.layers
    peak = shape.parameters * values / gpus + micro * plan.tokens * shape.width * kept
    peak += 2 * shape.text_parameters + 4 * shape.codec.parameters
    seconds = stage.steps * flops / (gpus * device.tflops * 1e12 * device.share)
    return StageCost(
        stage=stage.name, tokens=plan.tokens, petaflops_per_step=flops / 1e15, peak_gb=peak / 1e9, hours=seconds / 3600
    )


def _trained_share(model: str) -> float:
    from accelerate import init_empty_weights

    from fourreal.video.presets import PRESETS

    name = model.replace("wan2.1-", "wan-")
    with init_empty_weights():
        transformer = ViewTimeTransformer(**PRESETS[name]())
    sizes = {key: parameter.numel() for key, parameter in transformer.named_parameters()}
    return sum(size for key, size in sizes.items() if trains("fused", key)) / sum(sizes.values())
