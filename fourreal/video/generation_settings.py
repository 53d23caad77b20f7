"""`GenerationSettings`: how to sample, as one value."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from fourreal.core.errors import InputError
from fourreal.video.offload import ComputeType, Offload
from fourreal.video.rectified_flow import STEP_PRESETS, Sampler


@dataclass(frozen=True)
class GenerationSettings:
    """How to sample. `preset(steps)` gives the paper's step counts.

    Attributes:
        steps: sampling steps; 4 is good where little moves, 16 is close to 40 (V2, Table S2).
        sampler: see `flow.Sampler`.
        shift: of the noise levels towards 1; None takes the model's own.
        seed: same seed, same picture, on one machine; noise is drawn on the CPU.
        text_guidance: None is off with a row and a column known, and 5 otherwise (appendix B).
        reference_guidance: 1 is off. Only for models trained with references dropped at random.
        negative_prompt: what guidance pushes away from; Wan has been trained with the empty one.
        device: where to compute.
        compute_type: number format of the network.
        offload: see `placement.Offload`.
        allow_untrained: sample from weights that were never trained for the task. The result is noise;
            for speed and ablation work only.
    """

    steps: int = 16
    sampler: Sampler = "euler"
    shift: float | None = None
    seed: int = 0
    text_guidance: float | None = None
    reference_guidance: float = 1.0
    negative_prompt: str = ""
    device: str = "auto"
    compute_type: ComputeType = "stored"
    offload: Offload = "none"
    allow_untrained: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"sampling needs at least 1 step; got {self.steps}")
        if self.shift is not None and not 0 < self.shift < math.inf:
            raise InputError(f"the shift of the noise levels must be positive; got {self.shift}")
        for name, scale in (("text", self.text_guidance), ("reference", self.reference_guidance)):
            if scale is not None and not 0 <= scale < math.inf:
                raise InputError(f"{name} guidance must be a finite number of at least 0; got {scale}")


DEFAULTS = GenerationSettings()


def preset(steps: int = 16, **changes: Any) -> GenerationSettings:
    """Settings with one of the step counts the paper reports. Source: 4Real-Video-V2, Table S2.

    Raises:
        InputError: another number of steps; `GenerationSettings(steps=...)` takes any.
    """
    if steps not in STEP_PRESETS:
        raise InputError(f"presets are for {', '.join(map(str, STEP_PRESETS))} steps; got {steps}")
    # Few large steps profit from the second-order solver; with many both walk the same path.
    return replace(GenerationSettings(steps=steps, sampler="unipc" if steps <= 8 else "euler"), **changes)
