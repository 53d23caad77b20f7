"""`fourreal sheet`: a grid folder in, a contact sheet PNG out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro
from tyro.conf import OmitArgPrefixes

from fourreal.view.settings import SHEET_DEFAULTS, SheetOptions


@dataclass(frozen=True)
class Sheet:
    """Draw a contact sheet of a grid: a row per view, a column per time.

    Cells that are not known are hatched. Large grids are sampled evenly; the sheet's title says so.
    """

    grid: tyro.conf.Positional[Path]
    """Grid folder."""
    out: Path
    """PNG to write."""
    options: OmitArgPrefixes[SheetOptions] = SHEET_DEFAULTS
    """How large the sheet may become."""

    def run(self) -> None:
        from fourreal.files.grid_folder import load_grid
        from fourreal.files.open_any import opened_at
        from fourreal.view.contact_sheet import write_contact_sheet

        write_contact_sheet(self.out, load_grid(opened_at(self.grid, "grid")).grid, self.options)
        print(f"{self.out}: contact sheet of {self.grid}")
