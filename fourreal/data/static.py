"""Scenes that stand still, repeated at every time, so that a model meets viewpoint change without motion.

Source: 4Real-Video-V2, section 3.1 "3D videos ... temporally duplicated", section 3.2 "Training" and appendix B.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from fourreal.core.grid import VideoGrid
from fourreal.data.training_grid import TrainingGrid


def duplicated_in_time(sample: TrainingGrid, times: int, fps: float) -> TrainingGrid:
    """The first column at `times` times. No cell is given to the model.

    Given the row or the column, repeating it would be a perfect answer, and a model trained on that learns to
    copy. Source: 4Real-Video-V2, appendix B ("necessary to remove frame conditioning").
    """
    grid = sample.grid
    frames = grid.frames[:, :1].expand(-1, times, -1, -1, -1)
    seconds = torch.arange(times, device=frames.device) / fps
    return replace(
        sample,
        kind="static",
        grid=VideoGrid.complete(frames.contiguous(), seconds, grid.cameras),
        references=torch.zeros(grid.num_views, times, dtype=torch.bool),
        depth=_repeated(sample.depth, 1, times),
        instance_ids=_repeated(sample.instance_ids, 1, times),
        instance_motion=_repeated(sample.instance_motion, 0, times),
    )


def _repeated(values: Tensor | None, axis: int, times: int) -> Tensor | None:
    """What holds at the first time, at every time."""
    return None if values is None else values.narrow(axis, 0, 1).repeat_interleave(times, axis)
