"""Cameras from camera tokens, refined over a few iterations, and the pose encoding they speak.

The encoding is VGGT's: translation of world-to-camera (3), rotation quaternion **xyzw** (4), vertical
and horizontal field of view in radians (2). It stays in this room; `decode_pose` turns it into `Cameras`.

Source: VGGT, section 3.3 (camera head); 4Real-Video-V2, section 3.2 (camera token replacement).
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from fourreal.core.cameras import Cameras
from fourreal.core.rotations import matrix_to_quat, quat_to_matrix, rigid
from fourreal.recon.block import Block, Mlp
from fourreal.recon.config import ReconConfig

POSE_VALUES = 9
# About 0.6 and 172 degrees. The head can output 0, which has no focal length.
SMALLEST_FOV, LARGEST_FOV = 0.01, 3.0


class CameraHead(nn.Module):
    """Refines a pose encoding step by step, each step modulated by the encoding so far."""

    def __init__(self, config: ReconConfig) -> None:
        super().__init__()
        width = 2 * config.width
        self.iterations = config.camera_iterations
        self.token_norm = nn.LayerNorm(width)
        self.trunk = nn.ModuleList(
            Block(width, config.camera_heads, mlp_ratio=config.camera_mlp_ratio, scale=config.layer_scale)
            for _ in range(config.camera_depth)
        )
        self.trunk_norm = nn.LayerNorm(width)
        self.empty_pose_tokens = nn.Parameter(torch.zeros(1, 1, POSE_VALUES))
        self.embed_pose = nn.Linear(POSE_VALUES, width)
        self.poseLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 3 * width))
        self.adaln_norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.pose_branch = Mlp(width, width // 2, POSE_VALUES)

    def forward(self, camera_tokens: Float[Tensor, "B V T D2"]) -> Float[Tensor, "I B V T 9"]:
        """Pose encodings after each of the I iterations; cameras of one time see each other, times do not."""
        batch, _, times, _ = camera_tokens.shape
        tokens = self.token_norm(rearrange(camera_tokens, "b v t d -> (b t) v d"))
        # Every iteration starts from the same tokens; only the modulation changes.
        normed = self.adaln_norm(tokens)
        pose = tokens.new_zeros(*tokens.shape[:2], POSE_VALUES)
        encodings = []
        for iteration in range(self.iterations):
            # Detached as in VGGT: each iteration learns to improve what it is given.
            pose = pose.detach()
            given = pose if iteration else self.empty_pose_tokens.expand_as(pose)
            shift, scale, gate = self.poseLN_modulation(self.embed_pose(given)).chunk(3, -1)
            hidden = tokens + gate * (normed * (1 + scale) + shift)
            for block in self.trunk:
                hidden = block(hidden)
            pose = pose + self.pose_branch(self.trunk_norm(hidden))
            encodings.append(torch.cat([pose[..., :7], pose[..., 7:].relu()], -1))
        return rearrange(torch.stack(encodings), "i (b t) v p -> i b v t p", b=batch, t=times)


def decode_pose(encoding: Float[Tensor, "*batch 9"], image_size: tuple[int, int]) -> Cameras:
    """Cameras for images of (height, width), principal point in the middle.

    Fields of view are held within 0.6 to 172 degrees, where a focal length exists.
    """
    height, width = image_size
    rotation = quat_to_matrix(encoding[..., (6, 3, 4, 5)])
    field_of_view = encoding[..., 7:].clamp(SMALLEST_FOV, LARGEST_FOV)
    half_size = encoding.new_tensor([height / 2, width / 2])
    focal_y, focal_x = (half_size / torch.tan(field_of_view / 2)).unbind(-1)
    zero, one = torch.zeros_like(focal_x), torch.ones_like(focal_x)
    rows = ((focal_x, zero, one * width / 2), (zero, focal_y, one * height / 2), (zero, zero, one))
    intrinsics = torch.stack([torch.stack(row, -1) for row in rows], -2)
    return Cameras(rigid(rotation, encoding[..., :3]), intrinsics, image_size)


def encode_pose(cameras: Cameras) -> Float[Tensor, "*batch 9"]:
    """The encoding of cameras; a principal point off the middle and skew have no place in it."""
    height, width = cameras.image_size
    quats = matrix_to_quat(cameras.world_to_cam[..., :3, :3])[..., (1, 2, 3, 0)]
    focal_y, focal_x = cameras.intrinsics[..., 1, 1], cameras.intrinsics[..., 0, 0]
    field_of_view = torch.stack([2 * torch.atan(height / 2 / focal_y), 2 * torch.atan(width / 2 / focal_x)], -1)
    return torch.cat([cameras.world_to_cam[..., :3, 3], quats, field_of_view], -1)
