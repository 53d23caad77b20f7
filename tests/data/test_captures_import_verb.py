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
def test_every_data_set_imports(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    write, (views, frames) = MINIATURES[name]
    (tmp_path / "scene").mkdir()
    path, out = write(tmp_path / "scene"), tmp_path / "grid"
    main(["import", "--benchmark", name, str(path), "--out", str(out), "--size", "8", "8"])
    stored = load_grid(out, verify=True)
    assert (stored.grid.num_views, stored.grid.num_times) == (views, frames)
    assert (stored.grid.cameras is None) == (name in NO_CAMERAS)
    assert stored.record.source.endswith(f", {path.stem}")
    assert stored.record.licence
    assert stored.record.licence in capsys.readouterr().out
    fewer = ["--views", str(min(views, 2)), "--frames", str(min(frames, 2)), "--overwrite"]
    main(["import", "--benchmark", name, str(path), "--out", str(out), *fewer])
    assert load_grid(out).grid.known.shape == (min(views, 2), min(frames, 2))


def test_what_does_not_go_with_a_data_set_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for extra, says in (
        (["--fps", "8"], "are for footage"),
        (["--rows", "a.mp4"], "--rows and --benchmark"),
        (["--views", "9"], "is not a folder"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["import", "--benchmark", "llff", str(tmp_path / "absent"), "--out", str(tmp_path / "g"), *extra])
        assert says in capsys.readouterr().err
