"""Notes to the user: what they should know about an input or a result that is usable all the same."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections import Counter
from collections.abc import Iterator

from fourreal.core.plain_text import plain


class UserNote(UserWarning):
    """One sentence for the user. The command line prints it as one line; in Python it is a warning."""


def notify(sentence: str) -> None:
    """Give the user a note."""
    warnings.warn(sentence, UserNote, stacklevel=3)


@contextlib.contextmanager
def collected_notes(notes: list[str]) -> Iterator[None]:
    """Add the notes given in this block to a list, each sentence once, also when the block fails."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserNote)
        try:
            yield
        finally:
            notes.extend(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, UserNote)))


@contextlib.contextmanager
def printed_notes(*, all_warnings: bool = False) -> Iterator[None]:
    """Print the notes given in this block to standard error, one line per sentence, with how often it was given.

    Args:
        all_warnings: print other warnings alike, without file names and source lines.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Warning if all_warnings else UserNote)
        yield
    counts = Counter(str(w.message) for w in caught if all_warnings or issubclass(w.category, UserNote))
    for sentence, times in counts.items():
        print(f"fourreal: {plain(sentence)}{f' ({times} times)' if times > 1 else ''}", file=sys.stderr)
