"""Content hashes: what tells whether an input, a model or a result is still the same."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def hash_path(path: Path) -> str:
    """SHA-256 of a file, or of a folder's visible files with their names."""
    if path.is_file():
        return _hash_file(path)
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        inner = file.relative_to(path)
        if file.is_file() and not any(part.startswith(".") for part in inner.parts):
            digest.update(f"{inner.as_posix()}\0{_hash_file(file)}\0".encode())
    return digest.hexdigest()


def hash_values(values: Any) -> str:
    """SHA-256 of plain JSON values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _hash_file(file: Path) -> str:
    # The model hub's cache names a large file by its SHA-256 and links to it: gigabytes need not be read again.
    if file.is_symlink() and _SHA256.fullmatch(file.resolve().name):
        return file.resolve().name
    digest = hashlib.sha256()
    with file.open("rb") as handle:
        while block := handle.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()
