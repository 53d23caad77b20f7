"""Movies of scenes and of grids: orbit, bullet time, frozen camera, frozen time; H.264 that plays anywhere."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.camera_paths import focus_point, interpolate
from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.gaussians import DynamicScene, Gaussians
from fourreal.core.grid import VideoGrid
from fourreal.core.media import write_video_stream
from fourreal.core.progress import Progress, silent
from fourreal.core.rotations import axis_angle_to_matrix, rigid
from fourreal.splat.rasterize import rasterize
from fourreal.splat.smoothing import smooth
from fourreal.view.layers import rig_of
from fourreal.view.settings import MOVIE_DEFAULTS, MovieKind, MovieOptions
from fourreal.view.view_time_path import Move, Waypoint, cell_path, waypoints
from fourreal.view.viewer_frame import world_up

SCENE_FPS = 24.0
# A rig seen from the focus within this half angle has not seen the far side: swing instead of circling.
ONE_SIDED_DEG = 75.0
LEAST_SWING_DEG = 20.0
MOVIE_PX = 512
"""Least longer side of a movie whose size is not given: smaller ones are enlarged by whoever plays them."""


@dataclass(frozen=True)
class MoviePlan:
    """What each frame shows: a camera and a moment of the scene.

    Attributes:
        seen_by: the input cameras; frames larger than theirs are smoothed for, see `smoothing`.
    """

    cameras: Cameras
    seconds: Float[Tensor, "F"]
    fps: float
    seen_by: Cameras | None = None

    @property
    def enlargement(self) -> float:
        """How much finer the movie is than the input frames."""
        return 1.0 if self.seen_by is None else self.cameras.image_size[0] / self.seen_by.image_size[0]

    def __len__(self) -> int:
        return len(self.seconds)


def plan_movie(
    scene: DynamicScene,
    kind: MovieKind,
    *,
    cameras: Cameras | None = None,
    options: MovieOptions = MOVIE_DEFAULTS,
) -> MoviePlan:
    """Decide camera and moment of every frame.

    Args:
        cameras: the input cameras, one per view; left out, those of the scene.

    Raises:
        InputError: no cameras are known, or the move does not fit the scene.
    """
    rig = rig_of(scene, None, cameras)
    if rig is None:
        raise InputError("a movie needs the input cameras; this scene has none, give them")
    inputs = rig.to("cpu")
    rig = inputs.resized(options.size or movie_size(inputs.image_size))
    if kind == "orbit":
        plan = _orbit(scene, rig, options)
    else:
        corners = waypoints(kind, len(rig), len(scene.seconds), options.view, options.stop_frame)
        plan = _along_rig(corners, rig, scene.seconds.cpu().float(), options)
    return replace(plan, seen_by=inputs)


def movie_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a movie of input frames of this size, when none is given."""
    scale = max(1.0, MOVIE_PX / max(image_size))
    return round(image_size[0] * scale), round(image_size[1] * scale)


def write_movie(
    path: str | Path,
    scene: DynamicScene,
    plan: MoviePlan,
    *,
    background: tuple[float, float, float] = (1.0, 1.0, 1.0),
    progress: Progress = silent,
) -> None:
    """Render a plan and write it as an mp4, atomically, frame by frame.

    Args:
        background: sRGB in [0, 1], seen where there are no Gaussians.
    """
    frames = _render(scene, plan, background, progress)
    write_video_stream(path, frames, plan.fps, "playable")


def write_grid_movie(
    path: str | Path,
    grid: VideoGrid,
    move: Move,
    *,
    options: MovieOptions = MOVIE_DEFAULTS,
    progress: Progress = silent,
) -> list[Waypoint]:
    """Write a path through a grid's own frames as an mp4; no scene is needed.

    Returns:
        The (view, time) of every frame.

    Raises:
        InputError: a cell on the path is not known, or the move does not fit the grid.
    """
    cells = cell_path(waypoints(move, grid.num_views, grid.num_times, options.view, options.stop_frame))
    missing = sorted({cell for cell in cells if not bool(grid.known[cell])})
    if missing:
        raise InputError(
            f"a '{move}' movie passes cells this grid does not have, (view, time): "
            f"{', '.join(map(str, missing[:6]))}{' ...' if len(missing) > 6 else ''}; generate them first"
        )

    size = options.size or movie_size(grid.image_size)

    def frames() -> Iterator[Tensor]:
        for index, cell in enumerate(cells):
            yield _resized(grid.frames[cell], size)
            progress(index + 1, len(cells))

    write_video_stream(path, frames(), options.fps or grid.fps * options.speed, "playable")
    return cells


def _resized(frame: Float[Tensor, "3 H W"], size: tuple[int, int]) -> Float[Tensor, "3 h w"]:
    if tuple(frame.shape[-2:]) == size:
        return frame
    return torch.nn.functional.interpolate(frame[None], size=size, mode="bicubic", antialias=True)[0].clamp(0, 1)


# ---- plans ------------------------------------------------------------------------------------------


def _along_rig(
    corners: tuple[Waypoint, ...], rig: Cameras, seconds: Float[Tensor, "T"], options: MovieOptions
) -> MoviePlan:
    fps = options.fps or SCENE_FPS
    stops, moments = [], []
    for (view_a, time_a), (view_b, time_b) in itertools.pairwise(corners):
        span = float(seconds[time_b] - seconds[time_a])
        share = abs(view_b - view_a) / max(len(rig) - 1, 1)
        duration = span / options.speed if span else share * options.camera_seconds
        steps = torch.arange(round(duration * fps)) / max(round(duration * fps), 1)
        # A camera that moves alone starts and stops gently; one that moves with the time keeps pace with it.
        along = steps if span else (1 - torch.cos(torch.pi * steps)) / 2
        stops.append(view_a + (view_b - view_a) * along)
        moments.append(seconds[time_a] + span * steps)
    stops.append(torch.tensor([float(corners[-1][0])]))
    moments.append(seconds[corners[-1][1]][None])
    return MoviePlan(interpolate(rig, torch.cat(stops)), torch.cat(moments), fps)


def _orbit(scene: DynamicScene, rig: Cameras, options: MovieOptions) -> MoviePlan:
    fps, up, focus = options.fps or SCENE_FPS, world_up(rig), focus_point(rig)
    seconds = scene.seconds.cpu().float()
    count = max(2, round(options.camera_seconds * fps))
    turn = torch.arange(count) / count
    if options.span_deg is None:
        half_angle = _half_angle_deg(rig, focus, up)
        span = 360.0 if half_angle > ONE_SIDED_DEG else max(2 * half_angle, LEAST_SWING_DEG)
    else:
        span = options.span_deg
    angles = turn * 360 if span >= 360 else torch.sin(2 * torch.pi * turn) * span / 2
    middle = int((rig.centers - rig.centers.mean(0)).norm(dim=-1).argmin())
    rotations = axis_angle_to_matrix(torch.deg2rad(angles)[:, None] * up)
    # Turning the camera about the focus: undo the turn of the world, then look as before.
    about = rigid(rotations.mT, focus - (rotations.mT @ focus[:, None]).squeeze(-1))
    poses = rig.world_to_cam[middle] @ about
    cameras = Cameras(poses, rig.intrinsics[middle].expand(count, 3, 3).clone(), rig.image_size)
    first, last = float(seconds[0]), float(seconds[-1])
    step = (last - first) / max(len(seconds) - 1, 1)
    elapsed = torch.arange(count) / fps * options.speed
    moments = first + torch.remainder(elapsed, last - first + step) if step else torch.full((count,), first)
    return MoviePlan(cameras, moments.clamp(max=last), fps)


def _half_angle_deg(rig: Cameras, focus: Float[Tensor, "3"], up: Float[Tensor, "3"]) -> float:
    """How far round the upright axis through the focus the cameras stand from their mean direction."""
    offsets = rig.centers - focus
    level = offsets - (offsets @ up)[:, None] * up
    level = torch.nn.functional.normalize(level, dim=-1)
    mean = level.mean(0)
    if float(mean.norm()) < 0.05:  # all round: no mean direction
        return 180.0
    cosines = level @ torch.nn.functional.normalize(mean, dim=0)
    return float(torch.rad2deg(torch.arccos(cosines.clamp(-1, 1).min())))


# ---- frames -----------------------------------------------------------------------------------------


def _render(
    scene: DynamicScene, plan: MoviePlan, background: tuple[float, float, float], progress: Progress
) -> Iterator[Float[Tensor, "3 H W"]]:
    shown: tuple[Gaussians, Tensor, Tensor] | None = None
    image = torch.empty(0)
    for index, seconds in enumerate(plan.seconds.tolist()):
        gaussians, camera = scene.at(seconds), plan.cameras[index]
        view = (gaussians, camera.world_to_cam, camera.intrinsics)
        # A frozen camera over discrete times shows the same picture many times: render it once.
        repeated = (
            shown is not None
            and shown[0] is gaussians
            and all(torch.equal(a, b) for a, b in zip(shown[1:], view[1:], strict=True))
        )
        if not repeated:
            device = gaussians.means.device
            with torch.no_grad():
                widened = gaussians if plan.seen_by is None else smooth(gaussians, plan.seen_by, plan.enlargement)
                backdrop = torch.tensor(background, device=device)
                image = rasterize(widened, camera.to(device), background=backdrop).color.clamp(0, 1).cpu()
            shown = view
        yield image
        progress(index + 1, len(plan))
