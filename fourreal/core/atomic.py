"""Outputs appear whole or not at all: write beside the target, then rename.

A killed run, a full disk or an exception leaves the previous output untouched. Leftovers are
named `.<target>.<random>.partial`, live beside the target and never look like a result.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from fourreal.core.errors import InputError

LONGEST_NAME = 200
"""Bytes; file systems take 255, and the name of what is being written is longer than the target's."""


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
    require_writable(target)
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
        overwrite: replace an existing `target`. The old one is moved aside first, so at no
            moment does a mixture of old and new exist.

    Raises:
        InputError: `target` exists and `overwrite` is False, or it cannot be written.
    """
    target = Path(target)
    require_free_folder(target, overwrite=overwrite)
    token = secrets.token_hex(4)
    partial = target.with_name(f".{target.name}.{token}.partial")
    with _readable_os_errors(target):
        partial.mkdir(parents=True)
        try:
            yield partial
            if target.exists():
                previous = target.with_name(f".{target.name}.{token}.previous")
                os.replace(target, previous)
                os.replace(partial, target)
                shutil.rmtree(previous)
            else:
                os.replace(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def require_free_folder(target: Path, *, overwrite: bool = False) -> None:
    """What `atomic_folder` asks of a target, for whoever computes for long before writing it.

    Raises:
        InputError: it is a file, or holds something that is not to be replaced, or nothing can be made there.
    """
    require_writable(target)
    if target.is_file():
        raise InputError(f"{target} is a file; expected a folder name to write to")
    if target.exists() and any(target.iterdir()) and not overwrite:
        raise InputError(f"{target} already exists and is not empty; choose another name or overwrite it")


def require_writable(target: Path) -> None:
    """Raises InputError where nothing of that name can be made, as far as can be told in advance."""
    for name in target.parts:
        if len(name.encode()) > LONGEST_NAME:
            raise InputError(f"'{name[:40]}...' is too long a name; choose one of up to {LONGEST_NAME} bytes")
    above = next(parent for parent in target.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise InputError(f"cannot write {target} ({above} is not a folder you may write to); choose another place")


@contextlib.contextmanager
def _readable_os_errors(target: Path) -> Iterator[None]:
    if any(part.startswith(".") and part.endswith(".partial") for part in target.parent.parts):
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
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT):
            raise InputError(f"cannot write {target} ({error.strerror}); choose a folder you may write to") from error
        raise
