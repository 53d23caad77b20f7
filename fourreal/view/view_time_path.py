"""Paths through the view-time plane: view and time of the camera, frame by frame.

A path is a polyline of waypoints `(view, time)`, both indices into a grid or a rig. In a grid it goes
from cell to cell; in a scene it is continuous.
"""

from __future__ import annotations

import itertools
from typing import Literal

from fourreal.core.errors import InputError

Move = Literal["play", "freeze", "bullet", "sweep"]
"""play: the camera stays, time runs. freeze: time stays, the camera goes through all views and back.
bullet: time runs, stops, the camera goes through all views and back, time runs on.
sweep: the camera goes through all views and back while time runs."""

Waypoint = tuple[int, int]


def waypoints(move: Move, views: int, times: int, view: int = 0, stop_time: int | None = None) -> tuple[Waypoint, ...]:
    """The corners of a move over a plane of `views` x `times`.

    Args:
        view: plays, or is where a bullet-time move starts and ends.
        stop_time: the time that freezes; the middle one when None.

    Raises:
        InputError: the view or the time to stop at is not there, or the camera is to move with one view only.
    """
    last_view, last_time = views - 1, times - 1
    stop = last_time // 2 if stop_time is None else stop_time
    if not 0 <= view <= last_view:
        raise InputError(f"view {view} was asked for; there are views 0 to {last_view}")
    if not 0 <= stop <= last_time:
        raise InputError(f"time {stop} was asked for; there are times 0 to {last_time}")
    if move != "play" and views < 2:
        raise InputError(f"a '{move}' movie moves the camera and needs at least 2 views; got {views}; use 'play'")
    if move == "play":
        return (view, 0), (view, last_time)
    if move == "freeze":
        return (0, stop), (last_view, stop), (0, stop)
    if move == "bullet":
        return (view, 0), (view, stop), (last_view, stop), (0, stop), (view, stop), (view, last_time)
    return (0, 0), (last_view, last_time // 2), (0, last_time)


def cell_path(corners: tuple[Waypoint, ...]) -> list[Waypoint]:
    """Every cell on the path, one step (also a diagonal one) at a time, none twice in a row."""
    cells = [corners[0]]
    for (view_a, time_a), (view_b, time_b) in itertools.pairwise(corners):
        steps = max(abs(view_b - view_a), abs(time_b - time_a))
        for step in range(1, steps + 1):
            fraction = step / steps
            cells.append((round(view_a + (view_b - view_a) * fraction), round(time_a + (time_b - time_a) * fraction)))
    return cells
