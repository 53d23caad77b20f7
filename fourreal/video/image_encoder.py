"""The CLIP image encoder that Wan 2.1's image-to-video models read their first frame with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError


class ImageEncoder:
    """CLIP's second-last layer, as Wan was trained with; for a frame [3, H, W] in [0, 1]."""

    def __init__(self, model: Any, processor: Any) -> None:
        self.model = model.eval().requires_grad_(False)
        self.processor = processor

    def encode(self, frame: Float[Tensor, "3 H W"]) -> Float[Tensor, "1 M D"]:
        """Patch embeddings of one picture."""
        picture = (frame.detach().cpu().float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        pixels = self.processor(images=picture, return_tensors="pt")["pixel_values"]
        with torch.no_grad():
            read = self.model(pixel_values=pixels.to(self.model.device, self.model.dtype), output_hidden_states=True)
        return read.hidden_states[-2].float()

    def to(self, device: torch.device | str) -> ImageEncoder:
        self.model.to(device)
        return self

    def save(self, folder: Path) -> None:
        """Write `image_encoder/` and `image_processor/` under a model folder."""
        self.model.save_pretrained(folder / "image_encoder")
        self.processor.save_pretrained(folder / "image_processor")


def load_image_encoder(folder: Path, dtype: torch.dtype = torch.float32) -> ImageEncoder | None:
    """The image encoder of a model folder, or None where it has none.

    Raises:
        InputError: it is there but cannot be loaded.
    """
    if not (folder / "image_encoder" / "config.json").is_file():
        return None
    from safetensors import SafetensorError
    from transformers import CLIPImageProcessor, CLIPVisionModel

    try:
        model = CLIPVisionModel.from_pretrained(folder / "image_encoder", dtype=dtype, local_files_only=True)
        processor = CLIPImageProcessor.from_pretrained(folder / "image_processor", local_files_only=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(f"the image encoder in {folder} cannot be loaded: {str(error).splitlines()[0]}") from error
    return ImageEncoder(model, processor)
