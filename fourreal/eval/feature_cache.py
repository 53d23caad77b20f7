"""Features of videos, kept on disk by the content of the frames and the weights of the network.

A key is a hash of the pixels, their shape and the network's fingerprint, so a changed frame or a
changed weight is another entry, and no entry has to be invalidated.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.atomic import atomic_file
from fourreal.core.errors import InputError
from fourreal.perception.feature_network import VideoFeatures


class FeatureCache:
    """Features of videos, computed once. A damaged entry is computed again."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.hits = self.misses = 0

    def video(self, network: VideoFeatures, video: Float[Tensor, "T 3 H W"]) -> Float[Tensor, "D"]:
        """Features of one video."""
        from safetensors.torch import save_file

        key = frames_hash(video, network.fingerprint)
        path = self.folder / key[:2] / f"{key}.safetensors"
        known = _read(path)
        if known is not None:
            self.hits += 1
            return known
        self.misses += 1
        features = network(video).detach().cpu().contiguous()
        with atomic_file(path) as partial:
            save_file({"features": features}, partial)
        return features


def video_features(
    videos: Iterable[Float[Tensor, "_ 3 _ _"]], network: VideoFeatures, cache: FeatureCache | None = None
) -> Float[Tensor, "N D"]:
    """One feature vector per video. Raises InputError when there is no video."""
    features = [network(video) if cache is None else cache.video(network, video) for video in videos]
    if not features:
        raise InputError("a Frechet distance needs at least one video on each side; got none")
    return torch.stack(features)


def frames_hash(frames: Tensor, fingerprint: str) -> str:
    """SHA-256 of pixels, shape, number format and network."""
    values = frames.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{fingerprint}|{values.dtype}|{tuple(values.shape)}|".encode())
    digest.update(values.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path) -> Tensor | None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)["features"]
    except (OSError, KeyError, SafetensorError):
        return None
