"""CLIP through transformers: image and text vectors from a model folder the user has.

Two different metrics use it: the CLIP score (image against text, 4Real-Video Table 1) and CLIP-S
(image against image, SV4D 2.0 Tables 1-4). Source: Radford et al., "Learning Transferable Visual
Models From Natural Language Supervision" (2021), section 2.3.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.perception import needed_weights
from fourreal.perception.feature_network import (
    CLIP_MEAN,
    CLIP_STD,
    centre_square,
    in_chunks,
    normalise,
    resize_short_side,
)
from fourreal.perception.model_folder import image_side, require_model_type
from fourreal.perception.needed_weights import content_hash


class ClipFeatures:
    """Unit vectors of frames and sentences in CLIP's shared space. An `ImageFeatures`.

    Args:
        folder: a transformers CLIP model folder (config.json, weights, tokenizer); the `clip` folder
            of the weights folder when left out.

    Raises:
        MissingWeights: there is no such folder.
        InputError: the folder holds another model.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, device: torch.device | str = "cpu") -> None:
        self.folder = needed_weights.CLIP.find(folder)
        from transformers import CLIPModel

        require_model_type(self.folder, ("clip",))
        model: Any = CLIPModel.from_pretrained(self.folder, local_files_only=True)
        self.model = model.eval().to(device)
        self.side = image_side(self.model.config.vision_config)
        self.name = f"CLIP ({self.folder.name})"
        self.fingerprint = f"clip-{content_hash(self.folder)}"

    def __call__(self, frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N D"]:
        """Unit image vectors; frames are scaled (bicubic) and centre-cropped as CLIP was trained."""
        return in_chunks(self._images, frames)

    def _images(self, frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N D"]:
        square = centre_square(resize_short_side(frames, self.side, "bicubic"), self.side)
        pixels = normalise(square, CLIP_MEAN, CLIP_STD).to(self.model.device)
        pooled = self.model.vision_model(pixel_values=pixels).pooler_output
        return torch.nn.functional.normalize(self.model.visual_projection(pooled), dim=-1).cpu()

    def sentences(self, texts: Sequence[str]) -> Float[Tensor, "N D"]:
        """Unit text vectors; what exceeds the model's longest text is cut off.

        Raises:
            InputError: the folder has no tokenizer.
        """
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.folder} holds no tokenizer; put CLIP's tokenizer files into the model folder"
            ) from error
        longest = self.model.config.text_config.max_position_embeddings
        tokens = tokenizer(list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt")
        tokens = tokens.to(self.model.device)
        with torch.no_grad():
            pooled = self.model.text_model(
                input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
            ).pooler_output
            return torch.nn.functional.normalize(self.model.text_projection(pooled), dim=-1).cpu()
