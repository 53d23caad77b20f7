"""Real videos prove the Qualisys convention: a walking man's cap, seen by four cameras, is one point.

The clips are in the BSD-3 package pose2sim. They are looked for in an installed copy, or in the folder
that the environment variable FOURREAL_POSE2SIM names (an unpacked wheel).
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
import torch

from fourreal.core.cameras import Cameras
from fourreal.data.captures.capture import Selection
from fourreal.data.captures.qualisys import read_pose2sim

TIMES = (0, 6, 12)
SIZE = (960, 540)


@pytest.fixture(scope="module")
def demo() -> Path:
    named = os.environ.get("FOURREAL_POSE2SIM")
    spec = importlib.util.find_spec("Pose2Sim")
    roots = [Path(named)] if named else [Path(p) for p in (spec.submodule_search_locations or [])] if spec else []
    for root in roots:
        for folder in (root / "Demo_SinglePerson", root / "Pose2Sim" / "Demo_SinglePerson"):
            if folder.is_dir():
                return folder
    pytest.skip("the pose2sim package is neither installed nor named by FOURREAL_POSE2SIM")


def cap_centre(frame: torch.Tensor) -> torch.Tensor:
    """Centre of the largest turquoise patch in the upper half."""
    from skimage.measure import label, regionprops

    red, green, blue = frame
    turquoise = (green - red > 0.13) & (blue - red > 0.10) & ((green - blue).abs() < 0.14) & (red < 0.45)
    turquoise[frame.shape[1] * 45 // 100 :] = False
    y, x = max(regionprops(label(turquoise.numpy())), key=lambda patch: patch.area).centroid
    return torch.tensor([x + 0.5, y + 0.5], dtype=torch.float64)


def triangulated(cameras: Cameras, pixels: torch.Tensor) -> torch.Tensor:
    """The point whose projections are nearest to `pixels` algebraically (direct linear transform)."""
    projection = (cameras.intrinsics @ cameras.world_to_cam[:, :3]).double()
    rows = pixels[:, :, None] * projection[:, 2:] - projection[:, :2]
    point = torch.linalg.svd(rows.reshape(-1, 4)).Vh[-1]
    return point[:3] / point[3]


def test_the_cap_is_one_point_at_head_height(demo: Path) -> None:
    capture = read_pose2sim(demo, Selection(times=TIMES, size=SIZE))
    cameras = capture.grid.cameras
    assert cameras is not None
    assert capture.grid.frames.shape == (4, len(TIMES), 3, *SIZE)
    errors, heights = [], []
    for time in range(len(TIMES)):
        pixels = torch.stack([cap_centre(frame) for frame in capture.grid.frames[:, time]])
        point = triangulated(cameras, pixels)
        projected, depth = cameras.project(point.float().expand(4, 1, 3))
        assert bool((depth > 1).all()), "the man stands before every camera"
        errors.append((projected[:, 0] - pixels).norm(dim=-1))
        heights.append(float(point[2]))
    median = float(torch.stack(errors).median())
    print(f"median re-projection error {median:.2f} px of {SIZE[0]}, head height {heights[0]:.2f} m")
    # A cap is 0.2 m wide, some 60 pixels; its patch's centre is not one point of it.
    assert median < 9
    assert all(1.3 < height < 1.9 for height in heights)
