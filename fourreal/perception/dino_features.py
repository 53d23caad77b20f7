"""DINO image features through transformers: the class token of a self-supervised vision transformer.

Source: Caron et al., "Emerging Properties in Self-Supervised Vision Transformers" (2021); VBench
measures subject consistency with the ViT-B/16 of it.
"""

from __future__ import annotations

import os

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.perception import needed_weights
from fourreal.perception.feature_network import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    centre_square,
    in_chunks,
    normalise,
    resize_short_side,
)
from fourreal.perception.model_folder import image_side, require_model_type
from fourreal.perception.needed_weights import content_hash


class DinoFeatures:
    """Unit class-token vectors of frames (DINO ViT or DINOv2 folder). An `ImageFeatures`.

    Frames are scaled to 224 on the short side and the central square is taken; VBench keeps the whole
    frame, which a folder's fixed position embeddings do not always allow.

    Raises:
        MissingWeights: there is no such folder.
        InputError: the folder holds another model.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, device: torch.device | str = "cpu") -> None:
        folder = needed_weights.DINO.find(folder)
        from transformers import AutoModel

        require_model_type(folder, ("vit", "dinov2", "dinov2_with_registers", "dinov3_vit"))
        self.model = AutoModel.from_pretrained(folder, local_files_only=True).eval().to(device)
        self.side = min(224, image_side(self.model.config))
        self.name = f"DINO ({folder.name})"
        self.fingerprint = f"dino-{content_hash(folder)}"

    def __call__(self, frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N D"]:
        return in_chunks(self._features, frames)

    def _features(self, frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N D"]:
        square = centre_square(resize_short_side(frames, self.side), self.side)
        pixels = normalise(square, IMAGENET_MEAN, IMAGENET_STD).to(self.model.device)
        token = self.model(pixel_values=pixels).last_hidden_state[:, 0]
        return torch.nn.functional.normalize(token, dim=-1).cpu()
