"""Who watches a run: a terminal, a web page, or nobody. A run tells its watcher everything and draws nothing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from fourreal.core.progress import Progress, progress_bar, silent
from fourreal.job.request import StageName


@dataclass(frozen=True)
class StagePlace:
    """A stage and its place in the run: "generate", the second of five."""

    name: StageName
    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count} {self.name}"


@runtime_checkable
class Watcher(Protocol):
    """What a run tells.

    A run stops where its watcher raises from the progress it was given; KeyboardInterrupt is the usual way.
    """

    def stage(self, place: StagePlace) -> AbstractContextManager[Progress]:
        """A stage begins, and ends with the block."""
        ...

    def reused(self, place: StagePlace) -> None:
        """A stage was finished before and nothing it depends on has changed."""
        ...

    def note(self, sentence: str) -> None:
        """Something the user should know, though the run goes on."""
        ...


class Terminal:
    """A live line a stage on a terminal, plain lines elsewhere, nothing but notes after `set_quiet`."""

    def stage(self, place: StagePlace) -> AbstractContextManager[Progress]:
        return progress_bar(f"{place!s:<15}")

    def reused(self, place: StagePlace) -> None:
        with progress_bar(f"{place!s:<15} kept from before") as progress:
            progress(1, 1)

    def note(self, sentence: str) -> None:
        print(f"fourreal: {sentence}", file=sys.stderr, flush=True)


class Nobody:
    """Watches nothing."""

    @contextlib.contextmanager
    def stage(self, place: StagePlace) -> Iterator[Progress]:
        yield silent

    def reused(self, place: StagePlace) -> None: ...

    def note(self, sentence: str) -> None: ...
