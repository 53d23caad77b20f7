"""Options of contact sheets, movies, pages and the viewer. Imports no torch, so that the command line can show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fourreal.core.errors import InputError

UpAxis = Literal["automatic", "x", "-x", "y", "-y", "z", "-z"]
"""Which world axis points up; automatic: the up of the input cameras, or z without any."""
UP_AXES: tuple[UpAxis, ...] = ("automatic", "x", "-x", "y", "-y", "z", "-z")

MovieKind = Literal["play", "freeze", "bullet", "sweep", "orbit"]
"""The moves of `view_time_path.Move`, and orbit: the camera circles the scene (or swings, where the cameras saw one
side only) while time runs over and over."""


@dataclass(frozen=True, kw_only=True)
class SheetOptions:
    """How large a contact sheet may become. Raises InputError for sizes that are not positive."""

    max_cell_px: int = 192
    """Scale cells with a longer side down to this."""
    min_cell_px: int = 128
    """Enlarge smaller cells by a whole factor towards this, pixels kept crisp."""
    max_views: int = 16
    """Show at most this many rows, evenly chosen, first and last included."""
    max_frames: int = 16
    """Show at most this many columns, evenly chosen, first and last included."""
    gap_px: int = 3
    """Paper between cells."""

    def __post_init__(self) -> None:
        if min(self.max_cell_px, self.min_cell_px, self.max_views, self.max_frames) < 1 or self.gap_px < 0:
            raise InputError(f"a contact sheet needs positive sizes and a gap of at least 0; got {self}")


@dataclass(frozen=True, kw_only=True)
class MovieOptions:
    """Pace and size of a movie. Raises InputError for numbers out of their range."""

    fps: float | None = None
    """Frames per second of the file; 24 for a scene, the grid's own rate for a grid."""
    speed: float = 1.0
    """How fast the scene's time runs; 1 is its own time."""
    camera_seconds: float = 3.0
    """How long the camera takes from the first view to the last, or once round. Scenes only."""
    size: tuple[int, int] | None = None
    """Height and width; when left out the input frames' own, enlarged to 512 pixels on the longer side if smaller."""
    view: int = 0
    """The view that plays, and that a bullet-time move starts from and returns to."""
    stop_frame: int | None = None
    """The column (its index) that freezes; the middle one when left out."""
    span_deg: float | None = None
    """Angle of an orbit; when left out, a circle round what was seen from all sides, otherwise a swing."""

    def __post_init__(self) -> None:
        if not self.speed > 0 or not self.camera_seconds > 0 or (self.fps is not None and not self.fps > 0):
            raise InputError(
                f"a movie needs a positive fps, speed and camera time; got fps {self.fps}, speed {self.speed}, "
                f"camera_seconds {self.camera_seconds}"
            )
        if self.size is not None and min(self.size) < 1:
            raise InputError(f"a movie's size is (height, width), at least 1 pixel each; got {self.size}")
        if self.span_deg is not None and not 0 < self.span_deg <= 360:
            raise InputError(f"an orbit spans more than 0 and up to 360 degrees; got {self.span_deg:g}")


@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """How a page looks and how large it may be. Raises InputError for numbers that are not positive."""

    title: str = ""
    """Title of the browser tab."""
    max_mb: float = 25.0
    """Refuse to write a larger file (10^6 bytes)."""
    keep: float = 1.0
    """Fraction of the Gaussians to embed, the most visible ones."""
    smooth: bool = True
    """Close the gaps between pixel-sized Gaussians; needs the input cameras."""
    speed: float = 1.0
    """1 plays in the scene's own time."""
    background: tuple[float, float, float] | None = None
    """sRGB in [0, 1]; the page's white when left out."""
    cameras: bool = True
    """Draw the input cameras."""
    thumbnail_px: int = 96
    """Longer side of the frames in the drawn cameras."""
    up: UpAxis = "automatic"
    """Which world axis points up; automatic takes the up of the input cameras."""

    def __post_init__(self) -> None:
        if not self.max_mb > 0 or not self.speed > 0 or self.thumbnail_px < 1:
            raise InputError(f"a page needs a positive size limit, speed and thumbnail size; got {self}")


@dataclass(frozen=True, kw_only=True)
class ViewerOptions:
    """How the viewer starts. Raises InputError for numbers out of their range."""

    port: int = 8080
    """Port to listen on; the next free one is taken when it is in use, any for 0."""
    host: str = "127.0.0.1"
    """127.0.0.1 can be reached from this machine only, 0.0.0.0 from the network."""
    open: bool = True
    """Open the browser at once."""
    max_gaussians: int = 500_000
    """Draw at most so many at a time, the most visible ones; browsers are slow with more."""
    background: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """sRGB in [0, 1]."""
    smooth: bool = True
    """Close the gaps between pixel-sized Gaussians; needs the input cameras."""
    speed: float = 1.0
    """1 plays in the scene's own time."""
    up: UpAxis = "automatic"
    """Which world axis points up; automatic takes the up of the input cameras. Can be changed in the viewer."""
    thumbnail_px: int = 192
    """Longer side of the frames in the drawn cameras."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InputError(f"a port is a number from 0 to 65535; got {self.port}")
        if self.max_gaussians < 1 or self.thumbnail_px < 1 or not self.speed > 0:
            raise InputError(f"a viewer needs a positive Gaussian limit, speed and thumbnail size; got {self}")


MOVIE_DEFAULTS, PAGE_DEFAULTS = MovieOptions(), PageOptions()
SHEET_DEFAULTS, VIEWER_DEFAULTS = SheetOptions(), ViewerOptions()
