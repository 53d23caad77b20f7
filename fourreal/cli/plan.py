"""`fourreal plan`: what a generation would cost, before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from fourreal.video.settings import DEFAULTS, WEIGHT_TYPE, Offload, WeightChoice


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Estimate what generating a grid costs in tokens, memory and time, and what would make it fit.

    One model on one device is explained line by line; several make a table. Number format and offloading
    are those that `run`, `generate`, `app` and `evaluate` choose there, unless given here as there. Seconds
    are an estimate from the device's peak rate.

    Examples:
        fourreal plan --model wan2.1-1.3b --views 8 --frames 61 --size 288 512 --device rtx-4090
        fourreal plan --model wan2.1-1.3b wan2.1-14b wan2.2-ti2v-5b --device rtx-4090 a100-80gb h200
    """

    model: tuple[str, ...] = ("wan2.1-1.3b",)
    """Released names, presets or model folders."""
    device: tuple[str, ...] = ("auto",)
    """GPUs by name (rtx-3090, rtx-4090, rtx-5090, a6000, l40s, a100-40gb, a100-80gb, h100, h200), or this
    machine's: auto, cpu, cuda."""
    views: int = 8
    """Rows of the grid."""
    frames: int = 61
    """Columns of the grid."""
    size: Annotated[tuple[int, int], tyro.conf.arg(metavar="HEIGHT WIDTH")] = (288, 512)
    """Frame size."""
    steps: int = DEFAULTS.steps
    """Sampling steps."""
    passes: int = 1
    """Network passes a step; one more for each guided condition."""
    weight_type: WeightChoice = WEIGHT_TYPE
    """Number format of the weights; auto takes what fits the device."""
    offload: Offload = DEFAULTS.offload
    """What leaves the GPU while it is not in use: nothing, whole parts, single blocks, or what the plan needs."""

    def run(self) -> None:
        from fourreal.core.grid_shape import GridShape
        from fourreal.video.hardware import device_spec
        from fourreal.video.model_shape import named_shape
        from fourreal.video.plan import choose_weight_type, format_plan, in_weight_type, plan_generation

        grid = GridShape.of(self.views, self.frames, self.size)
        devices = [device_spec(name) for name in self.device]
        shapes = [named_shape(model) for model in self.model]
        plans = [
            plan_generation(
                in_weight_type(shape, choose_weight_type(shape, grid, device, self.weight_type)),
                grid,
                device,
                steps=self.steps,
                passes_per_step=self.passes,
                offload=self.offload,
            )
            for shape in shapes
            for device in devices
        ]
        if len(plans) == 1:
            print(format_plan(plans[0]))
            return
        print(f"{grid}, {self.steps} steps, {self.passes} pass(es) a step\n")
        print("| model | device | tokens | weights GB | offload | peak GB | seconds | fits |")
        print("|---|---|---|---|---|---|---|---|")
        for plan in plans:
            fits = "yes" if plan.fits else f"no: {'; '.join(plan.remedies) or 'in no way known'}"
            print(
                f"| {plan.model} | {plan.device.name} | {plan.tokens:,} | {plan.weights_gb:.1f} | {plan.offload} "
                f"| {plan.peak_gb:.1f} | {plan.seconds:.0f} | {fits} |"
            )
