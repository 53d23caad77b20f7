"""A grid as one HTML file with both axes: a slider for the viewpoint, one for the time, and a map to jump by.

The page needs nothing but itself: every cell is in it as a JPEG.
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.atomic import atomic_file
from fourreal.core.grid import VideoGrid
from fourreal.core.media import to_uint8

TEMPLATE = Path(__file__).parent / "assets" / "grid.html"
SLOT = "/* the grid */ null"
JPEG_QUALITY = 92


def write_grid_page(grid: VideoGrid, path: Path, given: Bool[Tensor, "V T"] | None = None) -> int:
    """Write the page, atomically.

    Args:
        given: which cells were the input; the page marks them. None: not known, and nothing is marked.

    Returns:
        The size of the file in bytes.
    """
    height, width = grid.image_size
    values = {
        "width": width,
        "height": height,
        "seconds": [round(value, 4) for value in grid.seconds.tolist()],
        "known": grid.known.tolist(),
        "given": None if given is None else given.tolist(),
        "cells": [[_jpeg(frame) for frame in row] for row in grid.frames],
    }
    template = TEMPLATE.read_text(encoding="utf-8")
    assert template.count(SLOT) == 1
    html = template.replace(SLOT, json.dumps(values, separators=(",", ":"))).encode()
    with atomic_file(path) as partial:
        partial.write_bytes(html)
    return len(html)


def _jpeg(frame: Float[Tensor, "3 H W"]) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(to_uint8(frame[None])[0]).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return base64.b64encode(buffer.getvalue()).decode()
