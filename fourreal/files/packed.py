"""Small web formats of one moment: `.spz`, `.splat` and `.sog`. All are lossy; `docs/formats.md` says how much."""

from __future__ import annotations

import gzip
import math
import struct
import tempfile
from pathlib import Path
from typing import Literal

from fourreal.core.atomic import atomic_file
from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians
from fourreal.core.reading import reading, require_memory
from fourreal.files.ply import from_gsplat_data, to_gsplat_data, write_ply

_SPZ_POSITION_BITS = 23  # and a sign
_SPZ_FINEST_BITS = 16
_SPZ_BYTES = 20  # of one Gaussian without its harmonics
_SPZ_EXTENSIONS = 1 << 20
_SPZ_ALWAYS, _SPZ_RATIO = 64 << 20, 100  # unpacked bytes that are always read; beyond, how well real scenes pack


def write_spz(path: str | Path, gaussians: Gaussians) -> None:
    """Write an `.spz` (version 3, gzip), atomically.

    Positions are fixed point in 24 bits; the step is 2^-16 world units, coarser only where a
    scene reaches further than 128 units from the origin.

    Raises:
        InputError: no Gaussians, positions further out than the format can say, or the file
            cannot be written.
    """
    import gsply

    _require_some(gaussians, ".spz")
    reach = float(gaussians.means.abs().max())
    bits = min(_SPZ_FINEST_BITS, _SPZ_POSITION_BITS - math.ceil(math.log2(max(reach, 1.0) * 1.0001)))
    if bits < 1:
        raise InputError(f"an .spz reaches 4 million units from the origin; this scene reaches {reach:.3g}")
    with atomic_file(path) as partial:
        gsply.write_spz(partial, to_gsplat_data(gaussians), fractional_bits=bits)


def read_spz(path: str | Path) -> Gaussians:
    """Read an `.spz`. Raises InputError when it is missing, damaged, or larger unpacked than its header declares."""
    import gsply

    with reading(path, "a whole .spz of 3D Gaussians"):
        _require_payload(Path(path))
        return from_gsplat_data(gsply.read_spz(path))


def _require_payload(path: Path) -> None:
    """Refuse a file that unpacks to more than its header declares, or declares more than any real scene packs so small.

    Source: Niantic's specification of `.spz`, the header of 16 bytes.
    """
    with path.open("rb") as plain_file:
        packed, size = plain_file.read(2) == b"\x1f\x8b", path.stat().st_size
    with gzip.open(path) if packed else path.open("rb") as file:
        magic, _, count, degree = struct.unpack("<4sIIB", file.read(13))
        if magic != b"NGSP" or degree > 3:
            raise ValueError("no .spz header")
        most = _SPZ_EXTENSIONS + count * (_SPZ_BYTES + 3 * ((degree + 1) ** 2 - 1))
        if most > max(_SPZ_ALWAYS, _SPZ_RATIO * size):
            raise ValueError(f"the header declares {count:,} Gaussians, more than {size:,} bytes can hold")
        require_memory(12 * most, path)
        length = 13
        while packed and (piece := file.read(1 << 20)):
            length += len(piece)
            if length > most:
                raise ValueError(f"the header declares {count:,} Gaussians, and more follows")


def write_splat(path: str | Path, gaussians: Gaussians) -> None:
    """Write a `.splat`, atomically: 32 bytes each, no view-dependent colour.

    Raises:
        InputError: no Gaussians, or the file cannot be written.
    """
    _convert(path, gaussians, "splat")


def write_sog(path: str | Path, gaussians: Gaussians) -> None:
    """Write a `.sog` (version 2 bundle: WebP pictures in a zip), atomically. The Gaussians change order.

    Raises:
        InputError: no Gaussians, or the file cannot be written.
    """
    _convert(path, gaussians, "sog")


def _convert(path: str | Path, gaussians: Gaussians, kind: Literal["splat", "sog"]) -> None:
    import gaussforge

    _require_some(gaussians, f".{kind}")
    with tempfile.TemporaryDirectory() as folder:
        write_ply(Path(folder) / "moment.ply", gaussians)
        plain = (Path(folder) / "moment.ply").read_bytes()
    converted = gaussforge.GaussForge().convert(plain, "ply", kind)
    if "error" in converted:
        raise InputError(f"{path} cannot be written as .{kind}: {converted['error']}")
    with atomic_file(path) as partial:
        partial.write_bytes(converted["data"])


def _require_some(gaussians: Gaussians, kind: str) -> None:
    if not len(gaussians):
        raise InputError(f"a {kind} file cannot be empty, and this moment has no Gaussians; leave it out")
