"""Feature networks, perceptual distances and optical flow, for losses and metrics.

Weights come from the user or with the package, under their own name; nothing is downloaded here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fourreal.core.lazy_names import install_lazy_names

if TYPE_CHECKING:
    from fourreal.perception.clip_features import ClipFeatures as ClipFeatures
    from fourreal.perception.dino_features import DinoFeatures as DinoFeatures
    from fourreal.perception.lpips import load_lpips as load_lpips
    from fourreal.perception.needed_weights import MissingWeights as MissingWeights
    from fourreal.perception.optical_flow import dense_flow as dense_flow
    from fourreal.perception.optical_flow import warp as warp
    from fourreal.perception.picture_distance import picture_distance as picture_distance
    from fourreal.perception.st_lpips import load_st_lpips as load_st_lpips

install_lazy_names(
    __name__,
    {
        "ClipFeatures": "fourreal.perception.clip_features",
        "DinoFeatures": "fourreal.perception.dino_features",
        "MissingWeights": "fourreal.perception.needed_weights",
        "dense_flow": "fourreal.perception.optical_flow",
        "load_lpips": "fourreal.perception.lpips",
        "load_st_lpips": "fourreal.perception.st_lpips",
        "picture_distance": "fourreal.perception.picture_distance",
        "warp": "fourreal.perception.optical_flow",
    },
)
