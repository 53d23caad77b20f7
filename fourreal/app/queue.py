"""One job at a time, in order of submission, and the state of each while it waits and runs."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from fourreal.core.errors import InputError
from fourreal.core.progress import Pace, Progress
from fourreal.job.request import StageName

Phase = Literal["waiting", "running", "finished", "stopped", "failed"]
"""waiting: others are before it. stopped: by a call of `stop`. failed: `error` says why."""

StageStatus = Literal["running", "finished", "kept"]

OUR_FAULT = "something went wrong inside fourreal that is not your input's fault; the log of the server has the details"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StageView:
    """State of a stage. `seconds_left` is None while there is no estimate."""

    name: str
    status: StageStatus
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    seconds_left: float | None = None


@dataclass(frozen=True, kw_only=True)
class JobView:
    """State of a job at one moment.

    Attributes:
        ahead: jobs before it.
        stages: those started so far, in order.
        notes: to the user, each once.
        error: one sentence, when it failed.
    """

    phase: Phase = "waiting"
    ahead: int = 0
    stages: tuple[StageView, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""

    @property
    def over(self) -> bool:
        return self.phase in ("finished", "stopped", "failed")


class Job:
    """A submitted job: records its progress as a `fourreal.job.watch.Watcher`, gives its state, and can stop it.

    Attributes:
        number: unique in this process.
    """

    _numbers = itertools.count(1)

    def __init__(self, work: Callable[[Job], None]) -> None:
        self.work, self.number = work, next(self._numbers)
        self._guard = threading.Lock()
        self._view = JobView()
        self._stop = threading.Event()
        self._over = threading.Event()

    def view(self) -> JobView:
        with self._guard:
            return self._view

    def stop(self) -> None:
        """Stop it at its next step, or at once while it waits."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Block until it is over. False when it is not after so many seconds."""
        return self._over.wait(seconds)

    def end(self, phase: Phase, error: str = "") -> None:
        self._change(phase=phase, error=error, ahead=0)
        self._over.set()

    def begin(self) -> None:
        self._change(phase="running", ahead=0)

    def queued_behind(self, ahead: int) -> None:
        self._change(ahead=ahead)

    # ---- called by a run --------------------------------------------------------------------

    def stage(self, name: StageName, label: str) -> contextlib.AbstractContextManager[Progress]:
        return self.step(name)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Progress]:
        """A stage of that name lasts as long as the block."""
        self._raise_if_stopped()
        started, pace = time.monotonic(), Pace()
        self._add(StageView(name=name, status="running"))

        def report(done: int, total: int) -> None:
            self._raise_if_stopped()
            now = time.monotonic()
            left = pace.seconds_left(done, total, now)
            self._replace_last(done=done, total=total, seconds=now - started, seconds_left=left)

        yield report
        self._replace_last(status="finished", seconds=time.monotonic() - started, seconds_left=None)

    def reused(self, name: StageName, label: str) -> None:
        self._raise_if_stopped()
        self._add(StageView(name=name, status="kept"))

    def note(self, sentence: str) -> None:
        with self._guard:
            self._view = replace(self._view, notes=tuple(dict.fromkeys((*self._view.notes, sentence))))

    def _raise_if_stopped(self) -> None:
        if self.stopping:
            raise KeyboardInterrupt

    def _add(self, stage: StageView) -> None:
        with self._guard:
            self._view = replace(self._view, stages=(*self._view.stages, stage))

    def _replace_last(self, **changes: float | str | None) -> None:
        with self._guard:
            *before, last = self._view.stages
            self._view = replace(self._view, stages=(*before, replace(last, **changes)))

    def _change(self, **changes: str | int) -> None:
        with self._guard:
            self._view = replace(self._view, **changes)


class JobQueue:
    """Runs jobs on one thread of its own, because networks, kernels and warnings are shared by the process."""

    def __init__(self, most_waiting: int = 16) -> None:
        self._most_waiting = most_waiting
        self._waiting: deque[Job] = deque()
        self._busy: Job | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._worker = threading.Thread(target=self._serve, name="fourreal-queue", daemon=True)
        self._worker.start()

    def submit(self, work: Callable[[Job], None]) -> Job:
        """Queue a job.

        Raises:
            InputError: too many wait already.
        """
        with self._changed:
            if len(self._waiting) >= self._most_waiting:
                raise InputError(f"{len(self._waiting)} jobs are waiting already; try again in a few minutes")
            job = Job(work)
            self._waiting.append(job)
            self._number()
            self._changed.notify()
        return job

    def close(self, seconds: float = 10.0) -> None:
        """Stop the running job, drop the waiting ones, and wait so long for the running one to end."""
        with self._changed:
            self._closed = True
            for job in (*self._waiting, *([self._busy] if self._busy else [])):
                job.stop()
            self._changed.notify()
        self._worker.join(seconds)

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._busy = None
                self._number()
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                self._busy = job = self._waiting.popleft()
                self._number()
            _do(job)

    def _number(self) -> None:
        for place, job in enumerate(self._waiting):
            job.queued_behind(place + (self._busy is not None))


def _do(job: Job) -> None:
    if job.stopping:
        job.end("stopped")
        return
    job.begin()
    try:
        job.work(job)
    except KeyboardInterrupt:
        job.end("stopped")
    except InputError as error:
        job.end("failed", str(error))
    except Exception:
        # The one place where a bug must not end the program: jobs of other people are waiting.
        _log.exception("a job failed")
        job.end("failed", OUR_FAULT)
    else:
        job.end("finished")
