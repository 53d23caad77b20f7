"""The feature networks behind FVD and FID: I3D and Inception in TorchScript, VideoMAE through transformers.

Numbers from different networks, or from different preprocessing, do not compare; each network's
docstring states the preprocessing, and a score carries the network's name.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.perception import needed_weights
from fourreal.perception.feature_network import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    centre_square,
    in_chunks,
    lengthened,
    normalise,
    resize_short_side,
)
from fourreal.perception.model_folder import image_side, require_model_type
from fourreal.perception.needed_weights import content_hash


class I3dFeatures:
    """I3D trained on Kinetics-400, the network of FVD. A `VideoFeatures` of 400 logits.

    Frames are scaled (bilinear) to 224 on the short side, centre-cropped to 224 x 224 and mapped to
    [-1, 1]; the file's own resizing and rescaling are switched off. I3D halves time four times, so
    videos under 10 frames are played back and forth up to 10.

    Source: Unterthiner et al., "FVD: A new metric for video generation" (2019), section 3.

    Raises:
        MissingWeights: the file is not there.
        InputError: it is not TorchScript, or gives no [1, D] features.
    """

    min_frames = 10
    side = 224

    def __init__(self, file: str | os.PathLike[str] | None = None, device: torch.device | str = "cpu") -> None:
        path = needed_weights.I3D.find(file)
        self.device = torch.device(device)
        self.model = load_torchscript(path, self.device)
        self.name = f"I3D ({path.name})"
        self.fingerprint = f"i3d-{content_hash(path)}"

    def __call__(self, video: Float[Tensor, "T 3 H W"]) -> Float[Tensor, "D"]:
        square = centre_square(resize_short_side(lengthened(video, self.min_frames), self.side), self.side)
        clip = (2 * square - 1).movedim(0, 1)[None].to(self.device)
        with torch.no_grad():
            features = self.model(clip, rescale=False, resize=False, return_features=True)
        if features.ndim != 2 or len(features) != 1:
            raise InputError(f"{self.name} gave features of shape {list(features.shape)}; expected [1, D] per video")
        return features[0].float().cpu()


class VideoMaeFeatures:
    """VideoMAE's mean token. A `VideoFeatures`.

    Frames are scaled to the model's size on the short side, centre-cropped and normalised as ImageNet.
    The model reads a fixed number of frames: longer videos give that many, evenly spaced, first and
    last included; shorter ones are played back and forth first.

    Source: Tong et al., "VideoMAE" (2022); the use for Frechet distances is Ge et al., "On the Content
    Bias in Frechet Video Distance" (2024), with a larger model of the family.

    Raises:
        MissingWeights: there is no such folder.
        InputError: the folder holds another model.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, device: torch.device | str = "cpu") -> None:
        folder = needed_weights.VIDEOMAE.find(folder)
        from transformers import VideoMAEModel

        require_model_type(folder, ("videomae",))
        model: Any = VideoMAEModel.from_pretrained(folder, local_files_only=True)
        self.model = model.eval().to(device)
        self.side, self.min_frames = image_side(self.model.config), int(self.model.config.num_frames)
        self.name = f"VideoMAE ({folder.name})"
        self.fingerprint = f"videomae-{content_hash(folder)}"

    def __call__(self, video: Float[Tensor, "T 3 H W"]) -> Float[Tensor, "D"]:
        video = lengthened(video, self.min_frames)
        keep = torch.linspace(0, len(video) - 1, self.min_frames).round().long()
        square = centre_square(resize_short_side(video[keep], self.side), self.side)
        pixels = normalise(square, IMAGENET_MEAN, IMAGENET_STD)[None].to(self.model.device)
        with torch.no_grad():
            return self.model(pixel_values=pixels).last_hidden_state[0].mean(0).cpu()


class InceptionFeatures:
    """Inception-v3 pool features, the network of FID. An `ImageFeatures` of 2048 numbers.

    Frames become 8-bit; the TorchScript file does its own resizing, as published.

    Source: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule" (2017), section 2.

    Raises:
        MissingWeights: the file is not there.
        InputError: it is not TorchScript.
    """

    def __init__(self, file: str | os.PathLike[str] | None = None, device: torch.device | str = "cpu") -> None:
        path = needed_weights.INCEPTION.find(file)
        self.device = torch.device(device)
        self.model = load_torchscript(path, self.device)
        self.name = f"Inception ({path.name})"
        self.fingerprint = f"inception-{content_hash(path)}"

    def __call__(self, frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N D"]:
        return in_chunks(self._features, frames)

    def _features(self, frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N D"]:
        pixels = (frames.clamp(0, 1) * 255).round().to(torch.uint8).to(self.device)
        return self.model(pixels, return_features=True).float().cpu()


def load_torchscript(path: Path, device: torch.device) -> torch.jit.ScriptModule:
    """A TorchScript file, ready to run. Such a file is a program: load only ones you trust.

    Raises:
        InputError: it is none.
    """
    try:
        with warnings.catch_warnings():
            # torch calls TorchScript deprecated; the published networks exist in no other form.
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path} cannot be read as TorchScript; fetch it again") from error
