"""Indices of a few items out of many, at equal distances."""

from __future__ import annotations


def linspace_indices(length: int, at_most: int) -> list[int]:
    """Up to `at_most` indices below `length` at equal distances, first and last among them; the first alone for one."""
    count = min(length, at_most)
    return [round(place * (length - 1) / max(count - 1, 1)) for place in range(count)]
