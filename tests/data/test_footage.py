"""Real footage becomes grids; what does not fit together is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fourreal.core.errors import InputError
from fourreal.core.grid import known_pattern
from fourreal.core.media import write_image, write_video
from fourreal.core.notes import UserNote
from fourreal.data import footage
from fourreal.data.footage import Sampling, grid_from_cameras, grid_from_cells, grid_from_videos


def smooth(times: int, height: int = 32, width: int = 48, shift: float = 0.0) -> torch.Tensor:
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return torch.stack([torch.stack([x, y, torch.full_like(x, (t / times + shift) % 1)]) for t in range(times)])


@pytest.fixture
def cameras(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"cam{v}.mp4" for v in range(3)]
    for view, path in enumerate(paths):
        write_video(path, smooth(10, shift=view / 5), fps=5)
    return paths


def test_synchronised_cameras_become_rows(cameras: list[Path]) -> None:
    grid = grid_from_cameras(cameras, Sampling(frames=4))
    assert grid.frames.shape == (3, 4, 3, 32, 48)
    assert bool(grid.known.all())
    torch.testing.assert_close(grid.seconds, torch.tensor([0.0, 0.6, 1.2, 1.8]))
    blue = grid.frames[:, :, 2].mean((-2, -1))
    expected = (torch.tensor([0, 3, 6, 9]) / 10 + torch.tensor([[0.0], [0.2], [0.4]])) % 1
    torch.testing.assert_close(blue, expected, atol=0.02, rtol=0)


def test_cuts_and_rates(cameras: list[Path]) -> None:
    grid = grid_from_cameras(cameras, Sampling(fps=2.5, start_s=0.4, end_s=1.7, size=(16, 16)))
    torch.testing.assert_close(grid.seconds, torch.tensor([0.0, 0.4, 0.8, 1.2]))
    assert grid.image_size == (16, 16)
    with pytest.raises(InputError, match="no frame between 9 and 10 s"):
        grid_from_cameras(cameras, Sampling(start_s=9, end_s=10))


def test_cameras_that_do_not_match_are_refused(cameras: list[Path], tmp_path: Path) -> None:
    write_video(tmp_path / "long.mp4", smooth(12), fps=5)
    with pytest.raises(InputError, match="one length and rate"):
        grid_from_cameras([*cameras, tmp_path / "long.mp4"])
    write_video(tmp_path / "slow.mp4", smooth(10), fps=3)
    with pytest.raises(InputError, match="one length and rate"):
        grid_from_cameras([*cameras, tmp_path / "slow.mp4"])
    write_video(tmp_path / "wide.mp4", smooth(10, width=64), fps=5)
    with pytest.raises(InputError, match="give a size"):
        grid_from_cameras([*cameras, tmp_path / "wide.mp4"])
    assert grid_from_cameras([*cameras, tmp_path / "wide.mp4"], Sampling(size=(32, 32))).num_views == 4
    with pytest.raises(InputError, match="at least one clip"):
        grid_from_cameras([])


def test_a_grid_beyond_memory_is_refused_before_it_is_read(cameras: list[Path], monkeypatch) -> None:
    monkeypatch.setattr(footage, "MAX_GRID_BYTES", 3 * 3 * 32 * 48 * 4 * 5)
    with pytest.raises(InputError, match="fewer times"):
        grid_from_cameras(cameras)
    assert grid_from_cameras(cameras, Sampling(frames=5)).num_times == 5
    with pytest.raises(InputError, match="fewer times"):
        grid_from_videos(cameras[0], cameras[1])
    assert grid_from_videos(cameras[0], None, Sampling(fps=1.0), views=5).grid.num_times == 3


def test_one_two_or_both_videos(cameras: list[Path], tmp_path: Path) -> None:
    row = grid_from_videos(cameras[0], None, Sampling(frames=5), views=6).grid
    assert torch.equal(row.known, known_pattern("row", 6, 5))
    column = grid_from_videos(None, cameras[0], Sampling(frames=9), views=4).grid
    assert torch.equal(column.known, known_pattern("column", 4, 9))
    assert column.fps == pytest.approx(8)
    both = grid_from_videos(cameras[0], cameras[0])
    assert torch.equal(both.grid.known, known_pattern("cross", 10, 10))
    assert both.corner_difference == 0
    with pytest.raises(InputError, match="neither"):
        grid_from_videos(None, None)


def test_a_photo_folder_serves_as_freeze_time_video(cameras: list[Path], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for index, frame in enumerate(smooth(12, 64, 96)):
        write_image(tmp_path / "photos" / f"{index}.png", frame)
    both = grid_from_videos(cameras[0], tmp_path / "photos", views=4)
    assert both.grid.frames.shape == (4, 10, 3, 32, 48)


def test_inputs_without_a_shared_corner_are_kept_with_a_note(cameras: list[Path]) -> None:
    with pytest.warns(UserNote, match=r"differ by 0\.1\d\d on average"):
        both = grid_from_videos(cameras[0], cameras[2])
    assert both.corner_difference == pytest.approx(0.4 / 3, abs=0.02)


def test_cells_by_pattern(tmp_path: Path) -> None:
    for view in (0, 2):
        for time in (1, 2, 10):
            write_image(tmp_path / "set" / f"c{view}" / f"{time:03d}.png", torch.full((3, 6, 8), view / 10 + time / 20))
    pattern = str(tmp_path / "set" / "c{v}" / "{t}.png")
    grid = grid_from_cells(pattern, Sampling(fps=4))
    torch.testing.assert_close(
        grid.frames[:, :, 0, 0, 0], torch.tensor([[0.05, 0.1, 0.5], [0.25, 0.3, 0.7]]), atol=0.003, rtol=0
    )
    assert grid.seconds.tolist() == [0, 0.25, 0.5]
    (tmp_path / "set" / "c2" / "002.png").unlink()
    with pytest.raises(InputError, match="lacks view 2 at time 2"):
        grid_from_cells(pattern)
    for wrong, says in (
        (str(tmp_path / "x{v}.png"), "by {v} and the time"),
        (str(tmp_path / "x{v}{t}.png"), "no file"),
    ):
        with pytest.raises(InputError, match=says):
            grid_from_cells(wrong)
    with pytest.raises(InputError, match="does not exist"):
        grid_from_cells(str(tmp_path / "absent" / "{v}_{t}.png"))


def test_the_real_four_by_four_capture(shared_dir: Path) -> None:
    grid = grid_from_cells(str(shared_dir / "real" / "neural3dvideo_4x4" / "cam{v}_t{t}.png"))
    assert grid.frames.shape == (4, 4, 3, 448, 448)
    # One camera over time differs far less than two cameras at one time.
    over_time = (grid.frames[0, 0] - grid.frames[0, 3]).abs().mean()
    over_views = (grid.frames[0, 0] - grid.frames[3, 0]).abs().mean()
    assert over_time < 0.2 * over_views


def test_real_photos_serve_as_freeze_time_video(shared_dir: Path) -> None:
    grid = grid_from_videos(None, shared_dir / "real" / "llff_fern", Sampling(size=(128, 128)), views=5).grid
    assert grid.frames.shape == (5, 13, 3, 128, 128)
    assert torch.equal(grid.known, known_pattern("column", 5, 13))
