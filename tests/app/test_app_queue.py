"""Jobs are done one at a time and in order, tell how far they are, and end in exactly one way."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from fourreal.app.queue import OUR_FAULT, Job, JobQueue
from fourreal.core.errors import InputError
from fourreal.job.watch import Watcher

PATIENCE_S = 30.0


@pytest.fixture
def queue() -> Iterator[JobQueue]:
    queue = JobQueue(most_waiting=3)
    yield queue
    queue.close()


class Held:
    """A job that begins, then waits to be let go."""

    def __init__(self, queue: JobQueue) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.job = queue.submit(self._work)

    def _work(self, job: Job) -> None:
        with job.step("generate") as progress:
            self.begun.set()
            assert self.go_on.wait(PATIENCE_S)
            progress(1, 2)

    def release(self) -> None:
        self.go_on.set()
        assert self.job.wait(PATIENCE_S)


def done(job: Job) -> str:
    assert job.wait(PATIENCE_S)
    return job.view().phase


def test_jobs_run_one_after_the_other_in_order(queue: JobQueue) -> None:
    order, first = [], Held(queue)
    assert first.begun.wait(PATIENCE_S)
    others = [queue.submit(lambda job, name=name: order.append(name)) for name in "abc"]
    assert [job.view().ahead for job in others] == [1, 2, 3]
    assert [job.view().phase for job in (first.job, *others)] == ["running", *["waiting"] * 3]
    assert order == []
    first.release()
    assert [done(job) for job in others] == ["finished"] * 3
    assert order == ["a", "b", "c"]


def test_more_than_can_wait_are_turned_away(queue: JobQueue) -> None:
    first = Held(queue)
    assert first.begun.wait(PATIENCE_S)
    for _ in range(3):
        queue.submit(lambda job: None)
    with pytest.raises(InputError, match="3 jobs are waiting already"):
        queue.submit(lambda job: None)
    first.release()


def test_a_running_job_stops_at_its_next_step_and_a_waiting_one_never_begins(queue: JobQueue) -> None:
    first, ran = Held(queue), []
    waiting = queue.submit(lambda job: ran.append(1))
    assert first.begun.wait(PATIENCE_S)
    waiting.stop()
    first.job.stop()
    first.release()
    assert first.job.view().phase == done(waiting) == "stopped"
    assert ran == []


def test_a_failure_is_one_sentence_and_a_bug_is_not_shown_and_both_let_others_on(queue: JobQueue) -> None:
    def wrong(job: Job) -> None:
        raise InputError("the clip is empty; give another")

    def broken(job: Job) -> None:
        raise RuntimeError("secret detail")

    jobs = [queue.submit(work) for work in (wrong, broken, lambda job: None)]
    assert [done(job) for job in jobs] == ["failed", "failed", "finished"]
    assert [job.view().error for job in jobs] == ["the clip is empty; give another", OUR_FAULT, ""]


def test_a_ticket_sees_what_a_run_tells(queue: JobQueue) -> None:
    views = []

    def work(job: Job) -> None:
        assert isinstance(job, Watcher)
        job.reused("import", "1/2 import")
        with job.stage("generate", "2/2 generate") as progress:
            for step in range(3):
                progress(step, 4)
                views.append(job.view())
        job.note("mind this")
        job.note("mind this")

    job = queue.submit(work)
    assert done(job) == "finished"
    assert [(v.stages[-1].done, v.stages[-1].total, v.stages[-1].status) for v in views] == [
        (0, 4, "running"),
        (1, 4, "running"),
        (2, 4, "running"),
    ]
    assert views[0].stages[-1].seconds_left is None, "no pace is known after one report"
    assert views[2].stages[-1].seconds_left is not None
    end = job.view()
    assert [(stage.name, stage.status) for stage in end.stages] == [("import", "kept"), ("generate", "finished")]
    assert end.notes == ("mind this",)


def test_closing_stops_everything(queue: JobQueue) -> None:
    first = Held(queue)
    assert first.begun.wait(PATIENCE_S)
    waiting = queue.submit(lambda job: None)
    first.go_on.set()
    queue.close()
    assert first.job.view().phase == waiting.view().phase == "stopped"
