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
