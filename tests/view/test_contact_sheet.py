"""Contact sheets: each cell is where the layout says, and nothing else is drawn over it."""

from __future__ import annotations

import pytest
import torch
from view_scenes import colored_grid

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.media import read_image
from fourreal.view.contact_sheet import (
    contact_sheet,
    hatch,
    sheet_layout,
    write_contact_sheet,
)
from fourreal.view.settings import SheetOptions


def cell_of(sheet: torch.Tensor, grid: VideoGrid, row: int, column: int, options: SheetOptions) -> torch.Tensor:
    layout = sheet_layout(grid, options)
    top, left = layout.corner(row, column)
    return sheet[:, top : top + layout.cell_size[0], left : left + layout.cell_size[1]]


def test_every_cell_is_its_frame_to_the_bit():
    frames = torch.rand(3, 4, 3, 130, 150)
    grid = VideoGrid.complete(frames, torch.arange(4) / 4)
    options = SheetOptions()
    sheet = contact_sheet(grid, options)
    assert tuple(sheet.shape[1:]) == sheet_layout(grid, options).size
    for view in range(3):
        for time in range(4):
            assert torch.equal(cell_of(sheet, grid, view, time, options), frames[view, time])


def test_unknown_cells_are_hatched_and_known_ones_are_not():
    grid = colored_grid(3, 4, (130, 150)).with_known("cross")
    options = SheetOptions()
    sheet = contact_sheet(grid, options)
    for view in range(3):
        for time in range(4):
            cell = cell_of(sheet, grid, view, time, options)
            if grid.known[view, time]:
                assert torch.equal(cell, grid.frames[view, time])
            else:
                assert torch.equal(cell, hatch((130, 150)))
    assert hatch((130, 150)).std() > 0.05
    assert "6 cells not known" in sheet_layout(grid, options).title


def test_a_large_grid_is_thinned_and_says_so():
    grid = colored_grid(9, 11, (60, 300))
    options = SheetOptions(max_cell_px=100, max_views=3, max_frames=4)
    layout = sheet_layout(grid, options)
    assert layout.views == (0, 4, 8)
    assert layout.times == (0, 3, 7, 10)
    assert layout.cell_size == (20, 100)
    for part in ("9 views x 11 times", "300 x 60 px", "3 of 9 views", "4 of 11 times", "scaled to 33%"):
        assert part in layout.title
    sheet = contact_sheet(grid, options)
    for row, view in enumerate(layout.views):
        for column, time in enumerate(layout.times):
            expected = grid.frames[view, time, :, :20, :100]
            torch.testing.assert_close(cell_of(sheet, grid, row, column, options), expected)


def test_small_frames_are_enlarged_by_a_whole_factor_and_stay_crisp():
    frames = torch.rand(2, 2, 3, 16, 20)
    grid = VideoGrid.complete(frames, torch.arange(2.0))
    options = SheetOptions(min_cell_px=64)
    cell = cell_of(contact_sheet(grid, options), grid, 1, 1, options)
    assert torch.equal(cell, frames[1, 1].repeat_interleave(3, 1).repeat_interleave(3, 2))
    assert "enlarged x3" in sheet_layout(grid, options).title


def test_labels_are_drawn_beside_the_cells():
    grid = colored_grid(2, 3, (130, 150))
    sheet, layout = contact_sheet(grid), sheet_layout(grid)
    above, beside = sheet[:, : layout.origin[0], layout.origin[1] :], sheet[:, layout.origin[0] :, : layout.origin[1]]
    assert above.min() < 0.4
    assert beside.min() < 0.4
    later = VideoGrid.complete(grid.frames, grid.seconds + 7)
    changed = (contact_sheet(later) != sheet).any(0).nonzero()
    assert len(changed)
    assert changed[:, 0].max() < layout.origin[0], "other seconds may change the column labels only"


def test_the_written_sheet_is_the_sheet(tmp_path):
    grid = colored_grid()
    write_contact_sheet(tmp_path / "deep" / "sheet.png", grid)
    torch.testing.assert_close(read_image(tmp_path / "deep" / "sheet.png"), contact_sheet(grid), atol=0.003, rtol=0)


def test_nonsense_options_are_refused():
    with pytest.raises(InputError, match="positive sizes"):
        SheetOptions(max_views=0)


def test_real_capture(shared_dir, tmp_path):
    paths = shared_dir / "real" / "neural3dvideo_4x4"
    frames = torch.stack(
        [torch.stack([read_image(paths / f"cam{view}_t{time}.png") for time in range(4)]) for view in range(4)]
    )
    sheet = contact_sheet(VideoGrid.complete(frames, torch.arange(4) / 3))
    layout = sheet_layout(VideoGrid.complete(frames, torch.arange(4) / 3))
    top, left = layout.corner(2, 3)
    cell = sheet[:, top : top + layout.cell_size[0], left : left + layout.cell_size[1]]
    assert (cell.mean((1, 2)) - frames[2, 3].mean((1, 2))).abs().max() < 0.01
