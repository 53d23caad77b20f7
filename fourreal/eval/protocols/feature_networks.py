"""Feature networks of Frechet distances by name; the error of missing weights is returned, not raised."""

from __future__ import annotations

from typing import Literal, get_args

from fourreal.core.errors import InputError
from fourreal.perception.feature_network import ImageFeatures, VideoFeatures
from fourreal.perception.frechet_networks import I3dFeatures, InceptionFeatures, VideoMaeFeatures
from fourreal.perception.needed_weights import MissingWeights
from fourreal.perception.random_features import RandomImageFeatures, RandomVideoFeatures

VideoFeaturesName = Literal["i3d", "videomae", "random"]
"""i3d: the network of FVD. videomae: less blind to motion. random: untrained, for trying."""


def video_network(name: str) -> VideoFeatures | MissingWeights:
    """The network, or what is missing of it.

    Raises:
        InputError: there is no such network.
    """
    networks = {"i3d": I3dFeatures, "videomae": VideoMaeFeatures, "random": RandomVideoFeatures}
    if name not in networks:
        raise InputError(f"unknown feature network '{name}'; expected {', '.join(get_args(VideoFeaturesName))}")
    try:
        return networks[name]()
    except MissingWeights as missing:
        return missing


def image_network(video_features: str) -> ImageFeatures | MissingWeights:
    """The network of FID: Inception, or an untrained one where that is used for videos too."""
    try:
        return RandomImageFeatures() if video_features == "random" else InceptionFeatures()
    except MissingWeights as missing:
        return missing
