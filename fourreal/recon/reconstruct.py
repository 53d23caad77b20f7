"""`reconstruct`: a complete grid of frames becomes Gaussians for every time, cameras included.

The world is the first view's camera frame; its unit is arbitrary, as no camera is
given. Memory is bounded by the windows (`windows.py`), not by the length of the grid.

Source: 4Real-Video-V2, section 3.2; appendix C (frames at VGGT's standard size).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians, GaussianSequence, concatenate
from fourreal.core.grid import VideoGrid
from fourreal.core.notes import notify
from fourreal.core.progress import Progress, silent
from fourreal.recon.align_views import AlignedViews, align_views, refit_depth
from fourreal.recon.fidelity import input_psnr_db
from fourreal.recon.gaussian_head import gaussians_of_pixels
from fourreal.recon.lift import LiftSettings, lift_view
from fourreal.recon.model import Prediction, ReconModel
from fourreal.recon.overlap import shared_shares
from fourreal.recon.pruning import WHITE_TOLERANCE, confident, merge_voxels, pixels, white_background
from fourreal.recon.settings import DEFAULTS, ReconstructSettings
from fourreal.recon.windows import Window, plan_windows
from fourreal.splat.smoothing import smooth

LOW_PSNR_DB = 24.0
"""Of the given views' renders. The package's demo has 31.6 dB; a clip whose scene is ruined 20.2."""
LOW_OVERLAP = 0.05
SURE_FROM = 256
"""Pixels per side of the frames a network was made for, from which its own cameras are trusted."""


@dataclass(frozen=True, kw_only=True)
class _TimeGeometry:
    """One time of the result before it becomes Gaussians, everything at the network's image size."""

    frames: Float[Tensor, "V 3 H W"]
    depth: Float[Tensor, "V H W"]
    confidence: Float[Tensor, "V H W"]
    raw: Float[Tensor, "V 14 H W"] | None
    cameras: Cameras


def reconstruct(
    model: ReconModel,
    grid: VideoGrid,
    settings: ReconstructSettings = DEFAULTS,
    progress: Progress = silent,
) -> GaussianSequence:
    """Gaussians for every time of a grid, and one camera per view for its images.

    A model without a Gaussian head is used in geometry mode: Gaussians come straight from depth,
    confidence and pixel footprint.

    Args:
        grid: complete; its cameras, if any, are not used.
        progress: called after each chunk.

    Returns:
        The scene in the first view's camera frame, cameras for the grid's own image size. Cameras
        that differ over time (a model that does not share them) are those of the first time.

    Raises:
        InputError: cells are missing, there is one view only, a frame is all white, or the network's
            prediction is not finite.

    Warns:
        UserNote: the given views do not come back from the scene, or one overlaps with no other.
    """
    _check(grid)
    size = network_size(grid.image_size, model, settings.longest_side)
    frames = resized(grid.frames, size)
    windows = plan_windows(grid.num_times, settings.window_frames, settings.window_overlap)
    steps: dict[int, Gaussians] = {}
    cameras, shared, aligned, voxel = None, None, None, 0.0
    for time, geometry in _geometry(model, frames, windows, settings, progress):
        if time == 0 and aligns(model, settings):
            aligned = align_views(geometry.frames, geometry.depth, geometry.cameras)
        if aligned is not None:
            geometry = _with_alignment(aligned, geometry, time)
        if cameras is None:
            cameras = geometry.cameras
            voxel = settings.merge_voxel * float(geometry.depth.median())
            shared = shared_shares(geometry.depth, cameras)
        # Gaussians of a pixel each would come apart into dots in frames of more pixels than the network saw.
        step = smooth(_gaussians(geometry, settings), cameras, max(grid.image_size) / max(size))
        steps[time] = (merge_voxels(step, voxel) if voxel > 0 else step).to("cpu")
        del geometry, step  # its tensors are views of a whole chunk's, which would outlive the next chunk's
    assert cameras is not None
    assert shared is not None
    ordered = tuple(steps[time] for time in range(grid.num_times))
    rig = cameras.resized(grid.image_size).to("cpu")
    scene = GaussianSequence(ordered, grid.seconds.cpu(), rig).validated()
    _notify_of_doubts(input_psnr_db(scene, grid), shared)
    return scene


def aligns(model: ReconModel, settings: ReconstructSettings) -> bool:
    """Whether this network's views are aligned with these settings."""
    small = model.config.native_size < SURE_FROM
    return settings.align == "always" or (settings.align == "auto" and small)


def _with_alignment(aligned: AlignedViews, geometry: _TimeGeometry, time: int) -> _TimeGeometry:
    """A time with the aligned cameras, and its depth refitted to them."""
    factor = aligned.depth_factor if time == 0 else refit_depth(geometry.frames, geometry.depth, aligned)
    return replace(geometry, depth=geometry.depth * factor, cameras=aligned.cameras)


def network_size(image_size: tuple[int, int], model: ReconModel, longest_side: int = 0) -> tuple[int, int]:
    """(height, width) frames are scaled to: no longer than the limit, both sides multiples of the patch.

    Sides are rounded to the nearest multiple, so proportions may change by part of a patch;
    `Cameras.resized` keeps intrinsics true through that.
    """
    patch = model.config.patch
    limit = longest_side or model.config.native_size
    scale = min(1.0, limit / max(image_size))
    height, width = (max(2, round(side * scale / patch)) * patch for side in image_size)
    return height, width


def resized(frames: Float[Tensor, "*batch 3 H W"], size: tuple[int, int]) -> Float[Tensor, "*batch 3 h w"]:
    """The whole of every frame at another size (bilinear, antialiased), nothing cropped."""
    if tuple(frames.shape[-2:]) == size:
        return frames
    flat = frames.reshape(-1, *frames.shape[-3:])
    scaled = torch.nn.functional.interpolate(flat, size=size, mode="bilinear", antialias=True, align_corners=False)
    return scaled.clamp(0, 1).reshape(*frames.shape[:-2], *size)


def _check(grid: VideoGrid) -> None:
    grid.validated().require_complete("reconstruction")
    if grid.num_views < 2:
        raise InputError("reconstruction needs at least two views of the scene; the grid has one")
    white = (grid.frames >= 1 - WHITE_TOLERANCE).flatten(2).all(-1)
    if white.any():
        view, time = torch.nonzero(white)[0].tolist()
        raise InputError(f"the frame of view {view} at time {time} is all white; there is nothing to reconstruct from")


def _geometry(
    model: ReconModel,
    frames: Float[Tensor, "V T 3 H W"],
    windows: Sequence[Window],
    settings: ReconstructSettings,
    progress: Progress,
) -> Iterator[tuple[int, _TimeGeometry]]:
    """Predictions for every time, in one world; the first time comes first."""
    device = next(model.parameters()).device
    size = settings.chunk_windows or len(windows)
    # The first window sets the cameras and the scale of all, so it goes alone.
    chunks = [windows[:1]] + [windows[start : start + size] for start in range(1, len(windows), size)]
    camera_tokens = first_depth = None
    for done, chunk in enumerate(chunks, start=1):
        batch = torch.stack([frames[:, list(window.times)] for window in chunk]).to(device)
        prediction = _predict(model, batch, camera_tokens, settings)
        if camera_tokens is None or first_depth is None:
            camera_tokens, first_depth = prediction.camera_tokens, prediction.depth[0, :, 0].clone()
        yield from _answers(model, chunk, batch, prediction, first_depth)
        del batch, prediction
        progress(done, len(chunks))


def _answers(
    model: ReconModel,
    chunk: Sequence[Window],
    batch: Float[Tensor, "B V T 3 H W"],
    prediction: Prediction,
    first_depth: Float[Tensor, "V H W"],
) -> Iterator[tuple[int, _TimeGeometry]]:
    """The times a chunk answers for, in the scale of the first window's depth."""
    for sample, window in enumerate(chunk):
        scale = float((first_depth / prediction.depth[sample, :, 0]).median())
        rig = prediction.cameras[sample]
        # Shared cameras are the first window's and have its scale already.
        rig = rig.moved(rig.world_to_cam[0, 0], 1.0 if model.config.share_cameras else scale)
        for place in window.answers:
            raw = None if prediction.gaussians is None else prediction.gaussians[sample, :, place]
            yield (
                window.times[place],
                _TimeGeometry(
                    frames=batch[sample, :, place],
                    depth=scale * prediction.depth[sample, :, place],
                    confidence=prediction.depth_confidence[sample, :, place],
                    raw=raw,
                    cameras=rig[:, place],
                ),
            )


@torch.no_grad()
def _predict(
    model: ReconModel,
    batch: Float[Tensor, "B V T 3 H W"],
    camera_tokens: Float[Tensor, "1 V D2"] | None,
    settings: ReconstructSettings,
) -> Prediction:
    shared = None if camera_tokens is None else camera_tokens.expand(len(batch), -1, -1)
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
        prediction = model(batch, shared, with_points=False)
    values = (prediction.poses[-1], prediction.depth, prediction.depth_confidence, prediction.gaussians)
    if not all(bool(torch.isfinite(value).all()) for value in values if value is not None):
        raise InputError(
            "the network's prediction holds NaN or infinity; its weights are damaged, "
            "or the frames are beyond what it was made for (try precision float32)"
        )
    return prediction


def _gaussians(geometry: _TimeGeometry, settings: ReconstructSettings) -> Gaussians:
    if geometry.raw is None:
        gaussians = gaussians_from_geometry(geometry.frames, geometry.depth, geometry.confidence, geometry.cameras)
    else:
        gaussians = gaussians_of_pixels(geometry.raw, geometry.frames, geometry.depth, geometry.cameras)
    keep = pixels(_wanted_pixels(geometry, settings)) & (gaussians.opacities >= settings.min_opacity)
    return gaussians.select(keep)


def _wanted_pixels(geometry: _TimeGeometry, settings: ReconstructSettings) -> Bool[Tensor, "V H W"]:
    keep = confident(geometry.confidence, settings.drop_least_confident)
    return keep & ~white_background(geometry.frames) if settings.drop_white_background else keep


def gaussians_from_geometry(
    frames: Float[Tensor, "V 3 H W"],
    depth: Float[Tensor, "V H W"],
    confidence: Float[Tensor, "V H W"],
    cameras: Cameras,
) -> Gaussians:
    """Geometry mode: a disc per pixel in the surface the depth describes, as opaque as the prediction is certain.

    Confidence is 1 + e^x of the head's value x; the opacity is that value's sigmoid, `1 - 1 / confidence`.
    """
    discs = concatenate(
        [lift_view(frames[view], depth[view], cameras[view], LiftSettings()) for view in range(len(frames))]
    )
    return replace(discs, opacities=(1 - 1 / confidence).reshape(-1).clamp(0, 1))


def _notify_of_doubts(psnr_db: float, shared: Float[Tensor, "V"]) -> None:
    """Notes on what may be wrong.

    Args:
        psnr_db: of the given views' renders.
        shared: share of each view that another view shows as well.
    """
    lonely = torch.nonzero(shared < LOW_OVERLAP).flatten().tolist()
    if lonely:
        notify(f"confidence is low: {_named(lonely, len(shared))} shows hardly anything that another view shows")
    if psnr_db < LOW_PSNR_DB:
        notify(
            f"confidence is low: rendered from their own cameras, the given views come back at {psnr_db:.1f} dB only "
            f"(a sound scene has {LOW_PSNR_DB:.0f} and more)"
        )


def _named(indices: Sequence[int], total: int) -> str:
    if len(indices) == total:
        return "every view"
    return ("view " if len(indices) == 1 else "each of views ") + ", ".join(map(str, indices))
