"""One calm progress bar with an honest time left; plain lines where there is no terminal.

The estimate is the mean pace so far, which needs no tuning and does not jump; it is withheld
until two steps are done, because the first step often pays for compilation.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

PLAIN_LINE_EVERY_S = 5.0
_quiet = False


@runtime_checkable
class Progress(Protocol):
    """What a long job calls after each step; jobs take it as an argument and never draw."""

    def __call__(self, done: int, total: int) -> None: ...


def silent(done: int, total: int) -> None:
    """A `Progress` that shows nothing."""


def set_quiet(quiet: bool) -> None:
    """Turn all progress display of this process off or on (the command line's --quiet)."""
    global _quiet
    _quiet = quiet


@contextlib.contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """Show a job's progress on standard error while the block runs."""
    if _quiet:
        yield silent
    elif sys.stderr.isatty():
        with _rich_bar(label) as report:
            yield report
    else:
        yield _PlainLines(label)


class _PlainLines:
    def __init__(self, label: str) -> None:
        self.label, self.started, self.printed = label, time.monotonic(), 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done < total and now - max(self.printed, self.started) < PLAIN_LINE_EVERY_S:
            return
        self.printed = now
        elapsed = now - self.started
        if done >= total:
            timing = f"done in {elapsed:.1f} s"
        else:
            timing = f"about {remaining_s(elapsed, done, total):.0f} s left" if done >= 2 else "estimating"
        print(f"{self.label}: {done}/{total}, {timing}", file=sys.stderr, flush=True)


def remaining_s(elapsed_s: float, done: int, total: int) -> float:
    """Seconds left at the mean pace so far."""
    return elapsed_s / max(done, 1) * (total - done)


@contextlib.contextmanager
def _rich_bar(label: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=None, left="")
        started = time.monotonic()

        def report(done: int, total: int) -> None:
            seconds = remaining_s(time.monotonic() - started, done, total)
            bar.update(task, completed=done, total=total, left=f"{seconds:.0f} s left" if 2 <= done < total else "")

        yield report
