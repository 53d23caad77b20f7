"""A tiny network in which every part acts, unlike a fresh one, whose new parts start silent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from fourreal.recon.config import tiny
from fourreal.recon.model import ReconModel


def awake_model(seed: int = 0, **changes: Any) -> ReconModel:
    """Temporal layers mix times, the Gaussian head answers, fields of view are sane."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = ReconModel(replace(tiny(), **changes)).eval()
        for name, parameter in model.named_parameters():
            if name.endswith("gamma"):
                nn.init.constant_(parameter, 0.5)
        if model.gaussian_head is not None:
            nn.init.normal_(model.gaussian_head.scratch["output_conv2"].get_parameter("2.weight"), std=0.5)
        with torch.no_grad():
            model.camera_head.pose_branch.fc2.bias[7:] = 0.3
    return model
