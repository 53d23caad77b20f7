"""Jobs are done one at a time and in order, tell how far they are, and end in exactly one way."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from fourreal.app.desk import OUR_FAULT, Desk, Ticket
from fourreal.core.errors import InputError
from fourreal.job.watch import StagePlace, Watcher

PATIENCE_S = 30.0


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk(most_waiting=3)
    yield desk
    desk.close()


class Held:
    """A job that begins, then waits to be let go."""

    def __init__(self, desk: Desk) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.ticket = desk.hand_in(self._work)

    def _work(self, job: Ticket) -> None:
        with job.step("generate") as progress:
            self.begun.set()
            assert self.go_on.wait(PATIENCE_S)
            progress(1, 2)

    def release(self) -> None:
        self.go_on.set()
        assert self.ticket.wait(PATIENCE_S)


def done(ticket: Ticket) -> str:
    assert ticket.wait(PATIENCE_S)
    return ticket.view().phase


def test_jobs_run_one_after_the_other_in_order(desk: Desk) -> None:
    order, first = [], Held(desk)
    assert first.begun.wait(PATIENCE_S)
    others = [desk.hand_in(lambda job, name=name: order.append(name)) for name in "abc"]
    assert [ticket.view().ahead for ticket in others] == [1, 2, 3]
    assert [ticket.view().phase for ticket in (first.ticket, *others)] == ["running", *["waiting"] * 3]
    assert order == []
    first.release()
    assert [done(ticket) for ticket in others] == ["finished"] * 3
    assert order == ["a", "b", "c"]


def test_more_than_can_wait_are_turned_away(desk: Desk) -> None:
    first = Held(desk)
    assert first.begun.wait(PATIENCE_S)
    for _ in range(3):
        desk.hand_in(lambda job: None)
    with pytest.raises(InputError, match="3 jobs are waiting already"):
        desk.hand_in(lambda job: None)
    first.release()


def test_a_running_job_stops_at_its_next_step_and_a_waiting_one_never_begins(desk: Desk) -> None:
    first, ran = Held(desk), []
    waiting = desk.hand_in(lambda job: ran.append(1))
    assert first.begun.wait(PATIENCE_S)
    waiting.stop()
    first.ticket.stop()
    first.release()
    assert first.ticket.view().phase == done(waiting) == "stopped"
    assert ran == []


def test_a_failure_is_one_sentence_and_a_bug_is_not_shown_and_both_let_others_on(desk: Desk) -> None:
    def wrong(job: Ticket) -> None:
        raise InputError("the clip is empty; give another")

    def broken(job: Ticket) -> None:
        raise RuntimeError("secret detail")

    tickets = [desk.hand_in(work) for work in (wrong, broken, lambda job: None)]
    assert [done(ticket) for ticket in tickets] == ["failed", "failed", "finished"]
    assert [ticket.view().error for ticket in tickets] == ["the clip is empty; give another", OUR_FAULT, ""]


def test_a_ticket_sees_what_a_run_tells(desk: Desk) -> None:
    views = []

    def work(job: Ticket) -> None:
        assert isinstance(job, Watcher)
        job.reused(StagePlace("import", 1, 2))
        with job.stage(StagePlace("generate", 2, 2)) as progress:
            for step in range(3):
                progress(step, 4)
                views.append(job.view())
        job.note("mind this")
        job.note("mind this")

    ticket = desk.hand_in(work)
    assert done(ticket) == "finished"
    assert [(v.stages[-1].done, v.stages[-1].total, v.stages[-1].status) for v in views] == [
        (0, 4, "running"),
        (1, 4, "running"),
        (2, 4, "running"),
    ]
    assert views[0].stages[-1].seconds_left is None, "no pace is known after one report"
    assert views[2].stages[-1].seconds_left is not None
    end = ticket.view()
    assert [(stage.name, stage.status) for stage in end.stages] == [("import", "kept"), ("generate", "made")]
    assert end.notes == ("mind this",)


def test_closing_stops_everything(desk: Desk) -> None:
    first = Held(desk)
    assert first.begun.wait(PATIENCE_S)
    waiting = desk.hand_in(lambda job: None)
    first.go_on.set()
    desk.close()
    assert first.ticket.view().phase == waiting.view().phase == "stopped"
