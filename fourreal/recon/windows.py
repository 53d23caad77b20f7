"""Which times go through the network together, so that memory stays bounded however long a grid is.

Temporal attention runs within a window. Windows are full, overlap, and each answers for the times
it is best placed for; every window after the first also sees the first time, whose cameras all
share and whose depth gives the scale in which the window's answer came out. To the network a window is
a row of consecutive steps. A chunk is a number of whole windows, so how many go through at once
cannot change the output for any of them.

Source: 4Real-Video-V2, section 3.2 (cameras of the first time); Table S3, where 16 views x 16 times
at once ran out of memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from fourreal.core.errors import InputError


@dataclass(frozen=True)
class Window:
    """Times that see each other.

    Attributes:
        times: columns of the grid, the first of them always column 0.
        answers: places in `times` whose result is kept.
    """

    times: tuple[int, ...]
    answers: tuple[int, ...]


def plan_windows(times: int, size: int, overlap: int) -> tuple[Window, ...]:
    """Cover `times` columns with windows of `size`; each column is answered for exactly once.

    Args:
        size: times in a window; 0 takes all at once.
        overlap: times that neighbouring windows have in common, the first time not counted.

    Raises:
        InputError: a window is too small to advance.
    """
    if size < 0 or overlap < 0:
        raise InputError(f"window sizes and overlaps cannot be negative; got {size} and {overlap}")
    if size == 0 or times <= size:
        return (Window(tuple(range(times)), tuple(range(times))),)
    # Column 0 joins every window, so the others move over columns 1 ... times - 1.
    length = size - 1
    if length - overlap < 1:
        raise InputError(
            f"a window of {size} times with an overlap of {overlap} cannot advance; "
            f"the overlap can be at most {max(size - 2, 0)}"
        )
    starts = [*range(1, times - length, length - overlap), times - length]
    windows = []
    answered = 0
    for index, start in enumerate(starts):
        stop = start + length
        last = stop if index == len(starts) - 1 else (starts[index + 1] + stop + 1) // 2
        window = (0, *range(start, stop))
        windows.append(Window(window, tuple(i for i, time in enumerate(window) if answered <= time < last)))
        answered = last
    return tuple(windows)
