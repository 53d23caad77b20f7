"""How a large grid is cut into windows that overlap, and in which order they are generated.

The first window holds the view of which most is known. From there windows go on along time, then
along the views, up and down. Every later window overlaps finished cells by a whole row or column,
and sees its finished views first, as the model does in training.

Windows in time begin on a latent and overlap by whole latents, because a causal latent stands for
one frame only at the beginning of a clip.

Source: 4Real-Video, section 3.3 ("Extending to a wider view and longer time").
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.video.codec import latent_times


@dataclass(frozen=True)
class WindowSize:
    """Sizes in views and frames.

    Attributes:
        frames, overlap_frames: of the form stride * k + 1; the overlap of a single frame is the last
            finished one.
    """

    views: int = 8
    frames: int = 29
    overlap_views: int = 1
    overlap_frames: int = 1

    def check(self, stride: int) -> None:
        """Raises InputError unless windows of this size can slide."""
        for name, frames in (("frames", self.frames), ("overlap_frames", self.overlap_frames)):
            if frames < 1 or (frames - 1) % stride:
                raise InputError(f"a window's {name} must be of the form {stride}k + 1; got {frames}")
        if not 0 < self.overlap_views < max(self.views, 2) or not self.overlap_frames < max(self.frames, 2):
            raise InputError(
                "windows must overlap by at least one view and one frame and still move on; got windows of "
                f"{self.views} views x {self.frames} frames with overlaps of {self.overlap_views} and "
                f"{self.overlap_frames}"
            )


@dataclass(frozen=True)
class Window:
    """A part of the grid.

    Attributes:
        views: in the order in which the model sees them.
        start, stop: frames, as in a slice.
    """

    views: tuple[int, ...]
    start: int
    stop: int


def plan_windows(known: Bool[Tensor, "V T"], size: WindowSize, stride: int = 4) -> tuple[Window, ...]:
    """The windows of a grid in the order of their generation.

    Raises:
        InputError: windows of this size cannot slide, or are too small for a grid that needs to.
    """
    size.check(stride)
    views, times = known.shape
    if (views > 1 and views > size.views == 1) or (times > 1 and times > size.frames == 1):
        raise InputError(f"windows of {size.views} views x {size.frames} frames cannot cover {views} x {times}")
    latents = (size.frames - 1) // stride + 1
    shared = (size.overlap_frames - 1) // stride + 1
    spans = [
        (stride * first, min(stride * (last - 1) + 1, times))
        for first, last in _spans(latent_times(times, stride), latents, shared)
    ]
    return tuple(Window(rows, start, stop) for rows in _view_orders(known, size) for start, stop in spans)


def _view_orders(known: Bool[Tensor, "V T"], size: WindowSize) -> list[tuple[int, ...]]:
    """The views of each row of windows: upwards from the best-known view, then downwards from it."""
    views = known.shape[0]
    if views <= size.views:
        return [tuple(range(views))]
    best = int(known.sum(1).argmax())
    # Counted from the nearer end, so that the first window has room.
    mirrored = best > (views - 1) / 2
    first = views - 1 - best if mirrored else best
    up = [tuple(range(first + a, first + b)) for a, b in _spans(views - first, size.views, size.overlap_views)]
    below = min(first + size.overlap_views, views) if first else 0
    down = [tuple(below - 1 - i for i in range(a, b)) for a, b in _spans(below, size.views, size.overlap_views)]
    orders = up + [order for order in down if order]
    return [tuple(views - 1 - v for v in order) for order in orders] if mirrored else orders


def _spans(total: int, size: int, overlap: int) -> list[tuple[int, int]]:
    """Intervals over `total` positions; the last is moved back so that all have the full size."""
    spans = [(0, min(size, total))]
    while spans[-1][1] < total:
        stop = min(spans[-1][1] - overlap + size, total)
        spans.append((stop - size, stop))
    return spans
