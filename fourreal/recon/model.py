"""The whole network: frames of a grid in, cameras, depth, points and Gaussian values out.

Source: 4Real-Video-V2, section 3.2 and Figure 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from fourreal.core.cameras import Cameras
from fourreal.core.gaussians import Gaussians
from fourreal.recon.aggregator import Aggregator
from fourreal.recon.camera_head import CameraHead, decode_pose
from fourreal.recon.config import ReconConfig
from fourreal.recon.dense_head import DenseHead, depth_and_confidence, points_and_confidence
from fourreal.recon.gaussian_head import GaussianHead, gaussians_of_pixels

# Frames a dense head works on at once when no gradient is kept: bounds memory, changes nothing else.
_FRAMES_PER_PASS = 8


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Output of the network for a batch of grids.

    Attributes:
        image_size: (height, width) of the frames.
        poses: pose encodings after each of the I refinements.
        depth, depth_confidence: z-depth in the world's unit, confidence above 1.
        points, points_confidence: world positions from the point head, when there is one.
        gaussians: raw values of the Gaussian head, when there is one; see `gaussians_at`.
        camera_tokens: the tokens all times share cameras by, to be handed to later chunks.
    """

    image_size: tuple[int, int]
    poses: Float[Tensor, "I B V T 9"]
    depth: Float[Tensor, "B V T H W"]
    depth_confidence: Float[Tensor, "B V T H W"]
    points: Float[Tensor, "B V T H W 3"] | None
    points_confidence: Float[Tensor, "B V T H W"] | None
    gaussians: Float[Tensor, "B V T 14 H W"] | None
    camera_tokens: Float[Tensor, "B V D2"]

    @property
    def cameras(self) -> Cameras:
        """The last refinement's cameras, batch `[B, V, T]`."""
        return decode_pose(self.poses[-1], self.image_size)

    def gaussians_at(
        self, frames: Float[Tensor, "B V T 3 H W"], sample: int, time: int, cameras: Cameras | None = None
    ) -> Gaussians:
        """The Gaussians of one time of one sample, differentiable.

        Args:
            frames: what went into the network.
            cameras: one per view; the predicted ones when left out.
        """
        assert self.gaussians is not None, "this network has no Gaussian head"
        cameras = self.cameras[sample, :, time] if cameras is None else cameras
        return gaussians_of_pixels(
            self.gaussians[sample, :, time], frames[sample, :, time], self.depth[sample, :, time], cameras
        )


class ReconModel(nn.Module):
    """Backbone and heads. Parameters carry the released names, so a VGGT checkpoint is a part of this one."""

    def __init__(self, config: ReconConfig) -> None:
        super().__init__()
        self.config = config
        self.aggregator = Aggregator(config)
        self.camera_head = CameraHead(config)
        self.depth_head = DenseHead(config, 2)
        self.point_head = DenseHead(config, 4) if config.point_head else None
        self.gaussian_head = GaussianHead(config) if config.gaussian_head else None

    def forward(
        self,
        frames: Float[Tensor, "B V T 3 H W"],
        camera_tokens: Float[Tensor, "B V D2"] | None = None,
        *,
        with_points: bool = True,
        with_gaussians: bool = True,
        with_temporal: bool = True,
    ) -> Prediction:
        """Predict everything for a batch of grids.

        Args:
            frames: sRGB in [0, 1]; H and W are multiples of `config.patch`.
            camera_tokens: of the first time of a longer sequence these frames belong to; the first
                time of `frames` when left out. Unused where cameras are not shared.
            with_points: run the point head, if there is one.
            with_gaussians: run the Gaussian head, if there is one.
            with_temporal: run the temporal layers; without them every time is seen as the backbone alone sees it.
        """
        image_size = (frames.shape[-2], frames.shape[-1])
        tokens = self.aggregator(frames, with_temporal=with_temporal)
        # A copy, so that keeping it does not keep all tokens.
        own = tokens.cameras[:, :, 0].clone()
        shared = own if camera_tokens is None else camera_tokens
        points = self._dense(self.point_head if with_points else None, tokens.layers, image_size)
        places, places_confidence = (None, None) if points is None else points_and_confidence(points)
        depth_values = self._dense(self.depth_head, tokens.layers, image_size)
        assert depth_values is not None
        depth, depth_confidence = depth_and_confidence(depth_values)
        return Prediction(
            image_size=image_size,
            poses=self._poses(tokens.cameras, shared),
            depth=depth,
            depth_confidence=depth_confidence,
            points=places,
            points_confidence=places_confidence,
            gaussians=self._dense(self.gaussian_head if with_gaussians else None, tokens.layers, image_size),
            camera_tokens=shared,
        )

    def _poses(
        self, camera_tokens: Float[Tensor, "B V T D2"], shared: Float[Tensor, "B V D2"]
    ) -> Float[Tensor, "I B V T 9"]:
        """Camera token replacement: with equal tokens at all times the head gives equal cameras, so it
        runs on one time and its answer is repeated. Source: 4Real-Video-V2, section 3.2; Table 8."""
        with torch.autocast(camera_tokens.device.type, enabled=False):
            if not self.config.share_cameras:
                return self.camera_head(camera_tokens.float())
            once = self.camera_head(shared.float()[:, :, None])
        return once.expand(-1, -1, -1, camera_tokens.shape[2], -1)

    def _dense(
        self, head: DenseHead | None, layers: Sequence[Float[Tensor, "B V T L D2"]], image_size: tuple[int, int]
    ) -> Float[Tensor, "B V T C H W"] | None:
        if head is None:
            return None
        batch, views = layers[0].shape[:2]
        flat = [rearrange(layer, "b v t l d -> (b v t) l d") for layer in layers]
        size = len(flat[0]) if torch.is_grad_enabled() else _FRAMES_PER_PASS
        passes = zip(*(layer.split(size) for layer in flat), strict=True)
        maps = torch.cat([head(list(part), image_size) for part in passes])
        return rearrange(maps, "(b v t) c h w -> b v t c h w", b=batch, v=views)
