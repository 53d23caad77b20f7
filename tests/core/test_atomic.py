"""Outputs appear whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fourreal.core.atomic import MARKER, atomic_file, atomic_folder
from fourreal.core.errors import InputError


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_only_when_done(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "deep" / "out.bin") as partial:
        partial.write_bytes(b"new")
        assert not (tmp_path / "deep" / "out.bin").exists()
        assert partial.suffix == ".bin"
    assert (tmp_path / "deep" / "out.bin").read_bytes() == b"new"
    assert visible(tmp_path / "deep") == ["out.bin"]


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(type(error)), atomic_file(target) as partial:
        partial.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert visible(tmp_path) == ["out.txt"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "grid"
    with atomic_folder(target) as partial:
        (partial / "a").write_text("1")
    with pytest.raises(InputError, match="not empty"), atomic_folder(target):
        pass
    with atomic_folder(target, overwrite=True) as partial:
        (partial / "b").write_text("2")
    assert visible(target) == [MARKER, "b"]
    with pytest.raises(RuntimeError), atomic_folder(target, overwrite=True) as partial:
        (partial / "c").write_text("3")
        raise RuntimeError
    assert visible(target) == [MARKER, "b"]
    assert visible(tmp_path) == ["grid"]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no space left"), atomic_file(tmp_path / "x") as partial:
        partial.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert visible(tmp_path) == []


def test_wrong_kinds_of_target_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a folder"), atomic_file(tmp_path):
        pass
    with pytest.raises(InputError, match="is a file"), atomic_folder(tmp_path / "file"):
        pass
    with pytest.raises(InputError, match="cannot write"), atomic_file(tmp_path / "file" / "below"):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="may write"), atomic_folder(tmp_path / "grid"):
        pass


def test_a_file_inside_an_atomic_folder_fails_under_the_folder_s_name(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="no space left") as caught,
        atomic_folder(tmp_path / "out") as folder,
        atomic_file(folder / "deep" / "inner.bin"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "partial" not in str(caught.value)
    assert visible(tmp_path) == []


def write(target: Path, name: str, *, overwrite: bool = True) -> None:
    with atomic_folder(target, overwrite=overwrite) as partial:
        (partial / name).write_text(name)


def test_folders_that_others_wrote_are_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "photos"
    target.mkdir()
    (target / "a.jpg").write_text("mine")
    with pytest.raises(InputError, match="fourreal did not write"):
        write(target, "b")
    (target / "config.json").write_text(json.dumps({"of": "another program"}))
    with pytest.raises(InputError, match="fourreal did not write"):
        write(target, "b")
    assert visible(target) == ["a.jpg", "config.json"]
    (target / "cameras.json").write_text(json.dumps({"format": "fourreal-grid"}))
    write(target, "b")
    assert visible(target) == [MARKER, "b"]
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", "c", overwrite=False)
    assert visible(tmp_path / "empty") == [MARKER, "c"]


def test_a_link_stays_and_its_folder_is_written(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "out")
    write(tmp_path / "link", "a", overwrite=False)
    write(tmp_path / "link", "b")
    assert (tmp_path / "link").is_symlink()
    assert visible(tmp_path / "disk") == ["out"]
    assert visible(tmp_path / "disk" / "out") == [MARKER, "b"]


KILLED = """
import os, signal, sys
from pathlib import Path
from fourreal.core import atomic
calls = 0
def killed(function):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call
os.replace, atomic._exchange = killed(os.replace), killed(atomic._exchange)
if sys.argv[3] == "two renames": atomic._exchange = lambda *_: False
atomic.shutil.rmtree = killed(atomic.shutil.rmtree)
with atomic.atomic_folder(Path(sys.argv[1]), overwrite=True) as partial: (partial / "new").write_text("new")
"""


@pytest.mark.parametrize("way", ["swap", "two renames"])
@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_a_kill_at_any_moment_leaves_the_old_or_the_new_folder(tmp_path: Path, call: int, way: str) -> None:
    target = tmp_path / "out"
    write(target, "old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(target), str(call), way], check=False)
    assert done.returncode in (0, -signal.SIGKILL)
    if way == "two renames" and not target.exists():
        # Systems that cannot swap: the old one lies aside, and the next write finds it and asks before replacing it.
        with pytest.raises(InputError, match="already exists"):
            write(target, "again", overwrite=False)
    assert visible(target) in ([MARKER, "old"], [MARKER, "new"])


def test_without_a_swap_a_folder_is_replaced_by_two_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fourreal.core.atomic._exchange", lambda *_: False)
    write(tmp_path / "out", "a")
    write(tmp_path / "out", "b")
    assert visible(tmp_path / "out") == [MARKER, "b"]
    assert visible(tmp_path) == ["out"]
