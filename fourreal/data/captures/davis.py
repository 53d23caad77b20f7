"""DAVIS: single-camera videos with an annotated object, as 1 x T grids.

    DAVIS/JPEGImages/480p/SEQUENCE/00000.jpg ...
    DAVIS/Annotations/480p/SEQUENCE/00000.png ...    optional; black is background

The camera is unknown and mostly moves, so the grid has none. SV4D 2.0 picks sequences with a steady one.

Source: Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object
Segmentation" (2016); SV4D 2.0, section 5.
"""

from __future__ import annotations

from pathlib import Path

import torch

from fourreal.core.media import fit, natural_order, read_image
from fourreal.data.captures.capture import (
    ALL,
    Capture,
    Selection,
    grid_of_rows,
    read_picture,
    require_count,
    require_folder,
)

LICENCE = "DAVIS challenge data; its site states the terms, non-commercial use is safe"
FPS = 24.0


def read_davis(folder: str | Path, selection: Selection = ALL) -> Capture:
    """A sequence as a 1 x T grid with the annotated objects as `foreground`.

    Args:
        folder: DAVIS/JPEGImages/480p/SEQUENCE.

    Raises:
        InputError: the sequence is not there, or frames and annotations do not match in number.
    """
    folder = require_folder(folder).absolute()
    files = natural_order(list(folder.glob("*.jpg")))
    times = selection.of_times(range(len(files)), folder)
    frames = torch.stack([read_picture(files[time], None, selection.size)[0] for time in times])
    seconds = torch.tensor([(time - times[0]) / FPS for time in times], dtype=torch.float32)
    foreground = None
    annotations = folder.parents[2] / "Annotations" / folder.parent.name / folder.name
    if annotations.is_dir():
        masks = natural_order(list(annotations.glob("*.png")))
        require_count(len(masks), len(files), "annotations (each frame needs one)", annotations)
        drawn = [(read_image(masks[time]) > 0).any(0).float().expand(3, -1, -1) for time in times]
        size = (frames.shape[-2], frames.shape[-1])
        foreground = torch.stack([fit(mask, size)[0] > 0.5 for mask in drawn])[None]
    grid = grid_of_rows([frames], seconds, [None], folder)
    return Capture(
        grid=grid, name=folder.name, view_names=("camera",), source="DAVIS", licence=LICENCE, foreground=foreground
    )
