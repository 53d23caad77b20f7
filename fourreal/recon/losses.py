"""What the network is trained by: rendered pictures, and cameras, depth and points with confidence.

**Scale.** A reconstruction without cameras has no unit, so the truth is brought to one before
anything is compared: the world becomes the first view's camera frame at the first time, and lengths
are divided by the mean distance from that camera to all valid surface points of all views and
times. Predictions are never rescaled; the network learns to answer in this unit. (VGGT, section 3.4.)

Source: 4Real-Video-V2, section 3.2 (rendering loss, `L = MSE + lambda LPIPS`); VGGT, section 3.4
(camera, depth and point losses).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.recon.camera_head import encode_pose

# VGGT's alpha: the reward for being confident.
CONFIDENCE_REWARD = 0.2
# Refinement i of I counts this to the power I - 1 - i; the last counts fully.
ITERATION_DECAY = 0.6
HUBER_THRESHOLD = 0.1


@dataclass(frozen=True)
class SceneTruth:
    """The truth about one scene in the unit above.

    Attributes:
        cameras: one per cell, batch `[V, T]`.
        depth: z-depth; anything where not valid.
        valid: pixels that show a surface.
        scale: what lengths were multiplied by.
    """

    cameras: Cameras
    depth: Float[Tensor, "V T H W"]
    valid: Bool[Tensor, "V T H W"]
    scale: float

    @property
    def points(self) -> Float[Tensor, "V T H W 3"]:
        """World position of every pixel's surface point."""
        return surface_points(self.depth, self.cameras)


def normalised_truth(
    cameras: Cameras, depth: Float[Tensor, "V T H W"], valid: Bool[Tensor, "V T H W"] | None = None
) -> SceneTruth:
    """Bring true cameras and depth into the frame and unit the network answers in.

    Args:
        cameras: one per view (batch `[V]`) or per cell (batch `[V, T]`).
        depth: z-depth; not finite or not positive means there is no surface.
        valid: pixels to use; all with a surface when left out.

    Raises:
        InputError: no pixel shows a surface.
    """
    views, times = depth.shape[:2]
    if len(cameras.batch_shape) == 1:
        cameras = Cameras(cameras.world_to_cam[:, None], cameras.intrinsics[:, None], cameras.image_size)
    cameras = cameras.expand(views, times)
    surface = torch.isfinite(depth) & (depth > 0)
    valid = surface if valid is None else valid & surface
    if not valid.any():
        raise InputError("a scene without any surface cannot be brought to scale; its depth is empty everywhere")
    depth = torch.where(surface, depth, torch.ones_like(depth))
    first = cameras.world_to_cam[0, 0]
    distances = surface_points(depth, cameras.moved(first)).norm(dim=-1)
    scale = 1.0 / float(distances[valid].mean())
    return SceneTruth(cameras.moved(first, scale), depth * scale, valid, scale)


def surface_points(depth: Float[Tensor, "*batch H W"], cameras: Cameras) -> Float[Tensor, "*batch H W 3"]:
    """World position of every pixel at its z-depth."""
    pixels = cameras.pixel_centers().reshape(-1, 2).expand(*cameras.batch_shape, -1, 2)
    return cameras.unproject(pixels, depth.flatten(-2)).reshape(*depth.shape, 3)


def camera_loss(poses: Float[Tensor, "I V T 9"], cameras: Cameras) -> Float[Tensor, ""]:
    """Huber distance of pose encodings to the truth, over all refinements. Source: VGGT, section 3.4.

    Args:
        poses: of one scene, after each refinement.
        cameras: true ones, normalised, batch `[V, T]`.
    """
    return pose_distance(poses, encode_pose(cameras).expand_as(poses))


def pose_distance(poses: Float[Tensor, "I V T 9"], target: Float[Tensor, "I V T 9"]) -> Float[Tensor, ""]:
    """Huber distance of two sets of pose encodings, refinement by refinement."""
    errors = torch.nn.functional.huber_loss(poses, target, reduction="none", delta=HUBER_THRESHOLD).mean((1, 2, 3))
    weights = ITERATION_DECAY ** torch.arange(len(poses) - 1, -1, -1, device=poses.device)
    return (weights * errors).sum() / weights.sum()


def depth_loss(
    depth: Float[Tensor, "*batch H W"],
    confidence: Float[Tensor, "*batch H W"],
    truth: Float[Tensor, "*batch H W"],
    valid: Bool[Tensor, "*batch H W"],
) -> Float[Tensor, ""]:
    """Error of depth and of its gradient, weighted by confidence, less the reward for confidence.

    A network that starts from nothing should be given ones as confidence until its error is below
    0.2: larger errors push confidence to its floor of 1, where the exponential behind it is flat and
    does not come back.
    """
    return _confidence_loss(depth[..., None], confidence, truth[..., None], valid)


def point_loss(
    points: Float[Tensor, "*batch H W 3"],
    confidence: Float[Tensor, "*batch H W"],
    truth: Float[Tensor, "*batch H W 3"],
    valid: Bool[Tensor, "*batch H W"],
) -> Float[Tensor, ""]:
    """The same for world positions."""
    return _confidence_loss(points, confidence, truth, valid)


def _confidence_loss(
    values: Float[Tensor, "*batch H W C"],
    confidence: Float[Tensor, "*batch H W"],
    truth: Float[Tensor, "*batch H W C"],
    valid: Bool[Tensor, "*batch H W"],
) -> Float[Tensor, ""]:
    """`mean(c |e| + c |grad e| - alpha log c)` over valid pixels, e the error. Source: VGGT, equation 3.

    A gradient counts where both pixels are valid. Without any valid pixel the loss is zero.
    """
    error = torch.where(valid[..., None], values - truth, torch.zeros_like(values))
    total = (confidence * error.abs().mean(-1) - CONFIDENCE_REWARD * confidence.log())[valid].sum()
    across = valid[..., :, 1:] & valid[..., :, :-1]
    down = valid[..., 1:, :] & valid[..., :-1, :]
    slope_x = (error[..., :, 1:, :] - error[..., :, :-1, :]).abs().mean(-1)
    slope_y = (error[..., 1:, :, :] - error[..., :-1, :, :]).abs().mean(-1)
    total = total + (confidence[..., :, :-1] * slope_x)[across].sum() + (confidence[..., :-1, :] * slope_y)[down].sum()
    return total / valid.sum().clamp(min=1)


@dataclass(frozen=True)
class RenderLoss:
    """A rendering loss and its two parts, each to be logged by its own name."""

    total: Float[Tensor, ""]
    mse: Float[Tensor, ""]
    perceptual: Float[Tensor, ""]


PerceptualDistance = Callable[[Float[Tensor, "N 3 H W"], Float[Tensor, "N 3 H W"]], Float[Tensor, "N"]]
"""Any distance between pictures in [0, 1]; see `fourreal.perception`."""


def render_loss(
    rendered: Float[Tensor, "*batch 3 H W"],
    truth: Float[Tensor, "*batch 3 H W"],
    perceptual: PerceptualDistance | None = None,
    weight: float = 0.5,
) -> RenderLoss:
    """`MSE + weight * perceptual`. Source: 4Real-Video-V2, section 3.2, "Gaussian Head".

    The paper leaves lambda open and follows BTimer's hyperparameters; 0.5 is this project's choice.

    Args:
        perceptual: left out, that part is zero and nothing is computed for it.
    """
    mse = ((rendered - truth) ** 2).mean()
    distance = mse.new_zeros(())
    if perceptual is not None and weight > 0:
        flat = (rearrange(picture, "... c h w -> (...) c h w") for picture in (rendered, truth))
        distance = perceptual(*flat).mean()
    return RenderLoss(mse + weight * distance, mse, distance)
