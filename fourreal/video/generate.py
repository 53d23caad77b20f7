"""`generate`: a `VideoGrid` with some cells known goes in, the complete grid comes out.

Grids larger than the model takes are generated in windows of bounded memory, finished cells known to the next.

Source: 4Real-Video-V2, section 3.1 and Figure 2; 4Real-Video, section 3.3 ("Extending to a wider view and longer
time": "we generate frames autoregressively, advancing along the time and view axes in a sliding window fashion").
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.devices import resolve_device
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.grid_shape import GridShape
from fourreal.core.notes import notify
from fourreal.core.progress import Progress, part_of, silent
from fourreal.video.codec import frames_of_latents, latent_known, padded_times
from fourreal.video.complete import complete_grid, drafted_alone, read_prompt
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.hardware import DeviceSpec, memory_gb
from fourreal.video.model_shape import shape_of
from fourreal.video.plan import GenerationPlan, choose_offload, largest_window, plan_generation
from fourreal.video.settings import DEFAULTS, GenerationSettings
from fourreal.video.split_time import each_way, parts_of
from fourreal.video.transformer import Trained
from fourreal.video.weights import require_trained
from fourreal.video.windows import WindowSize, plan_windows

TRAINED_VIEWS, TRAINED_FRAMES = 8, 61
"""Largest grids of the papers' training. Source: 4Real-Video-V2, appendix B ("Training details")."""


def generate(
    model: ViewTimeGenerator,
    grid: VideoGrid,
    prompt: str = "",
    *,
    window: WindowSize | None = None,
    settings: GenerationSettings = DEFAULTS,
    progress: Progress = silent,
) -> VideoGrid:
    """Fill in every cell of a grid that is not known; known cells stay bit for bit.

    Any pattern of known cells works: a row, a column, a cross, blocks, none. A column that all views
    know at a later time is generated from in both directions. The transformer and the codec never see
    more than a window.

    Args:
        window: left out, the largest that fits the device and the model, up to its training size.
        progress: called after every sampling step.

    Raises:
        InputError: the window does not fit the model or the machine or cannot slide, the weights were not
            trained for it, a prompt or guidance without its counterpart, or NaN while sampling.
    """
    if bool(grid.validated().known.all()):
        return grid
    most = window or trained_window(model)
    size = GridShape.of(min(grid.num_views, most.views), min(grid.num_times, most.frames), grid.image_size)
    settings = settled(model, size, settings)
    window = window or default_window(model, grid, settings)
    several = window.views < grid.num_views or window.frames < grid.num_times
    check_trained(model, grid.num_views, references=several or bool(grid.known.any()), settings=settings)
    grid = drafted_alone(model, grid)
    if bool(grid.known.all()):
        return grid
    views, frames = min(window.views, grid.num_views), min(window.frames, grid.num_times)
    plan_for(model, GridShape.of(views, frames, grid.image_size), settings).require()
    stride = model.codec.temporal_stride
    notify_unused(grid, stride)
    read = read_prompt(model, prompt, settings, whole_grid=grid.num_views > 1)
    generator = torch.Generator().manual_seed(settings.seed)
    count = sum(len(plan_windows(part.known, window, stride)) for part in parts_of(grid, stride))
    numbers = itertools.count()

    def slide(part: VideoGrid) -> Float[Tensor, "V T 3 H W"]:
        frames, known = part.frames.clone(), part.known.clone()
        for place in plan_windows(part.known, window, stride):
            rows, columns = list(place.views), slice(place.start, place.stop)
            cells = VideoGrid(frames[rows][:, columns], known[rows][:, columns], part.seconds[columns])
            report = part_of(progress, next(numbers), count)
            frames[rows, columns] = complete_grid(model, cells, read, settings, generator, report).frames
            known[rows, columns] = True
        return frames

    frames_done = each_way(grid, stride, slide)
    frames_done = torch.where(grid.known[:, :, None, None, None], grid.frames, frames_done)
    return VideoGrid.complete(frames_done, grid.seconds, grid.cameras).validated()


def default_window(model: ViewTimeGenerator, grid: VideoGrid, settings: GenerationSettings) -> WindowSize:
    """The largest window that fits the device and the model, at most what the model was trained on."""
    most = trained_window(model)
    size = GridShape.of(min(grid.num_views, most.views), min(grid.num_times, most.frames), grid.image_size)
    found = largest_window(shape_of(model), size, spec_of(settings), settings.offload)
    if found is None:
        plan_for(model, replace(size, views=1, frames=5), settings).require()
        raise AssertionError("a plan without problems is a window that fits")
    stride = model.codec.temporal_stride
    frames = found.frames if grid.num_times == found.frames else stride * ((found.frames - 1) // stride) + 1
    return WindowSize(found.views, -(-(frames - 1) // stride) * stride + 1)


def trained_window(model: ViewTimeGenerator) -> WindowSize:
    """The grids of a model's training; a model that does not say is taken to have seen the papers'."""
    trained = model.training_size
    return WindowSize(TRAINED_VIEWS, TRAINED_FRAMES) if trained is None else WindowSize(trained.views, trained.frames)


def plan_for(model: ViewTimeGenerator, size: GridShape, settings: GenerationSettings) -> GenerationPlan:
    """The plan of a generation on this machine; its seconds are a guess, because nothing is measured."""
    return plan_generation(shape_of(model), size, spec_of(settings), steps=settings.steps, offload=settings.offload)


def spec_of(settings: GenerationSettings) -> DeviceSpec:
    """Memory of the device that the settings name; its speed is not measured."""
    device = resolve_device(settings.device)
    return DeviceSpec(f"this {device.type} device", memory_gb(device), tflops=1.0, is_cpu=device.type == "cpu")


def check_trained(model: ViewTimeGenerator, views: int, *, references: bool, settings: GenerationSettings) -> None:
    """Refuse weights that were not trained for the task.

    Args:
        references: whether any known cell is to guide the others.

    Raises:
        InputError: not trained for grids; or for a single video with given frames, trained without any.
    """
    allowed = settings.allow_untrained
    require_trained_for(model, "video" if views == 1 else "grid", settings)
    if views == 1 and references and model.first_frame != "reference" and not allowed:
        raise InputError(
            "this video model was not trained with given frames as references; give it none, or load view-time weights"
        )


def require_trained_for(model: ViewTimeGenerator, purpose: Trained, settings: GenerationSettings) -> None:
    """`require_trained` for every transformer of a model."""
    for transformer in model.transformers:
        require_trained(transformer, purpose, allow_untrained=settings.allow_untrained)


def settled(model: ViewTimeGenerator, size: GridShape, settings: GenerationSettings) -> GenerationSettings:
    """The settings with the way of offloading that a grid needs on this machine, where none is asked for."""
    if settings.offload != "auto":
        return settings
    return replace(settings, offload=choose_offload(shape_of(model), size, spec_of(settings)))


def notify_unused(grid: VideoGrid, stride: int) -> None:
    """Notes on padding, and on known frames that a latent shares with unknown ones."""
    parts = parts_of(grid, stride)
    for frames in sorted({part.num_times for part in parts if padded_times(part.num_times, stride) != part.num_times}):
        notify(
            f"{frames} frames are not {stride}k + 1: the last one is repeated up to {padded_times(frames, stride)} and "
            "the result cut back"
        )
    idle = sum(int((part.known & ~_guiding(part.known, stride)).sum()) for part in parts)
    if idle:
        notify(
            f"{idle} known frames lie in groups of {stride} that are not wholly known: they stay as they are, but "
            "cannot guide the others"
        )


def _guiding(known: Bool[Tensor, "V T"], stride: int) -> Bool[Tensor, "V T"]:
    return frames_of_latents(latent_known(known, stride), known.shape[1], stride)
