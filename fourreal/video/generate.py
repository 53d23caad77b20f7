"""`generate`: a `VideoGrid` with some cells known goes in, the complete grid comes out.

Source: 4Real-Video-V2, section 3.1 and Figure 2.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from fourreal.core.devices import resolve_device
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.notes import notify
from fourreal.core.progress import Progress, silent
from fourreal.video.codec import frames_of_latents, latent_known, padded_times
from fourreal.video.complete import complete_grid, drafted_alone, read_prompt
from fourreal.video.generation_settings import DEFAULTS, GenerationSettings
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.hardware import DeviceSpec, memory_gb
from fourreal.video.model_shape import shape_of
from fourreal.video.plan import GenerationPlan, GridSize, plan_generation
from fourreal.video.split_time import parts_of
from fourreal.video.weights import require_trained


def generate(
    model: ViewTimeGenerator,
    grid: VideoGrid,
    prompt: str = "",
    *,
    settings: GenerationSettings = DEFAULTS,
    progress: Progress = silent,
) -> VideoGrid:
    """Fill in every cell of a grid that is not known.

    Any pattern of known cells works: a row, a column, a cross, blocks, none. A column that all views
    know at a later time is served by running time outward from it. Grids larger than the model takes
    go to `extend`.

    Args:
        progress: told after every sampling step.

    Raises:
        InputError: the grid does not fit the model or the machine, the weights were not trained for
            it, a prompt or guidance without its counterpart, or NaN while sampling.
    """
    if bool(grid.known.all()):
        return grid
    check_trained(model, grid.num_views, references=bool(grid.known.any()), settings=settings)
    grid = drafted_alone(model, grid)
    if bool(grid.known.all()):
        return grid
    plan_for(model, GridSize(grid.num_views, grid.num_times, *grid.image_size), settings).require()
    tell_what_is_not_used(grid, model.codec.temporal_stride)
    read = read_prompt(model, prompt, settings, whole_grid=grid.num_views > 1)
    generator = torch.Generator().manual_seed(settings.seed)
    return complete_grid(model, grid, read, settings, generator, progress)


def plan_for(model: ViewTimeGenerator, size: GridSize, settings: GenerationSettings) -> GenerationPlan:
    """The plan of a generation on this machine; its seconds are a guess, because nothing is measured."""
    return plan_generation(shape_of(model), size, spec_of(settings), steps=settings.steps, offload=settings.offload)


def spec_of(settings: GenerationSettings) -> DeviceSpec:
    """Memory of the device that the settings name; its speed is not measured."""
    device = resolve_device(settings.device)
    return DeviceSpec(f"this {device.type} device", memory_gb(device), tflops=1.0, is_cpu=device.type == "cpu")


def check_trained(model: ViewTimeGenerator, views: int, *, references: bool, settings: GenerationSettings) -> None:
    """Refuse weights that cannot do what is asked for.

    Args:
        references: whether any known cell is to guide the others.

    Raises:
        InputError: not trained for grids; or for a single video with given frames, trained without any.
    """
    allowed = settings.allow_untrained
    require_trained(model.transformer, "video" if views == 1 else "grid", allow_untrained=allowed)
    if views == 1 and references and model.first_frame != "reference" and not allowed:
        raise InputError(
            "this video model was not trained with given frames as references; give it none, or load view-time weights"
        )


def tell_what_is_not_used(grid: VideoGrid, stride: int) -> None:
    """Warn of padding, and of known frames that a latent shares with unknown ones."""
    parts = parts_of(grid, stride)
    for times in sorted({part.num_times for part in parts if padded_times(part.num_times, stride) != part.num_times}):
        notify(
            f"{times} frames are not {stride}k + 1: the last one is repeated up to {padded_times(times, stride)} and "
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
