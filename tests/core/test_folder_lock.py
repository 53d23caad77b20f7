"""One process at a time in a folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fourreal.core.errors import InputError
from fourreal.core.folder_lock import locked


def test_a_second_run_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    refused = pytest.raises(InputError, match="in use by another run")
    with locked(tmp_path / "new" / "run"), refused, locked(tmp_path / "new" / "run"):
        pass
    with locked(tmp_path / "new" / "run"):
        pass


def test_what_a_killed_run_was_writing_is_removed_by_the_next(tmp_path: Path) -> None:
    """Whichever verb locks the folder: a checkpoint, a scene's scores, a results file."""
    (tmp_path / "checkpoints" / ".step-000010.0a1b2c3d.partial").mkdir(parents=True)
    (tmp_path / "checkpoints" / ".step-000010.0a1b2c3d.partial" / "piece").write_text("half")
    (tmp_path / "scenes").mkdir()
    for name in (".world.0a1b2c3d.partial.safetensors", ".grid.0a1b2c3d.previous"):
        (tmp_path / "scenes" / name).write_text("half")
    (tmp_path / "scenes" / "grid").write_text("new")
    (tmp_path / ".scene.0a1b2c3d.previous").mkdir()
    mine = [".partial", "notes.partial.txt", ".x.partial.zip", "a.0a1b2c3d.partial"]
    for name in mine:
        (tmp_path / name).write_text("the user's own")
    with locked(tmp_path / "scenes" / "other"):
        (tmp_path / "scenes" / "other" / ".x.0a1b2c3d.partial").write_text("another run's")
        with locked(tmp_path):
            left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.name != ".lock")
    assert left == sorted(
        [*mine, "checkpoints", "scene", "scenes", "scenes/grid", "scenes/other", "scenes/other/.x.0a1b2c3d.partial"]
    )
    running = tmp_path / "running"
    with locked(running):
        (running / ".x.0a1b2c3d.partial").write_text("being written")
        with locked(tmp_path):
            assert (running / ".x.0a1b2c3d.partial").exists(), "a folder with a lock of its own is another run's"


def test_the_lock_of_a_killed_process_is_gone(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib\n"
        "from fourreal.core.folder_lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n"
        "    print('in', flush=True)\n"
        "    time.sleep(600)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"in\n"
    with pytest.raises(InputError, match="in use"), locked(tmp_path):
        pass
    holder.kill()
    holder.wait()
    with locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"), locked(tmp_path / "file" / "inside"):
        pass


def test_a_lock_that_is_a_symbolic_link_is_refused_and_its_target_untouched(tmp_path: Path) -> None:
    target = tmp_path / "diary.txt"
    target.write_text("kept")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(target)
    with pytest.raises(InputError, match="symbolic link"), locked(tmp_path / "run"):
        pass
    assert target.read_text() == "kept"


def test_a_lock_file_with_content_is_not_truncated(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("kept")
    with locked(tmp_path):
        pass
    assert (tmp_path / ".lock").read_text() == "kept"
