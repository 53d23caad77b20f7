"""SHA-256 sums of a folder's files in `SHA256SUMS`, the format that `sha256sum --check` reads."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from fourreal.core.errors import InputError
from fourreal.core.reading import inside, read_text, reading

CHECKSUMS = "SHA256SUMS"


def write_checksums(folder: Path) -> None:
    """Record the sums of all files of a folder that is written completely."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    lines = [f"{_sum(folder / name)}  {name}\n" for name in names if name != CHECKSUMS]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def verify_checksums(folder: Path) -> int:
    """Compare a folder's files with the recorded sums; how many files were compared.

    Raises:
        InputError: no sums are recorded, or a file is missing or differs; the message names it.
    """
    record = folder / CHECKSUMS
    if not record.is_file():
        raise InputError(f"{folder} has no {CHECKSUMS}, so its files cannot be verified; write it again")
    lines = read_text(record).splitlines()
    for number, line in enumerate(lines, 1):
        if not (match := re.fullmatch(r"([0-9a-f]{64})  (.+)", line)):
            raise InputError(f"{record}, line {number}: expected a SHA-256 sum and a file name")
        path = inside(folder, match[2], f"{record}, line {number}")
        with reading(path):
            if _sum(path) != match[1]:
                raise InputError(f"{path} differs from its checksum in {CHECKSUMS}: it changed after it was written")
    return len(lines)


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
