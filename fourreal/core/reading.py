"""Reading files of unknown origin: one `InputError` for every failure, sizes checked before memory is allocated."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from fourreal.core.errors import InputError
from fourreal.core.plain_text import plain

MAX_TEXT_BYTES = 256 << 20
MAX_PIXELS = 1 << 26
"""Of one picture or video frame: 8192 x 8192, 0.8 GB as float32."""


@contextlib.contextmanager
def reading(where: str | Path, expected: str = "") -> Iterator[None]:
    """Turn any exception of a block that parses a file into one InputError that names the file.

    Wrap only what parses: an error of our own code in the block would be blamed on the file.

    Args:
        where: the file, or a place in it.
        expected: what the file should be, for the message.
    """
    try:
        yield
    except InputError as error:
        text = str(error)
        raise InputError(text if str(where) in text else f"{where}: {text}") from error
    except Exception as error:
        reason = getattr(error, "strerror", None) or plain(error, 160) or type(error).__name__
        if isinstance(error, KeyError):
            reason = f"{reason} is missing"
        hint = f"; expected {expected}" if expected else "" if isinstance(error, OSError) else "; it is damaged"
        raise InputError(f"{where} cannot be read ({reason}){hint}") from error


def read_bytes(path: str | Path, most: int = MAX_TEXT_BYTES) -> bytes:
    """A whole file of at most `most` bytes. Raises InputError when it is larger, OSError when it is missing."""
    size = os.stat(path).st_size
    if size > most:
        raise InputError(f"{path} has {size:,} bytes; expected at most {most:,}")
    return Path(path).read_bytes()


def read_text(path: str | Path, expected: str = "a text file") -> str:
    """A whole UTF-8 file. Raises InputError when it is missing, too large or no text."""
    with reading(path, expected):
        return read_bytes(path).decode("utf-8")


def read_array(file: Any, most: int) -> np.ndarray:
    """An array in NumPy's `.npy` format from an open file; its declared size is checked first.

    Raises:
        InputError: it declares more than `most` bytes, or holds Python objects.
    """
    from numpy.lib import format as npy

    version = npy.read_magic(file)
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = header(file)
    size = dtype.itemsize * int(np.prod(shape, dtype=object))
    if dtype.hasobject or not 0 <= size <= most:
        raise InputError(f"expected an array of numbers of at most {most:,} bytes; the header declares {size:,}")
    values = np.frombuffer(file.read(size), dtype).reshape(shape, order="F" if fortran else "C")
    return values.astype(dtype.newbyteorder("="))


def require_memory(needed: int, where: str | Path) -> None:
    """Refuse sizes larger than this machine's memory. Raises InputError."""
    if not hasattr(os, "sysconf"):
        return
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > available:
        raise InputError(
            f"{where} would need {needed / 2**30:.1f} GiB of memory, this machine has {available / 2**30:.1f} GiB"
        )


def require_pixels(height: int, width: int, where: str | Path) -> None:
    """Refuse pictures of more than `MAX_PIXELS`. Raises InputError."""
    if height * width > MAX_PIXELS:
        raise InputError(
            f"{where} is {height} x {width} pixels (height x width); at most {MAX_PIXELS / 1e6:.0f} million are read, "
            "scale it down first"
        )


def inside(folder: Path, name: str, where: str, *, follow_links: bool = False) -> Path:
    """The path of a file that another file names, which must lie in `folder`.

    Args:
        where: the place of the name, for the message.
        follow_links: allow links that lead out of the folder.

    Raises:
        InputError: the name is absolute, leads out of the folder, or is not portable.
    """
    pure, shown = PurePosixPath(name), plain(name, 80)
    # A drive or a backslash is harmless on this system and an escape on another.
    escapes = pure.is_absolute() or ".." in pure.parts or PureWindowsPath(name).anchor or "\\" in name
    if escapes or not pure.parts:
        raise InputError(f"{where}: expected a file inside {folder}, got the path '{shown}'")
    path = folder / pure
    if not follow_links and not _resolved(path).is_relative_to(_resolved(folder)):
        raise InputError(
            f"{where}: '{shown}' is a link to a file outside {folder}; copy the file, or allow links to be followed"
        )
    return path


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name the system refuses: opening it will say so
        return path.absolute()
