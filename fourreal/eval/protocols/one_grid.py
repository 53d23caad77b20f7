"""`grid`: any complete grids as truth, such as four synchronised cameras of one's own.

Source: the protocol of 4Real-Video-V2, Table 2, on whatever there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fourreal.core.grid import VideoGrid
from fourreal.core.media import fit
from fourreal.eval.protocols.completion import completion
from fourreal.eval.protocols.protocol import WHOLE, Extent, Models, Protocol, Table

METRICS = ("PSNR", "PSNR (moving)", "SSIM", "MSE", "LPIPS (AlexNet)", "ST-LPIPS (alex)")


def one_grid(
    grids: Mapping[str, Callable[[], VideoGrid]], models: Models, extent: Extent = WHOLE, source: str = ""
) -> Protocol:
    """First row and first column in, all other cells compared.

    Args:
        grids: complete grids by name, read when they are needed.
        source: where they are stored, for the report.

    Raises:
        InputError: there is no grid, or no generator.
    """
    scenes = extent.first(tuple(grids))

    def read(scene: str) -> VideoGrid:
        grid = grids[scene]()
        grid.require_complete("the evaluation on a grid")
        grid = grid.select(range(grid.num_views)[: extent.views], range(grid.num_times)[: extent.frames])
        if extent.size is None or extent.size == grid.image_size:
            return grid
        return VideoGrid.complete(fit(grid.frames, extent.size), grid.seconds)

    table = Table(
        name="grid",
        title="Complete grids: first row and first column given",
        scenes=scenes,
        settings={"data": source, "views": extent.views, "frames": extent.frames, "image_size": extent.size},
        notes=() if extent.size is None else (f"Frames are fitted to (height, width) {extent.size}.",),
    )
    return completion(table, models, extent, read=read, given="cross", metrics=METRICS)
