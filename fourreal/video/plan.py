"""What a generation will cost before it runs: tokens, memory, time, and what would make it fit.

Formulas, with N tokens, width D, feed-forward width F, layers l, b bytes a value:

    tokens       N = V * t * (h / p_h) * (w / p_w),  t = (T - 1) / 4 + 1 latents of T frames
    operations   a pass = l * (2 N (6 D^2 + 2 D F) + 4 N K D + 4 N L D)
                 K keys a token sees: (V + t) frames of tokens for fused attention, its own frame
                 counted twice by the merged implementation; L text tokens
    weights      parameters * b, of both experts where there are two
    activations  N * max(4.25 b D + 2 b F, (8 + 7.25 b) D), the feed-forward's or the attention's
                 peak within one block, as an allocation tracker finds it (tests/video/test_plan.py)

Seconds assume a share of the device's peak: 0.4 of the data sheet's, or 0.45 of a matrix product
measured on the spot (a 384-wide network on two busy cores reached 0.24 to 0.54). The papers' 11.7 s for
a pass of their 11B model on an A100 (V2, Table 4, at the 73,728 tokens its timings fit) is a share of
0.55; the estimate is 16 s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fourreal.core.errors import InputError
from fourreal.core.grid_shape import GridShape
from fourreal.video.codec import latent_times
from fourreal.video.hardware import DeviceSpec
from fourreal.video.model_shape import ModelShape
from fourreal.video.settings import DEFAULTS, Offload, WeightChoice, WeightType

GB = 1e9
RESERVE = 0.92
"""Share of a device's memory that can be planned with; the rest is the driver's and fragmentation's."""
SMALL_GB = 0.5
"""Transformers of less than this in float32 gain nothing from another format."""
BYTES_PER_VALUE: dict[WeightType, float] = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}


@dataclass(frozen=True, kw_only=True)
class GenerationPlan:
    """The cost of one generation.

    Attributes:
        tokens: per pass.
        pass_flops: operations of one network evaluation.
        passes: network evaluations in all, steps times those per step.
        weights_gb, text_gb, codec_gb: of transformer, text encoder and codec.
        activations_gb: peak in addition to the weights.
        peak_gb: on the device, given `offload`.
        seconds: estimate.
        problems: why it cannot run; empty when it can.
        remedies: what would make it fit, with what it would then take.
    """

    model: str
    grid: GridShape
    device: DeviceSpec
    offload: Offload
    tokens: int
    pass_flops: float
    passes: int
    weights_gb: float
    text_gb: float
    codec_gb: float
    activations_gb: float
    peak_gb: float
    seconds: float
    problems: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        return not self.problems

    def require(self) -> None:
        """Raises InputError saying why the plan is impossible and what would make it possible."""
        if self.problems:
            help_ = f"; what fits: {'; '.join(self.remedies)}" if self.remedies else ""
            raise InputError(f"{self.model} cannot generate {self.grid}: {' and '.join(self.problems)}{help_}")


def plan_generation(
    shape: ModelShape,
    grid: GridShape,
    device: DeviceSpec,
    *,
    steps: int = DEFAULTS.steps,
    passes_per_step: int = 1,
    offload: Offload = DEFAULTS.offload,
) -> GenerationPlan:
    """The cost of generating a grid in one piece.

    Args:
        passes_per_step: 1 without guidance, one more for each condition guided by.
        offload: auto takes what `choose_offload` does.
    """
    offload = choose_offload(shape, grid, device) if offload == "auto" else offload
    plan = _cost(shape, grid, device, steps * passes_per_step, offload)
    reach = _beyond_reach(shape, grid)
    memory = plan.peak_gb > RESERVE * device.memory_gb
    problems = list(reach)
    if memory:
        problems.append(f"it takes {plan.peak_gb:.1f} GB and {device.name} has {device.memory_gb:.0f} GB")
    remedies = _remedies(shape, grid, device, offload, only_windows=bool(reach)) if problems else ()
    return replace(plan, problems=tuple(problems), remedies=remedies)


def choose_weight_type(
    shape: ModelShape, grid: GridShape, device: DeviceSpec, wanted: WeightChoice = "auto"
) -> WeightType:
    """The format to load weights in, where none is asked for; int8 never is chosen, because it changes pictures."""
    if wanted != "auto":
        return wanted
    full = in_weight_type(shape, "float32")
    small = shape.parameters * BYTES_PER_VALUE["float32"] / GB < SMALL_GB
    fits = device.is_cpu and _cost(full, grid, device, 1, "none").peak_gb <= RESERVE * device.memory_gb
    return "float32" if small or fits else "bfloat16"


def choose_offload(shape: ModelShape, grid: GridShape, device: DeviceSpec) -> Offload:
    """The first way of offloading with which a grid fits, none on a CPU; the last where it fits in no way."""
    if device.is_cpu:
        return "none"
    for offload in ("none", "parts"):
        if _cost(shape, grid, device, 1, offload).peak_gb <= RESERVE * device.memory_gb:
            return offload
    return "blocks"


def in_weight_type(shape: ModelShape, weight_type: WeightType) -> ModelShape:
    """The shape of a model whose weights are loaded in a format."""
    return replace(shape, bytes_per_value=BYTES_PER_VALUE[weight_type])


def largest_window(shape: ModelShape, grid: GridShape, device: DeviceSpec, offload: Offload) -> GridShape | None:
    """The largest part of a grid, in cells, that can be generated in one piece; None when not even 1 x 5 fits."""
    offload = choose_offload(shape, grid, device) if offload == "auto" else offload
    frames = {min(grid.frames, 4 * k + 1) for k in range(1, latent_times(grid.frames) + 1)} | {grid.frames}
    sizes = [replace(grid, views=v, frames=f) for v in range(1, grid.views + 1) for f in frames]
    for size in sorted(sizes, key=lambda s: (s.views * s.frames, s.views), reverse=True):
        fits = _cost(shape, size, device, 1, offload).peak_gb <= RESERVE * device.memory_gb
        if fits and not _beyond_reach(shape, size):
            return size
    return None


def format_plan(plan: GenerationPlan) -> str:
    """The plan as a few lines of plain text."""
    hours, rest = divmod(round(plan.seconds), 3600)
    time = f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"
    lines = [
        f"model        {plan.model}",
        f"grid         {plan.grid}",
        f"device       {plan.device.name}, {plan.device.memory_gb:.0f} GB, {plan.device.tflops:.3g} TFLOP/s",
        f"tokens       {plan.tokens:,}",
        f"operations   {plan.pass_flops:.3g} a pass, {plan.passes} passes",
        f"weights      {plan.weights_gb:.2f} GB transformer, {plan.text_gb:.2f} GB text, {plan.codec_gb:.2f} GB codec",
        f"activations  {plan.activations_gb:.2f} GB",
        f"peak         {plan.peak_gb:.2f} GB with offload '{plan.offload}'",
        f"time         about {time} (estimate)",
    ]
    lines += [f"does not fit {problem}" for problem in plan.problems]
    lines += [f"would fit    {remedy}" for remedy in plan.remedies]
    return "\n".join([*lines, "fits         yes"] if plan.fits else lines)


def _cost(shape: ModelShape, grid: GridShape, device: DeviceSpec, passes: int, offload: Offload) -> GenerationPlan:
    tokens, frame_tokens, times = _tokens(shape, grid)
    flops = _pass_flops(shape, grid.views, times, frame_tokens)
    expert = shape.parameters * shape.bytes_per_value / GB
    weights = expert * shape.experts
    text = shape.text_parameters * max(shape.bytes_per_value, 2) / GB
    codec = shape.codec.parameters * 4 / GB
    pixels = grid.height * grid.width
    # int8 weights still compute in 2-byte values.
    width = max(shape.bytes_per_value, 2)
    feed_forward = 4.25 * width * shape.width + 2 * width * shape.ffn
    activations = tokens * max(feed_forward, (8 + 7.25 * width) * shape.width) / GB
    decoding = (shape.codec.bytes_per_pixel * pixels) / GB
    frames = 12 * pixels * grid.views * grid.frames / GB if device.is_cpu else 0.0
    if offload == "none":
        peak = weights + text + codec + max(activations, decoding)
    else:
        # Of two experts only the one at work is there.
        resident = expert if offload == "parts" else 2 * expert / shape.layers
        peak = max(text, resident + activations, codec + decoding)
    coding = (shape.codec.encode_flops + shape.codec.decode_flops) * pixels * grid.views * grid.frames
    rate = device.tflops * 1e12 * device.share
    return GenerationPlan(
        model=shape.name,
        grid=grid,
        device=device,
        offload=offload,
        tokens=tokens,
        pass_flops=flops,
        passes=passes,
        weights_gb=weights,
        text_gb=text,
        codec_gb=codec,
        activations_gb=max(activations, decoding),
        peak_gb=peak + 3 * frames,
        # Codecs compute in float32, at half the rate of the transformer's two-byte formats.
        seconds=passes * flops / rate + coding / (rate if device.is_cpu else rate / 2),
    )


def _tokens(shape: ModelShape, grid: GridShape) -> tuple[int, int, int]:
    """(tokens, tokens of a latent frame, latent times)."""
    times = latent_times(grid.frames, shape.codec.temporal_stride)
    rows = grid.height // (shape.codec.spatial_stride * shape.patch[1])
    columns = grid.width // (shape.codec.spatial_stride * shape.patch[2])
    return grid.views * times * rows * columns, rows * columns, times


def _pass_flops(shape: ModelShape, views: int, times: int, frame_tokens: int) -> float:
    tokens, width = views * times * frame_tokens, shape.width
    if views == 1 or times == 1:
        repeats, keys = 1.0, max(views, times) * frame_tokens
    elif shape.arrangement == "fused":
        repeats, keys = 1.0, (views + times) * frame_tokens
    elif shape.arrangement == "sequential_alternate":
        repeats, keys = 1.0, (views + times) * frame_tokens / 2
    elif shape.arrangement == "sequential_added":
        repeats, keys = 1.5, (views + times) * frame_tokens
    else:
        # Every block runs twice, once along each axis.
        repeats, keys = 2.0, (views + times) * frame_tokens
    linear = 2 * tokens * (6 * width**2 + 2 * width * shape.ffn) * repeats
    attention = 4 * tokens * width * (keys + repeats * shape.text_tokens)
    return shape.layers * (linear + attention)


def _beyond_reach(shape: ModelShape, grid: GridShape) -> tuple[str, ...]:
    problems = []
    step = shape.frame_multiple
    if grid.height % step or grid.width % step:
        near = "x".join(str(max(step, round(side / step) * step)) for side in (grid.height, grid.width))
        problems.append(f"frames must be multiples of {step} pixels high and wide (for instance {near})")
    times = latent_times(grid.frames, shape.codec.temporal_stride)
    spaced = shape.view_positions == "stride" and shape.arrangement == "fused"
    if spaced and grid.views > 1 and times > shape.t_max:
        longest = (shape.t_max - 1) * shape.codec.temporal_stride + 1
        problems.append(f"it knows at most {longest} frames at a time")
    last = max(grid.views, times)
    if spaced:
        last = (grid.views - 1) * shape.t_max + times
    elif shape.view_positions == "sum":
        last = grid.views + times - 1
    if last > shape.max_positions:
        problems.append(f"it needs {last} rotary positions and the model has {shape.max_positions}")
    return tuple(problems)


def _remedies(
    shape: ModelShape, grid: GridShape, device: DeviceSpec, offload: Offload, *, only_windows: bool
) -> tuple[str, ...]:
    room = RESERVE * device.memory_gb
    int8 = replace(shape, bytes_per_value=1)
    tried: list[tuple[str, ModelShape, Offload]] = [
        ("offload 'parts'", shape, "parts"),
        ("int8 weights", int8, offload),
        ("int8 weights and offload 'parts'", int8, "parts"),
        ("offload 'blocks'", shape, "blocks"),
    ]
    found = []
    for name, changed, placement in tried if not only_windows else []:
        needs = _cost(changed, grid, device, 1, placement).peak_gb
        pointless = placement == offload and changed is shape
        if needs <= room and not pointless and not (device.is_cpu and placement != offload):
            found.append(f"{name} ({needs:.1f} GB)")
    placements: tuple[Offload, ...] = (offload,) if device.is_cpu or offload != "none" else ("none", "parts", "blocks")
    for placement in placements:
        window = largest_window(shape, grid, device, placement)
        if window is not None and window != grid:
            with_ = f" and offload '{placement}'" if placement != offload else ""
            found.append(f"windows of {window.views} views x {window.frames} frames{with_}")
            break
    return tuple(found)
