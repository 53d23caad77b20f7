"""Pseudo-4D from a single clip: every view is the clip under one homography.

The homography of a view is constant in time, so the clip's motion is the same everywhere and stays in step;
it changes smoothly from view to view and is the identity at the first. Depth is not modelled: such grids
teach synchronised motion, not parallax.

Source: 4Real-Video-V2, section 3.1 "2D transformed videos"; 4Real-Video, section 3.3.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

CORNERS = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))
MARGIN = 0.25
"""How much larger than the crop a clip should be, so that warped views look at pixels that are there."""


Warp = Literal["homography", "affine"]
"""What takes the clip to a view.

homography: any move of four corners (V2, section 3.1). affine: without perspective (V1, section 3.3).
"""


def view_homographies(
    views: int, strength: float, rng: np.random.Generator, warp: Warp = "homography"
) -> Float[Tensor, "V 3 3"]:
    """Homographies of the views, in coordinates where the frame is [-1, 1] squared.

    The four corners move along parabolas that start at rest places: `s a + s (1 - s) b` at view fraction s.

    Args:
        strength: largest corner displacement, in halves of the frame's side.
    """
    end, bend = (rng.uniform(-strength, strength, (4, 2)) for _ in range(2))
    # Most of a camera's path is common to all corners; what differs between them is perspective.
    end = 0.5 * end + 0.5 * rng.uniform(-strength, strength, (1, 2))
    if warp == "affine":
        for moved in (end, bend):
            moved[3] = moved[0] + moved[2] - moved[1]  # the fourth corner of a parallelogram
    corners = np.asarray(CORNERS)
    found = []
    for view in range(views):
        fraction = view / max(views - 1, 1)
        found.append(four_point_homography(corners, corners + fraction * end + fraction * (1 - fraction) * bend))
    return torch.from_numpy(np.stack(found)).float()


def four_point_homography(
    source: Float[np.ndarray, "4 2"], target: Float[np.ndarray, "4 2"]
) -> Float[np.ndarray, "3 3"]:
    """The homography that takes four points to four others, last entry 1."""
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    solution = np.linalg.solve(np.asarray(rows), np.asarray(values))
    return np.append(solution, 1.0).reshape(3, 3)


def warp_clip(
    frames: Float[Tensor, "T 3 H2 W2"], homographies: Float[Tensor, "V 3 3"], size: tuple[int, int]
) -> Float[Tensor, "V T 3 H W"]:
    """The centre of a clip, seen through every view's homography.

    Args:
        frames: at least as large as `size`; what is more is margin that the warped views look into. Beyond that
            the border is mirrored.
        homographies: from a view's frame to the clip's centre crop.
        size: (height, width) of the views.
    """
    height, width = size
    full = (frames.shape[-2], frames.shape[-1])
    top, left = (full[0] - height) // 2, (full[1] - width) // 2
    centre = frames[..., top : top + height, left : left + width]
    y, x = (((torch.arange(side, dtype=frames.dtype, device=frames.device) + 0.5) * 2 / side) - 1 for side in size)
    across, down = torch.meshgrid(x, y, indexing="xy")
    places = torch.stack([across, down, torch.ones_like(across)], -1)
    views = []
    for homography in homographies.to(frames):
        if torch.equal(homography, torch.eye(3).to(homography)):
            views.append(centre)
            continue
        moved = places @ homography.mT
        looked = moved[..., :2] / moved[..., 2:]
        # From the crop's coordinates to the whole clip's.
        looked = torch.stack(
            [
                ((looked[..., 0] + 1) * width / 2 + left) * 2 / full[1] - 1,
                ((looked[..., 1] + 1) * height / 2 + top) * 2 / full[0] - 1,
            ],
            -1,
        )
        # All times as channels of one picture: the warp is the same at every time.
        stacked = rearrange(frames, "t c h w -> 1 (t c) h w")
        warped = torch.nn.functional.grid_sample(
            stacked, looked[None], mode="bilinear", padding_mode="reflection", align_corners=False
        )
        views.append(rearrange(warped[0], "(t c) h w -> t c h w", c=3).clamp(0, 1))
    return torch.stack(views)
