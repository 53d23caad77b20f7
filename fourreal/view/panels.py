"""The live viewer's control panels: time, look, and the grid's frames."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from fourreal.core.grid import VideoGrid
from fourreal.core.media import to_uint8
from fourreal.view.contact_sheet import contact_sheet
from fourreal.view.layers import cell_picture, nearest
from fourreal.view.settings import SheetOptions

if TYPE_CHECKING:
    import viser

PANEL_PX = 448
PANEL_SHEET = SheetOptions(max_cell_px=128, min_cell_px=64, max_views=8, max_frames=8)
SHORTEST_STEP_S = 1 / 60


class TimePanel:
    """The moment shown: a slider over the scene's times, play and speed.

    `on_change(index)` runs once per change, never twice at the same time, and always with the newest
    index: sliders send faster than a scene can be replaced.
    """

    def __init__(self, gui: viser.GuiApi, moments: list[float], speed: float, on_change: Callable[[int], None]) -> None:
        self._moments, self._on_change = moments, on_change
        self._lock, self._stopped = threading.Lock(), threading.Event()
        several = len(moments) > 1
        with gui.add_folder("Time"):
            self.slider = gui.add_slider("Step", 0, len(moments) - 1, 1, 0, disabled=not several)
            self._clock = gui.add_text("Seconds", self._caption(0), disabled=True)
            self.playing = gui.add_checkbox("Play", False, disabled=not several)
            self.speed = gui.add_slider("Speed", 0.1, 4.0, 0.1, float(np.clip(speed, 0.1, 4.0)), disabled=not several)
        self.slider.on_update(lambda _: self._changed())
        self._player = threading.Thread(target=self._play, name="viewer-playback", daemon=True)
        self._player.start()

    @property
    def seconds(self) -> float:
        return self._moments[self.slider.value]

    def stop(self) -> None:
        """End playback for good."""
        self._stopped.set()
        self._player.join(timeout=5)

    def _changed(self) -> None:
        with self._lock:
            index = self.slider.value
            self._clock.value = self._caption(index)
            self._on_change(index)

    def _caption(self, index: int) -> str:
        return f"{self._moments[index]:.3f} of {self._moments[-1]:.3f}"

    def _play(self) -> None:
        gaps = np.diff(self._moments).tolist() or [1.0]
        gaps.append(gaps[-1])
        while not self._stopped.wait(max(gaps[self.slider.value] / self.speed.value, SHORTEST_STEP_S)):
            if self.playing.value:
                self.slider.value = (self.slider.value + 1) % len(self._moments)


class GridPanel:
    """The grid's own frames: one cell large, by view and time, and all of them as a contact sheet."""

    def __init__(self, gui: viser.GuiApi, grid: VideoGrid) -> None:
        self._grid, self._time, self._lock = grid, 0, threading.Lock()
        with gui.add_folder("Grid"):
            self.view = gui.add_slider("View", 0, grid.num_views - 1, 1, 0, disabled=grid.num_views < 2)
            self._caption = gui.add_text("Cell", self._describe(0, 0), disabled=True)
            self.frame = gui.add_image(cell_picture(grid, 0, 0, PANEL_PX), jpeg_quality=85)
        with gui.add_folder("Contact sheet", expand_by_default=False):
            sheet = to_uint8(contact_sheet(grid, PANEL_SHEET)[None])[0]
            gui.add_image(sheet, jpeg_quality=85)
        self.view.on_update(lambda _: self._refresh())

    def show(self, seconds: float) -> None:
        self._time = nearest(self._grid.seconds, seconds)
        self._refresh()

    def _refresh(self) -> None:
        with self._lock:
            view, time = self.view.value, self._time
            self._caption.value = self._describe(view, time)
            self.frame.image = cell_picture(self._grid, view, time, PANEL_PX)

    def _describe(self, view: int, time: int) -> str:
        known = "" if bool(self._grid.known[view, time]) else ", not known"
        return f"view {view}, time {time} ({float(self._grid.seconds[time]):.3f} s){known}"
