"""One progress bar with the time left; plain lines where there is no terminal.

The estimate is the mean pace since the first report, which needs no tuning and does not jump. What was done before
that report does not count: the first step often pays for compilation, and a resumed job begins far from zero.
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


def part_of(progress: Progress, number: int, count: int) -> Progress:
    """Progress of one of `count` jobs as progress of all of them; jobs of different lengths count alike."""

    def report(done: int, total: int) -> None:
        progress(number * total + done, count * total)

    return report


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
        self.pace = Pace()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        left = self.pace.seconds_left(done, total, now)
        if done < total and now - max(self.printed, self.started) < PLAIN_LINE_EVERY_S:
            return
        self.printed = now
        if done >= total:
            timing = f"done in {now - self.started:.1f} s"
        else:
            timing = "estimating" if left is None else f"about {left:.0f} s left"
        print(f"{self.label}: {done}/{total}, {timing}", file=sys.stderr, flush=True)


class Pace:
    """How fast a job goes on, from its own reports."""

    def __init__(self) -> None:
        self.first: tuple[int, float] | None = None

    def seconds_left(self, done: int, total: int, now: float) -> float | None:
        """Seconds left at the mean pace since the first report; None while there is no pace yet."""
        if self.first is None or done < self.first[0]:
            self.first = (done, now)
        since, started = self.first
        return None if done == since else (now - started) / (done - since) * (total - done)


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
        pace = Pace()

        def report(done: int, total: int) -> None:
            seconds = pace.seconds_left(done, total, time.monotonic())
            left = "" if seconds is None or done >= total else f"{seconds:.0f} s left"
            bar.update(task, completed=done, total=total, left=left)

        yield report
