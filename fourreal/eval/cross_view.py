"""Agreement between views: a warping error with given depth and cameras, and confidence shares.

The warping error is this project's own measure. MEt3R (Asim et al., 2024) measures
a similar property with depth and features of its own networks; only its own code gives its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.eval.scores import NotComputed

DEPTH_TOLERANCE = 0.02
"""A point is seen by the other view when that view's depth agrees to this fraction."""


def cross_view_warping_error(
    grid: VideoGrid, depth: Float[Tensor, "V T H W"], tolerance: float = DEPTH_TOLERANCE
) -> tuple[float, float] | NotComputed:
    """Warp every view into its neighbour (both ways) at every time and compare where both see the surface.

    Each pixel is lifted by its own depth and projected into the other view; it is seen there when it
    falls inside and that view's depth there agrees. Perfect depth and cameras leave only what
    bilinear sampling and view-dependent shading change.

    Args:
        depth: z-depth of every pixel in world units; not finite or not positive means none.

    Returns:
        The mean absolute colour difference, in [0, 1], over pixels both views see (lower is better), and the share of
        pixels that both see; with a low share the error means little.

    Raises:
        InputError: the grid is incomplete, or depth has another shape.
    """
    grid.require_complete("the cross-view warping error")
    views, times = grid.known.shape
    if depth.shape != (views, times, *grid.image_size):
        raise InputError(
            f"depth of shape {[views, times, *grid.image_size]} expected, one a pixel; got {list(depth.shape)}"
        )
    if grid.cameras is None:
        return NotComputed("the grid has no cameras")
    if views < 2:
        return NotComputed("a single view has no neighbour")
    fixed = len(grid.cameras.batch_shape) == 1
    cameras = grid.cameras.reshape(views, 1).expand(views, times) if fixed else grid.cameras
    total, seen = 0.0, 0
    for first in range(views - 1):
        for target, source in ((first, first + 1), (first + 1, first)):
            for time in range(times):
                warped, visible = warp_view(
                    grid.frames[source, time], depth[source, time], cameras[source, time],
                    depth[target, time], cameras[target, time], tolerance,
                )  # fmt: skip
                difference = (warped - grid.frames[target, time]).abs().mean(0)
                total += float(difference[visible].double().sum())
                seen += int(visible.sum())
    if not seen:
        return NotComputed("no pixel is seen by two neighbouring views")
    height, width = grid.image_size
    return total / seen, seen / (2 * (views - 1) * times * height * width)


def warp_view(
    frame: Float[Tensor, "3 H W"],
    frame_depth: Float[Tensor, "H W"],
    frame_camera: Cameras,
    target_depth: Float[Tensor, "H W"],
    target_camera: Cameras,
    tolerance: float = DEPTH_TOLERANCE,
) -> tuple[Float[Tensor, "3 H W"], Bool[Tensor, "H W"]]:
    """`frame` as the target camera would see it, and where that is known."""
    height, width = target_depth.shape
    has_depth = torch.isfinite(target_depth) & (target_depth > 0)
    filled = torch.where(has_depth, target_depth, 1.0)
    points = target_camera.unproject(target_camera.pixel_centers().reshape(-1, 2), filled.reshape(-1))
    pixels, z_depth = frame_camera.project(points)
    place = (2 * pixels / pixels.new_tensor([width, height]) - 1).reshape(1, height, width, 2).to(frame)
    z_depth = z_depth.reshape(height, width)
    sampled = torch.nn.functional.grid_sample(frame[None], place, align_corners=False, padding_mode="border")[0]
    # Depth is looked up without mixing: the mean of two surfaces is on neither.
    seen_depth = torch.nn.functional.grid_sample(
        frame_depth.nan_to_num(0, 0, 0)[None, None].to(frame), place, mode="nearest", align_corners=False
    )[0, 0]
    inside = (place[0].abs() < 1).all(-1) & (z_depth > 0)
    agrees = (seen_depth - z_depth).abs() <= tolerance * z_depth
    return sampled, has_depth & inside & agrees & (seen_depth > 0)


def confidence_shares(confidences: Sequence[Float[Tensor, "_ _"]], thresholds: Sequence[float]) -> dict[float, float]:
    """Share of pixels whose confidence is above each threshold, in [0, 1]; higher is better.

    The papers use a reconstruction network's confidence of freeze-time videos (thresholds 2, 2.5, 3)
    and a matcher's confidence between views (0.1, 0.5, 0.7), as percentages. Shares of different
    networks do not compare.

    Source: 4Real-Video, section 4.2 "Dust3R-Confidence" and "GIM-Confidence", Table 2.

    Raises:
        InputError: there is no map.
    """
    if not confidences:
        raise InputError("confidence shares need at least one confidence map; got none")
    values = torch.cat([confidence.flatten() for confidence in confidences])
    return {threshold: float((values > threshold).double().mean()) for threshold in thresholds}


def matching_confidences(grid: VideoGrid, matcher: Callable[[Tensor, Tensor], Tensor]) -> list[Float[Tensor, "H W"]]:
    """The matcher's confidence of every pair of neighbouring views at every time, for `confidence_shares`.

    Args:
        matcher: two frames [3, H, W] to the first one's confidence map [H, W]; 0 where unmatched.
    """
    grid.require_complete("matching across views")
    neighbours = range(grid.num_views - 1)
    return [
        matcher(grid.frames[view, time], grid.frames[view + 1, time])
        for time in range(grid.num_times)
        for view in neighbours
    ]
