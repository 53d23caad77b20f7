"""A complete grid of frames in, Gaussians for every time out, in one pass and without camera input.

`config` describes a network, `model` is it, `weights` reads and writes it, `reconstruct` uses it.

Source: 4Real-Video-V2, section 3.2 and appendix C; the backbone is VGGT (Wang et al., 2025).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fourreal.core.lazy_names import install_lazy_names

if TYPE_CHECKING:
    from fourreal.recon.lift import lift_grid as lift_grid
    from fourreal.recon.model import ReconModel as ReconModel
    from fourreal.recon.reconstruct import reconstruct as reconstruct
    from fourreal.recon.settings import ReconstructSettings as ReconstructSettings
    from fourreal.recon.target_cameras import predict_target_cameras as predict_target_cameras
    from fourreal.recon.weights import find_model as find_model

install_lazy_names(
    __name__,
    {
        "ReconModel": "fourreal.recon.model",
        "ReconstructSettings": "fourreal.recon.settings",
        "find_model": "fourreal.recon.weights",
        "lift_grid": "fourreal.recon.lift",
        "predict_target_cameras": "fourreal.recon.target_cameras",
        "reconstruct": "fourreal.recon.reconstruct",
    },
)
