"""`fourreal sheet`: a grid folder in, a contact sheet PNG out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Sheet:
    """Draw a contact sheet of a grid: a row per view, a column per time.

    Cells that are not known are hatched. Large grids are sampled evenly, which the sheet's title says.
    """

    grid: tyro.conf.Positional[Path]
    """Grid folder."""
    out: Path
    """PNG to write."""
    max_views: int = 16
    """Show at most this many rows, evenly chosen."""
    max_times: int = 16
    """Show at most this many columns, evenly chosen."""
    cell: int = 192
    """Longer side of a cell in pixels, at most."""

    def run(self) -> None:
        from fourreal.files.grid_folder import load_grid
        from fourreal.view.contact_sheet import SheetOptions, write_contact_sheet

        options = SheetOptions(
            max_cell_px=self.cell,
            min_cell_px=min(128, self.cell),
            max_views=self.max_views,
            max_times=self.max_times,
        )
        write_contact_sheet(self.out, load_grid(self.grid).grid, options)
        print(f"{self.out}: contact sheet of {self.grid}")
