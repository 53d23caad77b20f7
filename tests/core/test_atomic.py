"""Outputs appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from fourreal.core.atomic import atomic_file, atomic_folder
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
    assert visible(target) == ["b"]
    with pytest.raises(RuntimeError), atomic_folder(target, overwrite=True) as partial:
        (partial / "c").write_text("3")
        raise RuntimeError
    assert visible(target) == ["b"]
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
