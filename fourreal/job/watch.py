"""What shows a running job: a terminal, a web page, or nothing. A run calls its watcher and draws nothing itself."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from fourreal.core.progress import Progress, progress_bar, silent
from fourreal.job.request import StageName


@runtime_checkable
class Watcher(Protocol):
    """Called by a run; `label` is a stage and its place, such as "2/5 generate".

    A run stops where its watcher raises from the progress it was given; KeyboardInterrupt is the usual way.
    """

    def stage(self, name: StageName, label: str) -> AbstractContextManager[Progress]:
        """A stage begins, and ends with the block."""
        ...

    def reused(self, name: StageName, label: str) -> None:
        """A stage was finished before and nothing it depends on has changed."""
        ...

    def note(self, sentence: str) -> None:
        """A note to the user; the run goes on."""
        ...


class Terminal:
    """A live line a stage on a terminal, plain lines elsewhere, nothing but notes after `set_quiet`."""

    def stage(self, name: StageName, label: str) -> AbstractContextManager[Progress]:
        return progress_bar(f"{label:<15}")

    def reused(self, name: StageName, label: str) -> None:
        with progress_bar(f"{label:<15} kept from before") as progress:
            progress(1, 1)

    def note(self, sentence: str) -> None:
        print(f"fourreal: {sentence}", file=sys.stderr, flush=True)


class Nobody:
    """Shows nothing."""

    @contextlib.contextmanager
    def stage(self, name: StageName, label: str) -> Iterator[Progress]:
        yield silent

    def reused(self, name: StageName, label: str) -> None: ...

    def note(self, sentence: str) -> None: ...
