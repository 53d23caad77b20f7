"""Carry a training run away in small files, and put it together again where it goes on.

    python scripts/pack_run.py pack runs/gpu/video --out DIR [--what logs models state] [--limit-mb 60]
    python scripts/pack_run.py unpack runs/gpu/video --out DIR

logs: manifest, log, plots and the newest samples. models: what training has exported, base and delta where there are
both. state: the newest checkpoint, from which the run goes on exactly. Groups are packed in the order given as long
as they fit; what does not fit is named, to be fetched by another call. Every file is a piece of a tar that `cat` joins.
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from fourreal.core.atomic import atomic_file
from fourreal.core.errors import InputError

Group = Literal["logs", "models", "state"]


@dataclass(frozen=True)
class Limits:
    """What may be carried away at once.

    Attributes:
        piece_mb: size of a file, in 10^6 bytes.
        limit_mb: size of all.
        most_files: number of all.
    """

    piece_mb: float = 15.0
    limit_mb: float = 60.0
    most_files: int = 8

    def __post_init__(self) -> None:
        if not 0 < self.piece_mb <= self.limit_mb or self.most_files < 1:
            raise InputError(f"pieces must be positive and fit the limit, and be at least one; got {self}")


def pack(
    run: Path, out: Path, what: tuple[Group, ...] = ("logs", "models", "state"), limits: Limits = Limits()
) -> list[Group]:
    """Write the groups that fit into `out`, beside what is there. Returns those that did not fit.

    Raises:
        InputError: there is no run, or `out` cannot be written.
    """
    if not (run / "manifest.json").is_file():
        raise InputError(f"{run} holds no run to pack (manifest.json is missing)")
    out.mkdir(parents=True, exist_ok=True)
    there = [path for path in out.rglob("*") if path.is_file()]
    files, room = limits.most_files - len(there), limits.limit_mb * 1e6 - sum(path.stat().st_size for path in there)
    left_out: list[Group] = []
    for group in what:
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / "whole.tar"
            with tarfile.open(whole, "w") as archive:
                for path in _members(run, group):
                    archive.add(path, str(path.relative_to(run)))
            size = whole.stat().st_size
            count = -(-size // int(limits.piece_mb * 1e6))
            if size > room or count > files:
                left_out.append(group)
                continue
            _split(whole, out / f"{run.name}-{group}.tar", int(limits.piece_mb * 1e6))
            files, room = files - count, room - size
    return left_out


def unpack(run: Path, out: Path) -> list[Group]:
    """Put the groups of a run that lie in `out` into the run's folder; what is there is replaced.

    Raises:
        InputError: `out` holds no pieces of this run, or a piece is missing.
    """
    found: list[Group] = []
    for group in ("logs", "models", "state"):
        pieces = sorted(out.rglob(f"{run.name}-{group}.tar.*"))
        if not pieces:
            continue
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / "whole.tar"
            with whole.open("wb") as target:
                for piece in pieces:
                    target.write(piece.read_bytes())
            try:
                with tarfile.open(whole) as archive:
                    archive.extractall(run, filter="data")
            except tarfile.TarError as error:
                raise InputError(f"the pieces of {pieces[0].stem} in {out} make no whole ({error})") from error
        found.append(group)
    if not found:
        raise InputError(f"{out} holds no pieces of the run '{run.name}' ({run.name}-GROUP.tar.00 and so on)")
    return found


def _members(run: Path, group: Group) -> list[Path]:
    """What of a run belongs to a group."""
    if group == "logs":
        newest = sorted((run / "samples").glob("step-*"))[-1:]
        candidates = [run / "manifest.json", run / "log.jsonl", run / "plan.json", run / "plots", *newest]
    elif group == "models":
        both = [run / "base", run / "view_time"]
        candidates = both if all(path.is_dir() for path in both) else [run / "base", run / "model"]
    else:
        newest = sorted((run / "checkpoints").glob("step-*"))[-1:]
        candidates = [run / "manifest.json", run / "log.jsonl", run / "plan.json", *newest]
    return [path for path in candidates if path.exists()]


def _split(whole: Path, target: Path, size: int) -> None:
    with whole.open("rb") as source:
        for number in range(100):
            piece = source.read(size)
            if not piece:
                return
            with atomic_file(target.with_name(f"{target.name}.{number:02d}")) as partial:
                partial.write_bytes(piece)
    raise InputError(f"{whole} needs more than 100 pieces of {size} bytes; allow larger ones")


@dataclass(frozen=True)
class PackRun:
    """Carry a training run away in small files, or put it together again."""

    do: Annotated[Literal["pack", "unpack"], tyro.conf.Positional]
    """pack: from the run's folder into small files. unpack: back."""
    run: Annotated[Path, tyro.conf.Positional]
    """The run's folder."""
    out: Path
    """Folder with the small files."""
    what: tuple[Group, ...] = ("logs", "models", "state")
    """What to pack, most important first."""
    piece_mb: float = 15.0
    """Size of a file."""
    limit_mb: float = 60.0
    """Size of all files."""

    def go(self) -> None:
        if self.do == "unpack":
            print(f"{self.run}: {', '.join(unpack(self.run, self.out))} are back")
            return
        left_out = pack(self.run, self.out, self.what, Limits(self.piece_mb, self.limit_mb))
        print(f"{self.out}: packed {self.run.name}" + (f"; no room for {', '.join(left_out)}" if left_out else ""))


if __name__ == "__main__":
    try:
        tyro.cli(PackRun).go()
    except InputError as error:
        sys.exit(f"pack_run: {error}")
