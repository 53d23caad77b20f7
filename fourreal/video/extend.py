"""`extend`: grids of any number of views and frames, generated in windows of bounded memory.

Source: 4Real-Video, section 3.3 ("Extending to a wider view and longer time": "we generate frames
autoregressively, advancing along the time and view axes in a sliding window fashion").
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.grid import VideoGrid
from fourreal.core.progress import Progress, silent
from fourreal.video.complete import complete_grid, drafted_alone, read_prompt
from fourreal.video.generate import check_trained, plan_for, spec_of, tell_what_is_not_used
from fourreal.video.generation_settings import DEFAULTS, GenerationSettings
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.model_shape import shape_of
from fourreal.video.plan import GridSize, largest_window
from fourreal.video.split_time import each_way, parts_of
from fourreal.video.windows import WindowSize, plan_windows

TRAINED_VIEWS, TRAINED_FRAMES = 8, 61
"""Largest grids of the papers' training. Source: 4Real-Video-V2, appendix B ("Training details")."""


def extend(
    model: ViewTimeGenerator,
    grid: VideoGrid,
    prompt: str = "",
    *,
    window: WindowSize | None = None,
    settings: GenerationSettings = DEFAULTS,
    progress: Progress = silent,
) -> VideoGrid:
    """`generate` for grids of any size: window after window, finished cells known to the next.

    A grid that fits one window comes out as from `generate`. The transformer and the codec never see
    more than a window.

    Args:
        window: left out, the largest that fits the device and the model, up to its training size.

    Raises:
        InputError: as `generate`, for the window; or windows that cannot slide.
    """
    if bool(grid.known.all()):
        return grid
    window = window or default_window(model, grid, settings)
    several = window.views < grid.num_views or window.times < grid.num_times
    check_trained(model, grid.num_views, references=several or bool(grid.known.any()), settings=settings)
    grid = drafted_alone(model, grid)
    if bool(grid.known.all()):
        return grid
    views, times = min(window.views, grid.num_views), min(window.times, grid.num_times)
    plan_for(model, GridSize(views, times, *grid.image_size), settings).require()
    tell_what_is_not_used(grid, model.codec.temporal_stride)
    read = read_prompt(model, prompt, settings, whole_grid=grid.num_views > 1)
    generator = torch.Generator().manual_seed(settings.seed)
    stride = model.codec.temporal_stride
    count = sum(len(plan_windows(part.known, window, stride)) for part in parts_of(grid, stride))
    numbers = itertools.count()

    def slide(part: VideoGrid) -> Float[Tensor, "V T 3 H W"]:
        frames, known = part.frames.clone(), part.known.clone()
        for place in plan_windows(part.known, window, stride):
            rows, columns = list(place.views), slice(place.start, place.stop)
            cells = VideoGrid(frames[rows][:, columns], known[rows][:, columns], part.seconds[columns])
            report = _part_of(progress, next(numbers), count)
            frames[rows, columns] = complete_grid(model, cells, read, settings, generator, report).frames
            known[rows, columns] = True
        return frames

    frames = each_way(grid, stride, slide)
    frames = torch.where(grid.known[:, :, None, None, None], grid.frames, frames)
    return VideoGrid.complete(frames, grid.seconds, grid.cameras)


def default_window(model: ViewTimeGenerator, grid: VideoGrid, settings: GenerationSettings) -> WindowSize:
    """The largest window that fits the device and the model, at most what the model was trained on.

    A model that does not say is taken to have seen the papers' grids.
    """
    trained = model.training_size
    views, frames = (TRAINED_VIEWS, TRAINED_FRAMES) if trained is None else (trained.views, trained.frames)
    size = GridSize(min(grid.num_views, views), min(grid.num_times, frames), *grid.image_size)
    found = largest_window(shape_of(model), size, spec_of(settings), settings.offload)
    if found is None:
        plan_for(model, replace(size, views=1, frames=5), settings).require()
        raise AssertionError("a plan without problems is a window that fits")
    stride = model.codec.temporal_stride
    frames = found.frames if grid.num_times == found.frames else stride * ((found.frames - 1) // stride) + 1
    return WindowSize(found.views, -(-(frames - 1) // stride) * stride + 1)


def _part_of(progress: Progress, number: int, count: int) -> Progress:
    def report(done: int, total: int) -> None:
        progress(number * total + done, count * total)

    return report
