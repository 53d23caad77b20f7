"""What a user chooses about a training run; no torch, so that `fourreal train --help` is quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Where and how long to train, in this session."""

    out: Path
    """Folder of the run."""
    resume: bool = False
    """Go on with the run in OUT."""
    steps: int | None = None
    """Stop when the run has this many steps in all; the learning rates stay the recipe's."""
    minutes: float | None = None
    """Stop after so many minutes, with a checkpoint."""
    workers: int = 0
    """Processes that make samples ahead of need; 0 makes them in this one."""


@dataclass(frozen=True, kw_only=True)
class RecipeChanges:
    """What may differ from a recipe as it is written; None keeps the recipe's value."""

    seed: int | None = None
    """Of data, noise and first weights."""
    stage_steps: tuple[int, ...] | None = None
    """Steps of every stage."""
    scale_steps: float | None = None
    """Factor for everything that counts steps: stages, warm-ups, curricula. 0.1 is a tenth of the recipe."""
    base: str | None = None
    """Model to start from: a folder or a released name."""
    shards: str | None = None
    """Folder of tar shards to read view-time samples from; without one they are rendered during training."""
    clips: str | None = None
    """Folder of real clips that warped samples are made of, instead of procedural ones."""
    captures: tuple[str, ...] | None = None
    """Data sets of captures as READER:PATH, PATH a scene or a pattern with *; drawn as often as the worlds."""
    size: tuple[int, int] | None = None
    """Height and width of the frames, in every stage; a base model takes multiples of its own."""
    arrangement: str | None = None
    """Architecture that a video model's base is turned into, such as fused, parallel_soft or sequential_added."""
    text: Literal["none", "small"] | None = None
    """How a model trained from nothing reads captions: not at all, or by MiniLM (extra `text`)."""
    batch: int | None = None
    """Samples in an optimiser step, in every stage."""
    micro_batch: int | None = None
    """Samples a process takes at once: less memory, the same training up to rounding."""
    precision: Literal["float32", "bfloat16"] | None = None
    """Number format of the arithmetic."""
    checkpoint_every: int | None = None
    """Steps between checkpoints."""
    sample_every: int | None = None
    """Steps between contact sheets."""


NO_CHANGES = RecipeChanges()
