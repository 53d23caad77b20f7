"""What a reconstruction network is made of, and its presets.

`vggt_1b` has the released backbone's sizes; `base` and `mini` are trained from nothing, `mini` on a CPU; `tiny` is for
tests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from fourreal.core.errors import InputError

TemporalLayers = Literal["none", "pair", "block"]
"""Where layers that connect times sit. Source: 4Real-Video-V2, section 3.2, "after each frame and global
attention layer", which can be read both ways.

none: nowhere; every time is reconstructed for itself (Table 8, "w/o temporal attention").
pair: after every pair of a frame and a global block (24 layers in the full size).
block: after every frame block and after every global block (48 layers in the full size).
"""

TemporalScope = Literal["place", "view"]
"""Which tokens a temporal layer connects.

place: the tokens at one place of one view, across times.
view: all tokens of one view, across times.
"""


@dataclass(frozen=True, kw_only=True)
class ReconConfig:
    """Sizes and options of the network.

    Attributes:
        patch: pixels per side of a patch.
        native_size: pixels per side of the images the learned position table was made for.
        width: channels of a token.
        heads: attention heads of every block but the camera head's.
        encoder_depth: blocks of the patch encoder.
        depth: pairs of a frame and a global block.
        mlp_ratio: hidden width of the MLPs over their width.
        layer_scale: first value of the backbone's and the camera head's layer scales. VGGT starts
            from a trained encoder with 0.01; from nothing, blocks must count from the first step.
        token_init_std: spread of new camera and register tokens. VGGT's are next to nothing; from nothing, they must
            differ from each other from the first step.
        query_gain, key_gain: initial gain of the norms of queries and keys; above 1 lets a small new network form
            sharp matches early. Like all initial values without effect on loaded weights.
        registers: register tokens, in the encoder and in the backbone.
        head_layers: pairs whose tokens the dense heads read, fine to coarse.
        dense_features: channels in the dense heads' fusion.
        dense_stages: channels of their four stages, fine to coarse.
        camera_depth, camera_heads, camera_mlp_ratio: blocks of the camera head, twice `width` wide.
        camera_iterations: refinements of the camera head.
        temporal: where temporal layers sit.
        temporal_scope: which tokens they connect.
        share_cameras: camera tokens of every time become those of the first time, after the blocks.
        point_head: predict point maps besides depth.
        gaussian_head: predict Gaussians; without it reconstruction uses geometry alone.
    """

    patch: int = 14
    native_size: int = 518
    width: int = 1024
    heads: int = 16
    encoder_depth: int = 24
    depth: int = 24
    mlp_ratio: float = 4.0
    layer_scale: float = 0.01
    token_init_std: float = 1e-6
    query_gain: float = 1.0
    key_gain: float = 1.0
    registers: int = 4
    head_layers: tuple[int, int, int, int] = (4, 11, 17, 23)
    dense_features: int = 256
    dense_stages: tuple[int, int, int, int] = (256, 512, 1024, 1024)
    camera_depth: int = 4
    camera_heads: int = 16
    camera_mlp_ratio: float = 4.0
    camera_iterations: int = 4
    temporal: TemporalLayers = "pair"
    temporal_scope: TemporalScope = "place"
    share_cameras: bool = True
    point_head: bool = True
    gaussian_head: bool = True

    def __post_init__(self) -> None:
        if self.native_size % self.patch:
            raise InputError(f"native_size must be a multiple of patch; got {self.native_size} and {self.patch}")
        if self.width % self.heads or (self.width // self.heads) % 8:
            raise InputError(f"width / heads must be a multiple of 8; got {self.width} and {self.heads}")
        if 2 * self.width % self.camera_heads:
            raise InputError(f"twice the width must divide by camera_heads; got {self.width} and {self.camera_heads}")
        if not all(0 <= layer < self.depth for layer in self.head_layers):
            raise InputError(f"head_layers must lie below depth {self.depth}; got {list(self.head_layers)}")
        if self.dense_features % 8 or any(stage % 4 for stage in self.dense_stages):
            raise InputError("dense_features must be a multiple of 8 and dense_stages multiples of 4")

    @property
    def special_tokens(self) -> int:
        """Tokens of a frame before its patches: the camera's, then the registers."""
        return 1 + self.registers


def vggt_1b() -> ReconConfig:
    """The released VGGT-1B with this project's temporal layers and Gaussian head. Source: appendix C."""
    return ReconConfig()


def base() -> ReconConfig:
    """8.2 million values, for images of 128 x 128."""
    return ReconConfig(
        patch=8,
        native_size=128,
        width=160,
        heads=5,
        encoder_depth=4,
        depth=6,
        mlp_ratio=3.0,
        layer_scale=1.0,
        token_init_std=0.5,
        query_gain=2.0,
        key_gain=1.5,
        head_layers=(1, 3, 4, 5),
        dense_features=32,
        dense_stages=(32, 48, 96, 96),
        camera_depth=1,
        camera_heads=5,
        camera_mlp_ratio=2.0,
    )


def mini() -> ReconConfig:
    """0.95 million values, for images of 64 x 64, without a point head: what ships, trained on a CPU."""
    return replace(
        base(),
        native_size=64,
        width=64,
        heads=2,
        encoder_depth=2,
        depth=4,
        head_layers=(0, 1, 2, 3),
        camera_heads=2,
        dense_features=16,
        dense_stages=(16, 16, 32, 32),
        point_head=False,
    )


def tiny() -> ReconConfig:
    """Runs in milliseconds and reconstructs nothing: for tests."""
    return ReconConfig(
        patch=8,
        native_size=32,
        width=32,
        heads=2,
        encoder_depth=1,
        depth=2,
        mlp_ratio=2.0,
        layer_scale=1.0,
        head_layers=(0, 0, 1, 1),
        dense_features=16,
        dense_stages=(8, 8, 16, 16),
        camera_depth=1,
        camera_heads=2,
        camera_mlp_ratio=1.0,
    )
