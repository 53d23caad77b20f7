"""Sessions are private, and their folders go when nobody is there any more and nothing writes into them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fourreal.app.queue import Job
from fourreal.app.sessions import LEFT_S, SILENT_S, Sessions
from fourreal.core.errors import InputError


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(tmp_path: Path, clock: Clock) -> Sessions:
    return Sessions(tmp_path / "sessions", clock)


def test_each_page_has_a_folder_that_only_its_token_opens(sessions: Sessions) -> None:
    one, two = sessions.open(), sessions.open()
    assert one.token != two.token
    assert len(one.token) == 32
    assert one.folder != two.folder
    assert one.folder.stat().st_mode & 0o077 == 0, "others on this machine can look into it"
    assert sessions.get(one.token) is one
    for wrong in ("", "0" * 32, one.token[:-1], "../" + one.token):
        with pytest.raises(InputError, match="load it again"):
            sessions.get(wrong)


def test_who_leaves_is_forgotten_after_a_while_unless_they_come_back(sessions: Sessions, clock: Clock) -> None:
    gone, back = sessions.open(), sessions.open()
    sessions.leave(gone.token)
    sessions.leave(back.token)
    clock.now += LEFT_S / 2
    sessions.get(back.token)
    sessions.sweep()
    assert gone.folder.is_dir()
    clock.now += LEFT_S
    sessions.sweep()
    assert not gone.folder.exists()
    assert back.folder.is_dir()
    with pytest.raises(InputError):
        sessions.get(gone.token)


def test_who_falls_silent_is_forgotten(sessions: Sessions, clock: Clock) -> None:
    silent, alive = sessions.open(), sessions.open()
    clock.now += SILENT_S * 0.9
    sessions.get(alive.token)
    clock.now += SILENT_S * 0.2
    sessions.sweep()
    assert not silent.folder.exists()
    assert alive.folder.is_dir()


def test_a_folder_stays_until_its_job_has_noticed(sessions: Sessions) -> None:
    session = sessions.open()
    job = Job(lambda job: None)
    session.jobs.append(job)
    sessions.close_all()
    sessions.sweep()
    assert job.stopping
    assert session.folder.is_dir(), "removed under the feet of a job that writes into it"
    job.end("stopped")
    sessions.sweep()
    assert not session.folder.exists()


def test_leaving_twice_or_as_a_stranger_does_no_harm(sessions: Sessions) -> None:
    sessions.leave("nobody")
    session = sessions.open()
    sessions.close(session)
    sessions.close(session)
    sessions.leave(session.token)
    sessions.sweep()
    assert not session.folder.exists()
