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
from fourreal.recon.model import Prediction, ReconModel
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
    second = model(frames[None, :, None], with_points=False)
    first_depth = None
    if scale == "depth":
        first_depth = model(resized(inputs, size).to(device)[None, :, None], with_points=False).depth[0, 0, 0]
    return cameras_of_targets(second, 0, first_depth).resized(image_size)


def cameras_of_targets(second: Prediction, sample: int, first_depth: Float[Tensor, "H W"] | None = None) -> Cameras:
    """Cameras of the targets of a second pass, in the frame of the first view, which went in before them.

    Args:
        first_depth: of the first view in the first pass; distances are scaled by the median ratio to the second's.
    """
    rig = second.cameras[sample, :, 0]
    factor = 1.0 if first_depth is None else float((first_depth / second.depth[sample, 0, 0]).median())
    return rig.moved(rig.world_to_cam[0], factor)[1:]
