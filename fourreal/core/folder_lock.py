"""One process at a time in a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from fourreal.core.atomic import remove_leftovers
from fourreal.core.errors import InputError

LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder while the block runs. The lock dies with the process, however it dies.

    What a killed run was writing, in the folder or in one of its own within, is removed first.

    A `.lock` that is a symbolic link is refused, and what it points at is not touched.

    Raises:
        InputError: another run is in it, or the folder cannot be made or written to.
    """
    file = folder / LOCK
    if file.is_symlink():
        raise InputError(f"{file} is a symbolic link, which is not followed; delete it, or choose another folder")
    lock = FileLock(file, blocking=False, thread_local=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise InputError(f"{folder} is in use by another run; wait for it, or choose another folder") from None
    except OSError as error:
        raise InputError(f"cannot write {folder} ({error.strerror}); choose a folder you may write to") from error
    try:
        remove_leftovers(folder)
        for inner in folder.iterdir():
            # A folder with a lock of its own is another run's.
            if inner.is_dir() and not inner.is_symlink() and not (inner / LOCK).exists():
                remove_leftovers(inner)
        yield
    finally:
        lock.release()
