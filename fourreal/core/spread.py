"""A few of many, evenly spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def evenly_spread(items: Sequence[Item], at_most: int) -> list[Item]:
    """Up to `at_most` of the items at equal distances, first and last among them; the first alone for one."""
    count = min(len(items), at_most)
    return [items[round(place * (len(items) - 1) / max(count - 1, 1))] for place in range(count)]
