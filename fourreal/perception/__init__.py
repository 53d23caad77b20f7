"""Feature networks and perceptual distances, shared by losses and metrics.

Weights come from the user or are part of the package under their own name; nothing is downloaded here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fourreal.core.lazy_names import install_lazy_names

if TYPE_CHECKING:
    from fourreal.perception.clip_features import ClipFeatures as ClipFeatures
    from fourreal.perception.dino_features import DinoFeatures as DinoFeatures
    from fourreal.perception.feature_network import ImageFeatures as ImageFeatures
    from fourreal.perception.feature_network import VideoFeatures as VideoFeatures
    from fourreal.perception.frechet_networks import I3dFeatures as I3dFeatures
    from fourreal.perception.frechet_networks import InceptionFeatures as InceptionFeatures
    from fourreal.perception.frechet_networks import VideoMaeFeatures as VideoMaeFeatures
    from fourreal.perception.lpips import load_lpips as load_lpips
    from fourreal.perception.needed_weights import MissingWeights as MissingWeights
    from fourreal.perception.optical_flow import dense_flow as dense_flow
    from fourreal.perception.optical_flow import warp as warp
    from fourreal.perception.picture_distance import picture_distance as picture_distance

install_lazy_names(
    __name__,
    {
        "ClipFeatures": "fourreal.perception.clip_features",
        "DinoFeatures": "fourreal.perception.dino_features",
        "I3dFeatures": "fourreal.perception.frechet_networks",
        "ImageFeatures": "fourreal.perception.feature_network",
        "InceptionFeatures": "fourreal.perception.frechet_networks",
        "MissingWeights": "fourreal.perception.needed_weights",
        "VideoFeatures": "fourreal.perception.feature_network",
        "VideoMaeFeatures": "fourreal.perception.frechet_networks",
        "dense_flow": "fourreal.perception.optical_flow",
        "load_lpips": "fourreal.perception.lpips",
        "picture_distance": "fourreal.perception.picture_distance",
        "warp": "fourreal.perception.optical_flow",
    },
)
