"""Cameras of views that are to be rendered but were not reconstructed from, found without being given.

The network looks a second time, at the first input view followed by the targets, and answers in the
first view's frame, which is the reconstruction's world as well.

Source: 4Real-Video-V2, section 4.2 ("We use VGGT to predict the output camera parameters by taking
the first input frame and the target frames").
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.recon.model import ReconModel
from fourreal.recon.reconstruct import network_size, resized

TargetScale = Literal["paper", "depth"]
"""paper: as the second pass predicts them; the two passes may differ in scale.
depth: distances are scaled so that the first view's depth agrees in both passes."""


@torch.no_grad()
def predict_target_cameras(
    model: ReconModel,
    inputs: Float[Tensor, "V 3 H W"],
    targets: Float[Tensor, "N 3 _ _"],
    scale: TargetScale = "paper",
    longest_side: int = 0,
) -> Cameras:
    """Cameras of `targets` in the world of a reconstruction from `inputs`, for images of their size.

    Args:
        inputs: frames the scene is reconstructed from, at its first time.
        targets: frames of the same moment from elsewhere.
        scale: see `TargetScale`.

    Raises:
        InputError: there are no targets, or their size differs from the inputs'.
    """
    if len(targets) == 0:
        raise InputError("expected at least one target view; got none")
    if inputs.shape[1:] != targets.shape[1:]:
        raise InputError(
            f"target frames must have the inputs' size {list(inputs.shape[2:])}; got {list(targets.shape[2:])}"
        )
    image_size = (inputs.shape[2], inputs.shape[3])
    size = network_size(image_size, model, longest_side)
    device = next(model.parameters()).device
    frames = resized(torch.cat([inputs[:1], targets]), size).to(device)
    prediction = model(frames[None, :, None], with_points=False)
    rig = prediction.cameras[0, :, 0]
    factor = 1.0
    if scale == "depth":
        reference = model(resized(inputs, size).to(device)[None, :, None], with_points=False)
        factor = float((reference.depth[0, 0, 0] / prediction.depth[0, 0, 0]).median())
    return rig.moved(rig.world_to_cam[0], factor)[1:].resized(image_size)
