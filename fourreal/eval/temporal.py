"""Temporal quality of a video: flickering, motion smoothness, subject and background consistency.

Follows VBench's definitions where they need no network of their own; each function says what differs.
Source: Huang et al., "VBench: Comprehensive Benchmark Suite for Video Generative Models" (2024),
section 3.2 and supplement; used in 4Real-Video-V2, Table 3 and Table S2.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.perception.feature_network import ImageFeatures
from fourreal.perception.optical_flow import dense_flow, warp


def temporal_flickering(video: Float[Tensor, "T 3 H W"]) -> float:
    """1 minus the mean absolute difference of neighbouring frames, in [0, 1]; higher is less flicker.

    VBench's number exactly, for frames that came from 8-bit. It counts motion as much as flicker:
    VBench measures it on static scenes only.

    Raises:
        InputError: fewer than two frames.
    """
    _require_frames(video, 2, "temporal flickering")
    return 1 - float(video.diff(dim=0).abs().mean())


def motion_smoothness(video: Float[Tensor, "T 3 H W"]) -> float:
    """1 minus the mean absolute error of each odd frame predicted from its two neighbours, in [0, 1]; higher is better.

    The prediction warps both neighbours half way along the flow between them and takes their mean.
    VBench predicts with a trained interpolation network (AMT-S), so the numbers do not compare with
    its own; report this one as "motion smoothness (flow)".

    Raises:
        InputError: fewer than three frames.
    """
    _require_frames(video, 3, "motion smoothness")
    before, between, after = video[:-2:2], video[1:-1:2], video[2::2]
    forward, backward = dense_flow(before, after), dense_flow(after, before)
    # The flow at the middle frame's pixel is taken from the same pixel of a neighbour: exact for
    # motion that is smooth over its own length.
    predicted = (warp(before, backward / 2) + warp(after, forward / 2)) / 2
    return 1 - float((predicted - between).abs().mean())


def feature_consistency(video: Float[Tensor, "T 3 H W"], network: ImageFeatures) -> float:
    """Similarity of the frames to a network, in [0, 1]; higher is better.

    Mean over frames after the first of half the cosine to the first frame plus half the cosine to
    the frame before, each at least 0. With DINO features it is VBench's subject consistency, with
    CLIP image features its background consistency.

    Raises:
        InputError: fewer than two frames.
    """
    _require_frames(video, 2, "consistency")
    unit = torch.nn.functional.normalize(network(video).double(), dim=-1)
    to_first = (unit[1:] @ unit[0]).clamp(min=0)
    to_previous = (unit[1:] * unit[:-1]).sum(-1).clamp(min=0)
    return float((to_first + to_previous).mean() / 2)


def _require_frames(video: Tensor, count: int, what: str) -> None:
    if len(video) < count:
        raise InputError(f"{what} needs at least {count} frames; the video has {len(video)}")
