"""A sentence to a view-time grid: a fixed-view video, a freeze-time video from its first frame, then the grid.

Source: 4Real-Video-V2, Figure 2 ("Each input can be generated from a text prompt using standard video
models") and section 4.1 ("Evaluation datasets").
"""

from __future__ import annotations

from dataclasses import replace

import torch

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.grid_shape import GridShape
from fourreal.core.progress import Progress, part_of, silent
from fourreal.video.generate import check_trained, generate
from fourreal.video.generator import NEEDS_BASE, ViewTimeGenerator
from fourreal.video.offload import leave_device
from fourreal.video.settings import DEFAULTS, GenerationSettings
from fourreal.video.single_video import VideoRequest, generate_video


def text_to_grid(
    model: ViewTimeGenerator,
    prompt: str,
    shape: GridShape,
    *,
    base: ViewTimeGenerator | None = None,
    settings: GenerationSettings = DEFAULTS,
    progress: Progress = silent,
) -> VideoGrid:
    """A complete grid for a prompt.

    Args:
        base: makes the two single videos; must take a first frame. Left out, the model itself does, if it has
            context tokens. A base for image-to-video only leaves the fixed-view video to the model.
        progress: called for three stages as one count.

    Raises:
        InputError: nothing can make a freeze-time video from a frame, before anything is generated; or as
            `generate`.
    """
    able = model.transformer.config["context_tokens"] if base is None else base.makes_freeze_time
    if shape.views > 1 and shape.frames > 1 and not able:
        raise InputError(NEEDS_BASE.format("this model" if base is None else "this base model"))
    base = base or model
    if shape.views > 1 and shape.frames > 1:
        check_trained(model, shape.views, references=True, settings=settings)
    seconds = torch.arange(shape.frames, dtype=torch.float32) / shape.fps
    still = VideoRequest(prompt, "freeze_time", shape.views, shape.image_size)
    moving = VideoRequest(prompt, "dynamic", shape.frames, shape.image_size)
    stages = [part_of(progress, number, 3) for number in range(3)]
    starter = model if base.first_frame == "channels" else base
    if shape.frames == 1:
        column = generate_video(starter, still, settings=settings, progress=progress)
        return VideoGrid.complete(column[:, None], seconds)
    row = generate_video(starter, moving, settings=settings, progress=progress if shape.views == 1 else stages[0])
    if shape.views == 1:
        return VideoGrid.complete(row[None], seconds)
    column_settings, grid_settings = (replace(settings, seed=settings.seed + stage) for stage in (1, 2))
    if starter is not base:
        leave_device(starter)
    column = generate_video(base, still, first_frame=row[0], settings=column_settings, progress=stages[1])
    if base is not model:
        leave_device(base)
    cross = VideoGrid.from_inputs(fixed=row, freeze=column, seconds=seconds)
    return generate(model, cross, prompt, settings=grid_settings, progress=stages[2])
