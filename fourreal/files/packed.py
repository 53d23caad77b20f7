"""Small web formats of one moment: `.spz`, `.splat` and `.sog`. All are lossy; `docs/formats.md` says how much."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Literal

from fourreal.core.atomic import atomic_file
from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians
from fourreal.files.ply import from_gsplat_data, to_gsplat_data, write_ply

_SPZ_POSITION_BITS = 23  # and a sign
_SPZ_FINEST_BITS = 16


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
    """Read an `.spz`. Raises InputError when it is missing or damaged."""
    import gsply

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected an .spz of 3D Gaussians")
    try:
        return from_gsplat_data(gsply.read_spz(path))
    except (ValueError, OSError, EOFError, MemoryError) as error:
        raise InputError(f"{path} cannot be read as .spz ({error})") from error


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
