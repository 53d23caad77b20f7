"""Outputs appear whole or not at all: write beside the target, then rename.

A killed run, a full disk or an exception leaves the previous output untouched. Leftovers are
named `.<target>.<random>.partial`, live beside the target and never look like a result.
A folder is replaced only if this project wrote it: `.fourreal` in it says so.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from fourreal.core.errors import InputError

MARKER = ".fourreal"
_MANIFESTS = ("cameras.json", "scene.json", "config.json", "model_index.json", "view_time.json", "state.json")
_LEFTOVER = re.compile(r"\.(?P<name>.+)\.[0-9a-f]+\.(partial(\..+)?|previous)")
_HERE, _SWAP = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux; RENAME_SWAP of macOS has the same value


@contextlib.contextmanager
def atomic_file(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path to write to; on success it becomes `target`, on any error it is removed.

    The temporary name keeps the target's suffix because encoders choose the format by it.

    Raises:
        InputError: the folder cannot be created or written, or the disk is full.
    """
    target = Path(target)
    if target.is_dir():
        raise InputError(f"{target} is a folder; expected a file name to write to")
    partial = target.with_name(f".{target.stem}.{secrets.token_hex(4)}.partial{target.suffix}")
    with _readable_os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(target: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty folder to fill; on success it becomes `target`, on any error it is removed.

    Args:
        target: the folder to create.
        overwrite: replace an existing `target` that this project wrote. The two are swapped in one step where
            the system can; elsewhere a kill may leave the old one aside, and the next write puts it back.

    Raises:
        InputError: `target` exists and `overwrite` is False or others wrote it, or it cannot be written.
    """
    shown, target = target, Path(os.path.realpath(target))  # a link stays, and the folder it leads to is written
    if target.is_file():
        raise InputError(f"{shown} is a file; expected a folder name to write to")
    _restore(target)
    if target.exists() and any(target.iterdir()):
        if not overwrite:
            raise InputError(f"{shown} already exists and is not empty; choose another name or overwrite it")
        if not _is_ours(target):
            raise InputError(
                f"{shown} holds files that fourreal did not write, so it is not replaced; choose another name or "
                "remove it yourself"
            )
    token = secrets.token_hex(4)
    partial = target.with_name(f".{target.name}.{token}.partial")
    with _readable_os_errors(target):
        partial.mkdir(parents=True)
        try:
            yield partial
            if not _is_partial(target.parent):
                (partial / MARKER).write_text("Written by fourreal, which may replace this folder.\n", encoding="utf-8")
            if not target.exists():
                os.replace(partial, target)
            elif not _exchange(partial, target):
                previous = target.with_name(f".{target.name}.{token}.previous")
                os.replace(target, previous)
                try:
                    os.replace(partial, target)
                except BaseException:
                    os.replace(previous, target)
                    raise
                shutil.rmtree(previous)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes were writing in a folder, and put back what they left aside.

    For a folder that no other process writes to now, as one that is locked.
    """
    for path in sorted(folder.iterdir()):
        found = _LEFTOVER.fullmatch(path.name)
        if found is None:
            continue
        target = folder / found["name"]
        if path.suffix == ".previous" and not target.exists():
            os.replace(path, target)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _exchange(first: Path, second: Path) -> bool:
    """Swap two folders in one step, so that a kill finds the old or the new one. False where the system cannot."""
    if sys.platform not in ("linux", "darwin"):
        return False
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(first), os.fsencode(second)
    try:
        if sys.platform == "darwin":
            return libc.renamex_np(*names, _SWAP) == 0
        return libc.renameat2(_HERE, names[0], _HERE, names[1], _SWAP) == 0
    except AttributeError:  # a C library without the call
        return False


def _restore(target: Path) -> None:
    """Put back what a kill between two renames left aside, where folders cannot be swapped in one step."""
    left = sorted(target.parent.glob(f".{glob.escape(target.name)}.*.previous")) if target.parent.is_dir() else []
    if left and not target.exists():
        os.replace(left[-1], target)


def _is_ours(folder: Path) -> bool:
    """It has the marker, or a manifest of a version that wrote none."""
    if (folder / MARKER).is_file():
        return True
    for name in _MANIFESTS:
        with contextlib.suppress(OSError):
            content = (folder / name).read_bytes()
            if any(word in content for word in (b"fourreal", b"trained_steps", b"ViewTime", b"base_shape", b"pieces")):
                return True
    return False


def _is_partial(folder: Path) -> bool:
    return any(part.startswith(".") and part.endswith(".partial") for part in folder.parts)


@contextlib.contextmanager
def _readable_os_errors(target: Path) -> Iterator[None]:
    if _is_partial(target.parent):
        # Inside an atomic folder: let that folder's own guard name the place the user asked for.
        yield
        return
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise InputError(
                f"no space left on the disk while writing {target}; free some or choose another"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise InputError(f"cannot write {target} ({error.strerror}); choose a folder you may write to") from error
        raise
