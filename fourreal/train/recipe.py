"""What a recipe is made of: how the loop runs, how parameters move, and the stages of each kind of model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from fourreal.core.errors import InputError
from fourreal.data.mixture import MixtureConfig
from fourreal.perception.picture_distance import PictureDistanceName
from fourreal.recon.config import ReconConfig
from fourreal.video.trainable import What


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """How parameters move.

    Attributes:
        kind: muon: orthogonalised momentum for the matrices of the blocks, AdamW for all else. adamw: for all.
        convolutions: with muon, also for the blocks' convolutions, each a matrix with a row for every output.
        lr: learning rate of AdamW.
        muon_lr: learning rate of Muon; its unit is the spectral norm of a step.
        clip: largest norm of the whole gradient.
        warmup: steps over which the learning rate rises from 0.
        decay: share of the stage, at its end, over which the learning rate falls to a hundredth.
    """

    kind: Literal["muon", "adamw"] = "adamw"
    lr: float = 1e-4
    muon_lr: float = 0.02
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.95)
    momentum: float = 0.95
    clip: float = 1.0
    warmup: int = 100
    decay: float = 0.0
    convolutions: bool = False


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How the loop runs, whatever it trains.

    Attributes:
        seed: of the data and of every random number.
        micro_batch: samples a process takes at once; a stage's batch is gathered from such.
        precision: of the network's arithmetic; parameters and sums are float32.
        gradient_checkpointing: compute activations again on the way back instead of keeping them.
        ema: decay of the average of the weights that is shown and exported; 0 keeps none.
        checkpoint_every, sample_every, plot_every, log_every: in steps.
        keep_last: checkpoints to keep.
        piece_mb: largest file of a checkpoint, where one tensor is not larger.
    """

    seed: int = 0
    micro_batch: int = 8
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    gradient_checkpointing: bool = False
    ema: float = 0.999
    checkpoint_every: int = 500
    sample_every: int = 500
    plot_every: int = 100
    log_every: int = 10
    keep_last: int = 2
    piece_mb: int = 1024

    def __post_init__(self) -> None:
        for name in ("micro_batch", "checkpoint_every", "sample_every", "plot_every", "log_every", "keep_last"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1; got {getattr(self, name)}")
        if not 0 <= self.ema < 1:
            raise InputError(f"ema must lie in [0, 1); got {self.ema}")


@dataclass(frozen=True, kw_only=True)
class VideoStage:
    """A part of a video model's training.

    Attributes:
        data: videos: single videos in two modes with random parts given. grids: the view-time mixture.
        trains: arrangement: what the paper trains of the arrangement (self-attention for the fused one). all.
        batch: samples in an optimiser step, over all processes.
        mixture: its grids; the recipe's seed is set when it runs.
    """

    name: str
    data: Literal["videos", "grids"]
    steps: int
    batch: int
    trains: What
    mixture: MixtureConfig
    optimiser: OptimiserConfig


@dataclass(frozen=True, kw_only=True)
class VideoRecipe:
    """How a video model is trained.

    Attributes:
        scales: what it scales down from the paper, in a sentence.
        base: a released model or a folder to start from; empty starts from nothing.
        model: config values of the transformer that differ from the base's (or from Wan's).
        text: none, small (MiniLM, extra `text`) or the base's own encoder.
        shift: of the noise levels in training and sampling; 0 takes the base's.
        drop_text: share of samples without their caption, for guidance; independent of the share of grids without
            references, which is the last of a mixture's `pattern_shares`.
        sample_steps: of the pictures on the way.
        shards: folder of tar shards that grids are read from; empty renders them as they are needed.
        captures: READER:PATH of data sets of captures, each drawn as often as the worlds in the stages of grids.
    """

    name: str
    scales: str
    stages: tuple[VideoStage, ...]
    loop: LoopConfig
    base: str = ""
    model: dict[str, Any] = field(default_factory=dict)
    text: Literal["none", "small", "base"] = "none"
    tubelet: tuple[int, int] = (4, 8)
    shift: float = 3.0
    drop_text: float = 0.1
    sample_steps: int = 8
    shards: str = ""
    captures: tuple[str, ...] = ()


RenderCameras = Literal["predicted", "true"]
"""Where Gaussians stand and what they are rendered by. Source: 4Real-Video-V2, sections 3.2 and 4.2.

predicted: the network's own cameras, shared by all times, as at inference; those of views it was not shown come from
a second pass. Needs neither depth nor cameras.
true: the sample's cameras, so that a network whose cameras are still wrong learns sharp Gaussians; where a sample has
no depth or cameras, the predicted ones.
"""


@dataclass(frozen=True, kw_only=True)
class ReconLosses:
    """Weights of a reconstruction stage's losses; 0 leaves one out. Without depth there is no loss of depth or points.

    Attributes:
        camera: distance of poses to the true ones; where a sample has no depth or cameras, to those of the frozen
            backbone, if it is frozen.
    """

    camera: float = 0.0
    depth: float = 0.0
    points: float = 0.0
    render: float = 0.0
    perceptual: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ReconStage:
    """A part of a reconstruction model's training.

    Attributes:
        input_views: of the views of a sample, so many are shown to the network, evenly spread; all are rendered.
        trains: prefixes of parameter names; an empty prefix is everything.
        batch: samples in an optimiser step, over all processes.
        mixture: its grids; the recipe's seed is set when it runs.
        rendered_views: of the views of a sample, so many are rendered, drawn anew each time; 0 renders all.
    """

    name: str
    steps: int
    batch: int
    input_views: int
    trains: tuple[str, ...]
    losses: ReconLosses
    mixture: MixtureConfig
    optimiser: OptimiserConfig
    rendered_views: int = 0


@dataclass(frozen=True, kw_only=True)
class ReconRecipe:
    """How a reconstruction model is trained.

    Attributes:
        scales: what it scales down from the paper, in a sentence.
        base: file of the released VGGT-1B to start from; empty starts from nothing.
        shards: folder of tar shards that samples are read from; empty renders them as they are needed.
        captures: READER:PATH of data sets of captures, drawn as often as the worlds in the stages that render.
        cameras: see `RenderCameras`.
        distance: the perceptual distance of renders.
    """

    name: str
    scales: str
    model: ReconConfig
    stages: tuple[ReconStage, ...]
    loop: LoopConfig
    base: str = ""
    cameras: RenderCameras = "predicted"
    distance: PictureDistanceName = "auto"
    shards: str = ""
    captures: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DraftStage:
    """A part of a draft's training.

    Attributes:
        learns: matching: where the pixels of one cell are in another. choice: what to make of the matches, which stay
            as they are.
        batch: grids in an optimiser step, over all processes.
        mixture: its grids; the recipe's seed is set when it runs.
    """

    name: str
    steps: int
    batch: int
    learns: Literal["matching", "choice"]
    mixture: MixtureConfig
    optimiser: OptimiserConfig


@dataclass(frozen=True, kw_only=True)
class DraftRecipe:
    """How a draft (`fourreal.video.draft`) is trained.

    Attributes:
        model: arguments of `DraftModel` that differ from its own.
        pairs: of cells that matching takes from a grid.
        columns: of unknown cells that choosing takes from a grid, with all their views.
        recolouring: strength of what makes renderings look like other cameras' pictures, 0 to 1.
        base: folder of a draft to start from; empty starts from nothing.
        shards: folder of tar shards, written with flow, that grids are read from; empty renders them.
    """

    name: str
    stages: tuple[DraftStage, ...]
    loop: LoopConfig
    model: dict[str, Any] = field(default_factory=dict)
    pairs: int = 4
    columns: int = 3
    recolouring: float = 0.7
    base: str = ""
    shards: str = ""


Recipe = VideoRecipe | ReconRecipe | DraftRecipe


def total_steps(recipe: Recipe) -> int:
    return sum(stage.steps for stage in recipe.stages)


def stage_at(recipe: Recipe, step: int) -> tuple[int, int]:
    """Number of the stage a step belongs to, and the step's number within it."""
    for number, stage in enumerate(recipe.stages):
        if step < stage.steps:
            return number, step
        step -= stage.steps
    return len(recipe.stages) - 1, recipe.stages[-1].steps + step
