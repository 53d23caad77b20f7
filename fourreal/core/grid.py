"""`VideoGrid`: the view x time grid of frames that enters and leaves every stage.

A row is a viewpoint, a column is a time: `frames[v, t]`. Shape letters of the whole package:

    B batch        V views        T times           H W pixels
    t h w          latent times, rows and columns   L tokens
    D width        A heads        E head width      N Gaussians      K SH bases     C channels

Source: 4Real-Video-V2, section 3.1 ("all frames in a row share a viewpoint v, and all frames in
a column share a timestep t") and Figure 2 (the three kinds of input are three `known` masks).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError

KnownPattern = Literal["none", "row", "column", "cross", "all"]
"""Which cells are given.

none: text only. row: the first view at all times (a fixed-view video). column: all views at the
first time (a freeze-time video). cross: both. all: a finished grid.
"""


def known_pattern(pattern: KnownPattern, views: int, times: int) -> Bool[Tensor, "V T"]:
    """The `known` mask of a named input kind. Source: 4Real-Video-V2, Figure 2 (a), (b), (c)."""
    known = torch.full((views, times), pattern == "all")
    if pattern in ("row", "cross"):
        known[0, :] = True
    if pattern in ("column", "cross"):
        known[:, 0] = True
    return known


@dataclass(frozen=True)
class VideoGrid:
    """Frames of V views at T times, some of them known, the others to be generated.

    Attributes:
        frames: sRGB in [0, 1]. A cell that is not known holds zeros.
        known: True where the frame is given.
        seconds: time of each column, strictly increasing.
        cameras: one per view (batch `[V]`) or one per cell (batch `[V, T]`), when known.

    Raises:
        InputError: shapes do not fit. `validated` checks the values.
    """

    frames: Float[Tensor, "V T 3 H W"]
    known: Bool[Tensor, "V T"]
    seconds: Float[Tensor, "T"]
    cameras: Cameras | None = None

    def __post_init__(self) -> None:
        frames, known, seconds, cameras = self.frames, self.known, self.seconds, self.cameras
        if frames.ndim != 5 or frames.shape[2] != 3 or not frames.is_floating_point():
            raise InputError(
                f"grid frames must be floating point of shape [V, T, 3, H, W]; got {frames.dtype} {list(frames.shape)}"
            )
        views, times = frames.shape[:2]
        if 0 in frames.shape:
            raise InputError(f"a grid needs at least one view, one time and one pixel; got {list(frames.shape)}")
        if known.shape != (views, times) or known.dtype != torch.bool:
            raise InputError(f"known must be bool of shape {[views, times]}; got {known.dtype} {list(known.shape)}")
        if seconds.shape != (times,):
            raise InputError(f"seconds must have shape {[times]}, one per column; got {list(seconds.shape)}")
        if cameras is not None:
            if cameras.batch_shape not in ((views,), (views, times)):
                raise InputError(
                    f"cameras must be one per view {[views]} or one per cell {[views, times]}; "
                    f"got {list(cameras.batch_shape)}"
                )
            if cameras.image_size != self.image_size:
                raise InputError(
                    f"cameras are for images of (height, width) {cameras.image_size}, frames are {self.image_size}; "
                    "use cameras.resized or cameras.cropped"
                )

    def validated(self) -> VideoGrid:
        """Itself, values checked, those of its cameras too.

        Raises:
            InputError: times do not increase, a pixel is not finite or outside [0, 1], an unknown cell is not zero.
        """
        frames, seconds = self.frames.detach(), self.seconds
        if not torch.isfinite(seconds).all() or not bool((seconds.diff() > 0).all()):
            raise InputError(f"seconds must be finite and strictly increasing; got {seconds.tolist()}")
        low, high = torch.aminmax(frames)
        if not (torch.isfinite(low) and torch.isfinite(high)):
            cell = torch.nonzero(~torch.isfinite(frames).flatten(2).all(-1))[0].tolist()
            raise InputError(f"frames hold NaN or infinity, first in view {cell[0]}, time {cell[1]}; mend or drop it")
        if low < -1e-3 or high > 1 + 1e-3:
            raise InputError(f"frames must lie in [0, 1]; got values from {low:.4g} to {high:.4g} (divide by 255?)")
        if not self.known.all() and bool(frames[~self.known].any()):
            raise InputError("cells that are not known must hold zeros; use grid.with_known(mask) to hide cells")
        if self.cameras is not None:
            self.cameras.validated()
        return self

    @classmethod
    def complete(
        cls, frames: Float[Tensor, "V T 3 H W"], seconds: Float[Tensor, "T"], cameras: Cameras | None = None
    ) -> VideoGrid:
        """A grid whose every cell is known."""
        return cls(frames, torch.ones(frames.shape[:2], dtype=torch.bool, device=frames.device), seconds, cameras)

    @classmethod
    def from_inputs(
        cls,
        *,
        fixed: Float[Tensor, "T 3 H W"] | None = None,
        freeze: Float[Tensor, "V 3 _ _"] | None = None,
        seconds: Float[Tensor, "T"] | None = None,
        views: int = 1,
    ) -> VideoGrid:
        """A grid with the first row (fixed-view video), the first column (freeze-time video) or both.

        The corner cell is the fixed-view video's first frame. Source: 4Real-Video-V2, Figure 2.

        Args:
            seconds: times of the columns; one second apart when left out.
            views: number of rows when there is no freeze-time video.

        Raises:
            InputError: neither video is given, or their frame sizes differ.
        """
        given = fixed if fixed is not None else freeze
        if given is None:
            raise InputError("expected a fixed-view video, a freeze-time video or both; got neither")
        if fixed is not None and freeze is not None and fixed.shape[1:] != freeze.shape[1:]:
            raise InputError(
                f"the two videos must have one frame size; fixed-view is {tuple(fixed.shape[-2:])}, "
                f"freeze-time is {tuple(freeze.shape[-2:])}"
            )
        views = freeze.shape[0] if freeze is not None else views
        if seconds is None:
            seconds = torch.arange(fixed.shape[0] if fixed is not None else 1, dtype=torch.float32)
        frames = given.new_zeros(views, len(seconds), *given.shape[1:])
        known = torch.zeros(frames.shape[:2], dtype=torch.bool, device=given.device)
        if freeze is not None:
            frames[:, 0], known[:, 0] = freeze, True
        if fixed is not None:
            frames[0], known[0] = fixed, True
        return cls(frames, known, seconds.to(given.device))

    @property
    def num_views(self) -> int:
        return self.frames.shape[0]

    @property
    def num_times(self) -> int:
        return self.frames.shape[1]

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.frames.shape[-2], self.frames.shape[-1]

    @property
    def fps(self) -> float:
        """Mean frame rate; 1 for a single time, which has none."""
        span = float(self.seconds[-1] - self.seconds[0])
        return (self.num_times - 1) / span if span > 0 else 1.0

    def with_known(self, known: Bool[Tensor, "V T"] | KnownPattern) -> VideoGrid:
        """The same grid with only `known` cells left; the others become zeros.

        Raises:
            InputError: a cell is asked for that this grid does not have.
        """
        mask = known_pattern(known, self.num_views, self.num_times) if isinstance(known, str) else known
        mask = mask.to(self.known.device)
        missing = torch.nonzero(mask & ~self.known)
        if len(missing):
            raise InputError(f"cannot mark cells as known that have no frame: (view, time) {_cells(missing)}")
        return replace(self, frames=self.frames * mask[:, :, None, None, None], known=mask)

    def select(self, views: Sequence[int] | None = None, times: Sequence[int] | None = None) -> VideoGrid:
        """The sub-grid of the given views and times, in the order given (times must increase)."""
        rows = list(range(self.num_views)) if views is None else list(views)
        columns = list(range(self.num_times)) if times is None else list(times)
        cameras = self.cameras
        if cameras is not None:
            cameras = cameras[rows] if len(cameras.batch_shape) == 1 else cameras[rows][:, columns]
        return VideoGrid(self.frames[rows][:, columns], self.known[rows][:, columns], self.seconds[columns], cameras)

    def require_complete(self, reader: str) -> None:
        """Refuse a partly known grid. Raises InputError naming `reader` and the missing cells."""
        missing = torch.nonzero(~self.known)
        if len(missing):
            raise InputError(f"{reader} needs a complete grid; missing cells (view, time): {_cells(missing)}")

    def to(self, device: torch.device | str) -> VideoGrid:
        cameras = None if self.cameras is None else self.cameras.to(device)
        return VideoGrid(self.frames.to(device), self.known.to(device), self.seconds.to(device), cameras)


def _cells(indices: Tensor, limit: int = 6) -> str:
    listed = ", ".join(f"({v}, {t})" for v, t in indices[:limit].tolist())
    more = len(indices) - limit
    return listed + (f" and {more} more" if more > 0 else "")
