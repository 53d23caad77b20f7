"""Things the user should know about an input that is usable all the same."""

from __future__ import annotations

import warnings


class InputNote(UserWarning):
    """An input was padded, cut, or only partly used. The command line prints these as one line each."""


def tell(sentence: str) -> None:
    """Let the user know."""
    warnings.warn(sentence, InputNote, stacklevel=3)
