"""`GenerationSettings`: how to sample a grid. Imports no torch, so that the command line can show it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from fourreal.core.errors import InputError

Sampler = Literal["euler", "unipc"]
"""euler: first order. unipc: second order, better with few steps."""

Offload = Literal["auto", "none", "parts", "blocks"]
"""auto: the first of the others with which the plan fits; none on a CPU. none: everything stays on the device. parts:
text encoder, transformer and codec are moved there in turn. blocks: the transformer's blocks are moved there one by
one as well; slow, least memory."""

ComputeType = Literal["stored", "bfloat16", "float16"]
"""stored: the format the weights are loaded in. The others: automatic mixed precision in that format."""

WeightType = Literal["float32", "bfloat16", "float16", "int8"]
"""Number format of the loaded weights. int8: the transformer's blocks in int8 (needs torchao), all else bfloat16."""

WeightChoice = Literal["auto", "float32", "bfloat16", "float16", "int8"]
"""auto: float32 for small models, and on a CPU with room for it; else bfloat16. The others: see `WeightType`."""

WEIGHT_TYPE: WeightChoice = "auto"
"""The default at every door."""

STEP_PRESETS = (4, 8, 16, 40)
"""Step counts the paper reports. Source: 4Real-Video-V2, Table S2."""


@dataclass(frozen=True, kw_only=True)
class GenerationSettings:
    """How to sample. `preset(steps)` gives the paper's step counts.

    Raises:
        InputError: a number out of its range.
    """

    steps: int = 16
    """Sampling steps; the papers report 4, 8, 16 and 40."""
    sampler: Sampler = "euler"
    """euler: first order. unipc: second order, better with few steps."""
    shift: float | None = None
    """Shift of the noise levels towards 1; the model's own when left out."""
    seed: int = 0
    """Same seed, same picture, on one machine."""
    text_guidance: float | None = None
    """Scale of text guidance, 1 is none; left out, none with a row and a column known and 5 otherwise."""
    reference_guidance: float = 1.0
    """Scale of guidance by the known cells, 1 is none; for models trained with references dropped at random."""
    negative_prompt: str = ""
    """What text guidance leads away from; Wan was trained with the empty one."""
    device: str = "auto"
    """auto, cpu or cuda."""
    compute_type: ComputeType = "stored"
    """Number format of computation: the weights' own, or mixed precision in another."""
    offload: Offload = "auto"
    """What leaves the GPU while it is not in use: nothing, whole parts, single blocks, or what the plan needs."""
    allow_untrained: bool = False
    """Sample from weights that were not trained for the task. The result is noise; for timing only."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"sampling needs at least 1 step; got {self.steps}")
        if self.shift is not None and not 0 < self.shift < math.inf:
            raise InputError(f"the shift of the noise levels must be positive; got {self.shift}")
        for name, scale in (("text", self.text_guidance), ("reference", self.reference_guidance)):
            if scale is not None and not 0 <= scale < math.inf:
                raise InputError(f"{name} guidance must be a finite number of at least 0; got {scale}")


DEFAULTS = GenerationSettings()


def preset(steps: int = DEFAULTS.steps, **changes: Any) -> GenerationSettings:
    """Settings with one of the step counts the paper reports. Source: 4Real-Video-V2, Table S2.

    Raises:
        InputError: another number of steps; `GenerationSettings(steps=...)` takes any.
    """
    if steps not in STEP_PRESETS:
        raise InputError(f"presets are for {', '.join(map(str, STEP_PRESETS))} steps; got {steps}")
    # Few large steps profit from the second-order solver; with many both give the same path.
    return replace(GenerationSettings(steps=steps, sampler="unipc" if steps <= 8 else "euler"), **changes)
