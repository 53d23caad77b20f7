"""Progress is honest, and silent when asked."""

from __future__ import annotations

import pytest

from fourreal.core import progress
from fourreal.core.devices import resolve_device
from fourreal.core.errors import InputError


def test_the_time_left_is_the_mean_pace_since_the_first_report() -> None:
    pace = progress.Pace()
    assert pace.seconds_left(1, 10, now=30.0) is None, "the first step may have compiled something"
    assert pace.seconds_left(4, 10, now=36.0) == pytest.approx(12.0)
    assert pace.seconds_left(10, 10, now=48.0) == 0


def test_a_resumed_job_does_not_count_what_was_done_before() -> None:
    pace = progress.Pace()
    assert pace.seconds_left(900, 1000, now=0.0) is None
    assert pace.seconds_left(901, 1000, now=5.0) == pytest.approx(495.0)


def test_plain_lines_end_with_the_last_step(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress_bar("render") as report:
        for done in range(1, 4):
            report(done, 3)
    printed = capsys.readouterr().err.strip().splitlines()
    assert len(printed) == 1
    assert printed[0].startswith("render: 3/3, done in")


def test_a_long_job_says_how_long(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 6.0, 12.0, 18.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.progress_bar("train") as report:
        for done in range(1, 4):
            report(done, 9)
    assert capsys.readouterr().err.splitlines() == [
        "train: 1/9, estimating",
        "train: 2/9, about 42 s left",
        "train: 3/9, about 36 s left",
    ]


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    progress.set_quiet(True)
    try:
        with progress.progress_bar("render") as report:
            report(1, 1)
    finally:
        progress.set_quiet(False)
    assert capsys.readouterr().err == ""


def test_devices_are_named_or_refused() -> None:
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type in ("cpu", "cuda")
    for name in ("tpu", "mps", "cuda:99"):
        with pytest.raises(InputError):
            resolve_device(name)
