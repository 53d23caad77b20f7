"""`fourreal import --benchmark NAME PATH`: every data set becomes a grid folder by one command."""

from __future__ import annotations

from pathlib import Path

import pytest
from miniature_captures import MINIATURES

from fourreal.cli.__main__ import main
from fourreal.data.captures import READERS
from fourreal.files import load_grid

NO_CAMERAS = {"view-folders", "davis"}


@pytest.mark.parametrize("name", READERS)
def test_every_data_set_imports(tmp_path: Path, name: str) -> None:
    write, (views, frames) = MINIATURES[name]
    (tmp_path / "scene").mkdir()
    path, out = write(tmp_path / "scene"), tmp_path / "grid"
    main(["import", "--benchmark", name, str(path), "--out", str(out), "--size", "8", "8"])
    stored = load_grid(out, verify=True)
    assert (stored.grid.num_views, stored.grid.num_times) == (views, frames)
    assert (stored.grid.cameras is None) == (name in NO_CAMERAS)
    assert stored.record.source
    assert stored.record.licence
    fewer = ["--views", str(min(views, 2)), "--frames", str(min(frames, 2)), "--overwrite"]
    main(["import", "--benchmark", name, str(path), "--out", str(out), *fewer])
    assert load_grid(out).grid.known.shape == (min(views, 2), min(frames, 2))
