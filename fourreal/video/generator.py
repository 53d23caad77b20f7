"""`ViewTimeGenerator`: transformer, codec and text encoder as one value, and the folder they live in.

The folder has the layout Wan is released in: `transformer/`, `vae/`, `text_encoder/`, `tokenizer/`,
`scheduler/` and `model_index.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from fourreal.core.atomic import atomic_folder
from fourreal.core.configs import from_dict, read_json, to_dict
from fourreal.core.errors import InputError
from fourreal.core.grid_shape import GridShape
from fourreal.video.codec import Codec, load_codec
from fourreal.video.image_encoder import ImageEncoder, load_image_encoder
from fourreal.video.model_folder import find_model_folder
from fourreal.video.quantize import is_quantized, quantize_blocks
from fourreal.video.settings import WeightType
from fourreal.video.text import TextEncoder, load_text_encoder
from fourreal.video.transformer import ViewTimeTransformer
from fourreal.video.weights import load_model

FirstFrame = Literal["reference", "pasted", "channels", "none"]
"""How a single video takes its first frame. reference: as a known cell, like any other. pasted: as a
clean latent at diffusion time 0 (Wan 2.2 TI2V). channels: beside the noise, as further input channels
(Wan image-to-video). none: it cannot."""


@dataclass(frozen=True, kw_only=True)
class ViewTimeGenerator:
    """All that `generate` needs.

    Attributes:
        shift: of the noise levels, as the base model was trained and released with.
        pastes_first_frame: the base takes a clean first latent at diffusion time 0 (Wan 2.2 TI2V).
        image_encoder: CLIP, for Wan 2.1's image-to-video models.
        training_size: the grids it was trained on, where the folder says.
        repeats_one_sided: a fixed-view or freeze-time video alone is repeated, because the model does worse.
    """

    transformer: ViewTimeTransformer
    codec: Codec
    text_encoder: TextEncoder
    shift: float = 5.0
    pastes_first_frame: bool = False
    image_encoder: ImageEncoder | None = None
    training_size: GridShape | None = None
    repeats_one_sided: bool = False

    def __post_init__(self) -> None:
        config = self.transformer.config
        if config["out_channels"] != self.codec.channels:
            raise InputError(
                f"the transformer makes latents of {config['out_channels']} channels, the codec has "
                f"{self.codec.channels}; they belong to different models"
            )
        if config["text_dim"] != self.text_encoder.dim:
            raise InputError(
                f"the transformer reads text embeddings {config['text_dim']} wide, the text encoder's are "
                f"{self.text_encoder.dim}; they belong to different models"
            )

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        delta: str | Path | None = None,
        weight_type: WeightType = "float32",
        **changes: Any,
    ) -> ViewTimeGenerator:
        """Load a model folder in the released Wan layout, or download a released one.

        Args:
            source: `mini` for the one that comes with the package, a folder, a name in `presets.RELEASED`, or a
                hub id `owner/name`.
            delta: folder of view-time weights to lay over a base model.
            weight_type: number format of transformer and UMT5; the VAE stays in float32.
            changes: transformer config values to change, such as `arrangement`.

        Raises:
            InputError: a part is missing, damaged or of another model, or there is no network.
        """
        folder = find_model_folder(source)
        index = read_json(folder / "model_index.json") if (folder / "model_index.json").is_file() else {}
        if (folder / "transformer_2").is_dir():
            raise InputError(
                f"{folder} holds two transformers, one for high noise and one for low (Wan 2.2 A14B); only models "
                "with one are supported, for instance wan2.1-14b"
            )
        dtype = torch.bfloat16 if weight_type == "int8" else getattr(torch, weight_type)
        transformer = load_model(folder, delta=delta, dtype=dtype, **changes)
        if weight_type == "int8":
            quantize_blocks(transformer)
        return cls(
            transformer=transformer,
            codec=load_codec(folder / "vae"),
            text_encoder=load_text_encoder(folder, dtype),
            shift=_released_shift(folder),
            pastes_first_frame=bool(index.get("expand_timesteps", False)),
            image_encoder=load_image_encoder(folder, dtype),
            training_size=read_training_size(folder),
            repeats_one_sided=bool(index.get("repeats_one_sided", False)),
        )

    def save_pretrained(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write a folder that `from_pretrained` reads. Appears whole or not at all.

        Raises:
            InputError: the weights are int8, which load from a folder in full precision only.
        """
        if is_quantized(self.transformer):
            raise InputError("int8 weights are not saved; load the model in bfloat16 or float32 and save that")
        from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

        scheduler = UniPCMultistepScheduler(
            use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=self.shift
        )
        index: dict[str, Any] = {"_class_name": type(self).__name__, "expand_timesteps": self.pastes_first_frame}
        if self.training_size is not None:
            index["training_size"] = to_dict(self.training_size)
        if self.repeats_one_sided:
            index["repeats_one_sided"] = True
        with atomic_folder(folder, overwrite=overwrite) as partial:
            self.transformer.save_pretrained(partial / "transformer")
            self.codec.save(partial / "vae")
            self.text_encoder.save(partial)
            if self.image_encoder is not None:
                self.image_encoder.save(partial)
            scheduler.save_pretrained(partial / "scheduler")
            (partial / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")

    @property
    def attends_separately(self) -> bool:
        """The arrangement has passes across views, whose prompt may ask for a scene that stands still."""
        return self.transformer.config["arrangement"] != "fused"

    @property
    def first_frame(self) -> FirstFrame:
        """How a single video takes its first frame.

        A stock Wan text-to-video model has never seen a reference; our own base models, known by
        their context tokens, are trained with random cells given (V1, section 3.1).
        """
        config = self.transformer.config
        if config["in_channels"] > config["out_channels"]:
            return "channels"
        if self.pastes_first_frame:
            return "pasted"
        references = config["reference_conditioning"] and (config["trained"] == "grid" or config["context_tokens"])
        return "reference" if references else "none"


def read_training_size(folder: Path) -> GridShape | None:
    """The training grids recorded in a model folder; no weight is read. Raises InputError when it is damaged."""
    file = folder / "model_index.json"
    index = read_json(file) if file.is_file() else {}
    values = index.get("training_size") if isinstance(index, dict) else None
    return None if values is None else from_dict(GridShape, values, f"{file}: training_size")


def _released_shift(folder: Path) -> float:
    file = folder / "scheduler" / "scheduler_config.json"
    values = read_json(file) if file.is_file() else {}
    shift = values.get("flow_shift", values.get("shift", 5.0)) if isinstance(values, dict) else 5.0
    if not isinstance(shift, (int, float)) or not shift > 0:
        raise InputError(f"{file}: the shift of the noise levels must be a positive number; got {shift}")
    return float(shift)
