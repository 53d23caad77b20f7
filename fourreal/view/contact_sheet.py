"""A contact sheet: every cell of a grid in one picture, a row per view, a column per time.

The title line of a sheet says what is left out or scaled. Cells that are not known are hatched, never black:
black could be a frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.grid import VideoGrid
from fourreal.core.linspace_indices import linspace_indices
from fourreal.core.media import write_image
from fourreal.view.settings import SHEET_DEFAULTS, SheetOptions

PAPER, INK = 1.0, 0.15
HATCH_LIGHT, HATCH_DARK, HATCH_PERIOD_PX = 0.86, 0.72, 12
FONT_PX = 13


@dataclass(frozen=True, kw_only=True)
class SheetLayout:
    """Where everything is on a sheet. Boxes are (top, left) in pixels; every cell has `cell_size`."""

    views: tuple[int, ...]
    times: tuple[int, ...]
    cell_size: tuple[int, int]
    origin: tuple[int, int]
    gap_px: int
    size: tuple[int, int]
    title: str

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """(top, left) of the cell in sheet row `row` and column `column`."""
        height, width = self.cell_size
        return self.origin[0] + row * (height + self.gap_px), self.origin[1] + column * (width + self.gap_px)


def sheet_layout(grid: VideoGrid, options: SheetOptions = SHEET_DEFAULTS) -> SheetLayout:
    """Choose rows, columns and scale, and place them."""
    views = tuple(linspace_indices(grid.num_views, options.max_views))
    times = tuple(linspace_indices(grid.num_times, options.max_frames))
    cell_size, scaling = _cell_size(grid.image_size, options)
    title = _title(grid, views, times, scaling)
    line = FONT_PX + 6
    left = max(_text_width(_row_label(view)) for view in views) + 8
    origin = (2 * line + 4, left)
    height = origin[0] + len(views) * (cell_size[0] + options.gap_px) + 1
    width = origin[1] + len(times) * (cell_size[1] + options.gap_px) + 1
    width = max(width, _text_width(title) + 8)
    return SheetLayout(
        views=views,
        times=times,
        cell_size=cell_size,
        origin=origin,
        gap_px=options.gap_px,
        size=(height, width),
        title=title,
    )


def contact_sheet(grid: VideoGrid, options: SheetOptions = SHEET_DEFAULTS) -> Float[Tensor, "3 H W"]:
    """Draw the sheet, sRGB in [0, 1]."""
    layout = sheet_layout(grid, options)
    sheet = torch.full((3, *layout.size), PAPER)
    for row, view in enumerate(layout.views):
        for column, time in enumerate(layout.times):
            top, left = layout.corner(row, column)
            height, width = layout.cell_size
            known = bool(grid.known[view, time])
            cell = _scaled(grid.frames[view, time], layout.cell_size) if known else hatch(layout.cell_size)
            sheet[:, top : top + height, left : left + width] = cell
    ink = _lettering(grid, layout)
    return sheet * (1 - ink) + INK * ink


def write_contact_sheet(path: str | Path, grid: VideoGrid, options: SheetOptions = SHEET_DEFAULTS) -> None:
    """Write the sheet as a PNG, atomically."""
    write_image(path, contact_sheet(grid, options))


def hatch(size: tuple[int, int]) -> Float[Tensor, "3 H W"]:
    """Diagonal stripes of (height, width): the picture of a cell that has no frame."""
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    dark = (x + y) % HATCH_PERIOD_PX < HATCH_PERIOD_PX // 2
    return torch.where(dark, HATCH_DARK, HATCH_LIGHT).expand(3, *size).clone()


def _cell_size(source: tuple[int, int], options: SheetOptions) -> tuple[tuple[int, int], str]:
    longer = max(source)
    if longer > options.max_cell_px:
        scale = options.max_cell_px / longer
        return (max(1, round(source[0] * scale)), max(1, round(source[1] * scale))), f"scaled to {scale:.0%}"
    factor = max(1, min(options.min_cell_px, options.max_cell_px) // longer)
    return (source[0] * factor, source[1] * factor), f"enlarged x{factor}" if factor > 1 else ""


def _scaled(frame: Float[Tensor, "3 H W"], size: tuple[int, int]) -> Float[Tensor, "3 h w"]:
    frame = frame.detach().float().cpu()
    if frame.shape[1:] == size:
        return frame
    if size[0] > frame.shape[1]:
        return torch.nn.functional.interpolate(frame[None], size=size, mode="nearest-exact")[0]
    return torch.nn.functional.interpolate(frame[None], size=size, mode="bilinear", antialias=True)[0]


def _title(grid: VideoGrid, views: tuple[int, ...], times: tuple[int, ...], scaling: str) -> str:
    height, width = grid.image_size
    parts = [f"{grid.num_views} views x {grid.num_times} times, {width} x {height} px"]
    if len(views) < grid.num_views:
        parts.append(f"{len(views)} of {grid.num_views} views shown")
    if len(times) < grid.num_times:
        parts.append(f"{len(times)} of {grid.num_times} times shown")
    unknown = int((~grid.known).sum())
    if unknown:
        parts.append(f"{unknown} cells not known (hatched)")
    if scaling:
        parts.append(scaling)
    return ", ".join(parts)


def _row_label(view: int) -> str:
    return f"view {view}"


# ---- lettering: drawn on a mask of its own, so that text never touches a pixel of a frame -------


def _font():
    from PIL import ImageFont

    return ImageFont.load_default(FONT_PX)


def _text_width(text: str) -> int:
    return int(np.ceil(_font().getlength(text)))


def _lettering(grid: VideoGrid, layout: SheetLayout) -> Float[Tensor, "H W"]:
    from PIL import Image, ImageDraw

    height, width = layout.size
    mask = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(mask)
    font, line = _font(), FONT_PX + 6
    draw.text((4, 2), layout.title, fill=255, font=font)
    cell_height, cell_width = layout.cell_size
    for column, time in enumerate(layout.times):
        _, left = layout.corner(0, column)
        label = f"{float(grid.seconds[time]):.2f} s"
        draw.text((left + cell_width / 2, line + line / 2 + 2), label, fill=255, font=font, anchor="mm")
    for row, view in enumerate(layout.views):
        top, _ = layout.corner(row, 0)
        draw.text((4, top + cell_height / 2), _row_label(view), fill=255, font=font, anchor="lm")
    return torch.from_numpy(np.array(mask)).float() / 255
