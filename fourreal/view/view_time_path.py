"""Ways through the view-time plane: where the camera stands and which moment it is, frame by frame.

A way is a polyline of waypoints `(view, time)`, both indices into a grid or a rig. A grid is walked
cell by cell; a scene fills in what lies between.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

from fourreal.core.errors import InputError

Move = Literal["play", "freeze", "bullet", "sweep"]
"""play: the camera stays, time runs. freeze: time stays, the camera goes through all views and back.
bullet: time runs, stops, the camera goes through all views and back, time runs on.
sweep: the camera goes through all views and back while time runs."""

Waypoint = tuple[int, int]


@dataclass(frozen=True)
class PathStart:
    """Where a move begins or stops.

    Attributes:
        view: the view that plays, and that a bullet-time move leaves from and comes back to.
        stop_time: the time that freezes; the middle one when None.
    """

    view: int = 0
    stop_time: int | None = None


def waypoints(move: Move, views: int, times: int, start: PathStart = PathStart()) -> tuple[Waypoint, ...]:
    """The corners of a move over a plane of `views` x `times`.

    Raises:
        InputError: the view or the time to stop at is not there, or the camera is to move with one view only.
    """
    last_view, last_time = views - 1, times - 1
    stop = last_time // 2 if start.stop_time is None else start.stop_time
    if not 0 <= start.view <= last_view:
        raise InputError(f"view {start.view} was asked for; there are views 0 to {last_view}")
    if not 0 <= stop <= last_time:
        raise InputError(f"time {stop} was asked for; there are times 0 to {last_time}")
    if move != "play" and views < 2:
        raise InputError(f"a '{move}' movie moves the camera and needs at least 2 views; got {views}; use 'play'")
    here = start.view
    if move == "play":
        return (here, 0), (here, last_time)
    if move == "freeze":
        return (0, stop), (last_view, stop), (0, stop)
    if move == "bullet":
        return (here, 0), (here, stop), (last_view, stop), (0, stop), (here, stop), (here, last_time)
    return (0, 0), (last_view, last_time // 2), (0, last_time)


def cell_path(corners: tuple[Waypoint, ...]) -> list[Waypoint]:
    """Every cell on the way, one step (also a diagonal one) at a time, none twice in a row."""
    cells = [corners[0]]
    for (view_a, time_a), (view_b, time_b) in itertools.pairwise(corners):
        steps = max(abs(view_b - view_a), abs(time_b - time_a))
        for step in range(1, steps + 1):
            fraction = step / steps
            cells.append((round(view_a + (view_b - view_a) * fraction), round(time_a + (time_b - time_a) * fraction)))
    return cells
