"""Text from files, such as captions and names, made harmless for a terminal and for Markdown."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

_MARKUP = re.compile(r"([\\`*_\[\]<>|~])")


def plain(value: object, most: int = 0, *, markup: Literal["none", "markdown"] = "none") -> str:
    """A value as one line without control characters: what moves a cursor or reverses text becomes a space.

    Args:
        most: shorten to so many characters; 0 keeps all.
        markup: "markdown" also escapes what Markdown and HTML would interpret.
    """
    shown = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in str(value))
    shown = " ".join(shown.split())
    if most and len(shown) > most:
        shown = shown[: most - 3] + "..."
    return _MARKUP.sub(r"\\\1", shown).replace("\\<", "&lt;").replace("\\>", "&gt;") if markup == "markdown" else shown
