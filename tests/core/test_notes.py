"""Notes to the user: collected or printed, each once, other warnings left alone."""

import warnings

import pytest

from fourreal.core.notes import UserNote, collected_notes, notify, printed_notes


def test_notes_are_collected_once_each_and_in_order_also_when_the_block_fails() -> None:
    notes: list[str] = []
    with pytest.raises(RuntimeError), collected_notes(notes):
        for sentence in ("first", "second", "first"):
            notify(sentence)
        warnings.warn("not for the user", DeprecationWarning, stacklevel=1)
        raise RuntimeError
    assert notes == ["first", "second"]


def test_printed_notes_are_one_line_each_with_their_count(capsys: pytest.CaptureFixture[str]) -> None:
    with printed_notes():
        notify("said twice")
        notify("said twice")
        notify("said once")
    assert capsys.readouterr().err.splitlines() == ["fourreal: said twice (2 times)", "fourreal: said once"]


def test_all_warnings_are_printed_where_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with printed_notes(all_warnings=True):
        warnings.warn("from a library", RuntimeWarning, stacklevel=1)
    assert capsys.readouterr().err == "fourreal: from a library\n"


def test_without_a_collector_a_note_is_a_python_warning() -> None:
    with pytest.warns(UserNote, match="a note"):
        notify("a note")
