"""Every example runs as it stands, in an empty folder, and writes what it says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("[0-9]*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    space = runpy.run_path(str(path), run_name="__main__")
    assert space["__doc__"].strip()
    assert capsys.readouterr().out.strip()
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert bool(written) == ("Writes" in space["__doc__"])
    assert all(file.stat().st_size > 0 for file in written)
