"""`grid`: any complete grids as truth, such as four synchronised cameras of one's own.

Source: the protocol of 4Real-Video-V2, Table 2, on other data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from fourreal.core.grid import VideoGrid
from fourreal.core.media import fit
from fourreal.eval.protocols.completion import completion_protocol
from fourreal.eval.protocols.protocol import WHOLE, Extent, Models, Protocol

METRICS = ("PSNR", "PSNR (moving)", "SSIM", "MSE", "LPIPS (AlexNet)", "ST-LPIPS (alex)")


def one_grid(grids: Mapping[str, Callable[[], VideoGrid]], models: Models, extent: Extent = WHOLE) -> Protocol:
    """First row and first column in, all other cells compared.

    Args:
        grids: functions that load complete grids, by name.

    Raises:
        InputError: there is no grid, or no generator.
    """

    def read(scene: str) -> VideoGrid:
        grid = grids[scene]()
        grid.require_complete("the evaluation on a grid")
        grid = grid.select(range(grid.num_views)[: extent.views], range(grid.num_times)[: extent.frames])
        if extent.size is None or extent.size == grid.image_size:
            return grid
        return VideoGrid.complete(fit(grid.frames, extent.size), grid.seconds)

    settings = {"views": extent.views, "frames": extent.frames, "image_size": extent.size}
    return replace(
        completion_protocol(
            "grid", extent.first(tuple(grids)), read, models, extent, metrics=METRICS, settings=settings
        ),
        title="Complete grids: first row and first column given",
        notes=() if extent.size is None else (f"Frames are fitted to (height, width) {extent.size}.",),
    )
