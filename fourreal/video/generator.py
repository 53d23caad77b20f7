"""`ViewTimeGenerator`: transformer, codec and text encoder as one value, and the folder they live in.

The folder has the layout Wan is released in: `transformer/`, `vae/`, `text_encoder/`, `tokenizer/`,
`scheduler/` and `model_index.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from fourreal.core.atomic import atomic_folder
from fourreal.core.configs import from_dict, read_fields, read_json, to_dict
from fourreal.core.errors import InputError
from fourreal.core.grid_shape import GridShape
from fourreal.video.codec import Codec, load_codec
from fourreal.video.draft.draft_model import DraftModel
from fourreal.video.draft.draft_weights import load_draft, save_draft
from fourreal.video.image_encoder import ImageEncoder, load_image_encoder
from fourreal.video.model_folder import find_model_folder
from fourreal.video.quantize import is_quantized, quantize_blocks
from fourreal.video.settings import WeightType
from fourreal.video.text import TextEncoder, load_text_encoder
from fourreal.video.transformer import ViewTimeTransformer
from fourreal.video.weights import DELTA_CONFIG, load_model, read_delta_config

DRAFT = "draft"
"""Folder of the draft in a generator's."""

FirstFrame = Literal["reference", "pasted", "channels", "none"]
"""How a single video takes its first frame. reference: as a known cell, like any other. pasted: as a
clean latent at diffusion time 0 (Wan 2.2 TI2V). channels: beside the noise, as further input channels
(Wan image-to-video). none: it cannot."""

NEEDS_BASE = (
    "{} was not trained to make a freeze-time video: it cannot start a video from a given frame; give a base that "
    "can: --base wan2.2-ti2v-5b (Wan 2.2 TI2V), a Wan image-to-video model, or one of our own"
)
EXPERTS = ("transformer", "transformer_2")
"""Subfolders of a model's transformers, the first for high noise, as Wan 2.2 A14B is released."""
DraftUse = Literal["alone", "reference"]
"""What becomes of the draft of an unknown cell. alone: it is the answer, and the transformer makes the cells that have
none. reference: the transformer is given it and answers for every cell."""


@dataclass(frozen=True, kw_only=True)
class ViewTimeGenerator:
    """All that `generate` needs.

    Attributes:
        shift: of the noise levels, as the base model was trained and released with.
        pastes_first_frame: the base takes a clean first latent at diffusion time 0 (Wan 2.2 TI2V).
        image_encoder: CLIP, for Wan 2.1's image-to-video models.
        training_size: the grids it was trained on, where the folder says.
        transformer_2: the expert for low noise, where there are two (Wan 2.2 A14B); `transformer` then is for high.
        boundary_ratio: noise levels from this one up are the first expert's.
        draft: finds unknown cells in known ones (not in the papers); None leaves all to the transformer.
        draft_use: see `DraftUse`.
        repeats_one_sided: a fixed-view or freeze-time video alone is repeated, because the model does worse.
    """

    transformer: ViewTimeTransformer
    codec: Codec
    text_encoder: TextEncoder
    shift: float = 5.0
    pastes_first_frame: bool = False
    image_encoder: ImageEncoder | None = None
    training_size: GridShape | None = None
    transformer_2: ViewTimeTransformer | None = None
    boundary_ratio: float = 0.0
    draft: DraftModel | None = None
    draft_use: DraftUse = "alone"
    repeats_one_sided: bool = False

    def __post_init__(self) -> None:
        config = self.transformer.config
        if self.transformer_2 is not None:
            _check_experts(self.transformer, self.transformer_2, self.boundary_ratio)
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
            delta: folder of view-time weights to lay over a base model; for two experts a folder with one for each,
                `transformer` and `transformer_2`.
            weight_type: number format of transformer and UMT5; the VAE stays in float32.
            changes: transformer config values to change, such as `arrangement`.

        Raises:
            InputError: a part is missing, damaged or of another model, or there is no network.
        """
        folder = find_model_folder(source)
        index = _index(folder)
        dtype = torch.bfloat16 if weight_type == "int8" else getattr(torch, weight_type)
        deltas = deltas_of_experts(folder, delta)
        transformer, *others = (
            load_model(folder, delta=laid, subfolder=name, dtype=dtype, **changes) for name, laid in deltas.items()
        )
        if weight_type == "int8":
            for expert in (transformer, *others):
                quantize_blocks(expert)
        return cls(
            transformer=transformer,
            transformer_2=others[0] if others else None,
            boundary_ratio=_boundary_ratio(folder),
            codec=load_codec(folder / "vae"),
            text_encoder=load_text_encoder(folder, dtype),
            shift=_released_shift(folder),
            pastes_first_frame=bool(index.get("expand_timesteps", False)),
            image_encoder=load_image_encoder(folder, dtype),
            training_size=read_training_size(folder, delta),
            draft=load_draft(folder / DRAFT) if (folder / DRAFT).is_dir() else None,
            draft_use=_draft_use(folder, index.get("draft_use", "alone")),
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
        if self.transformer_2 is not None:
            index["boundary_ratio"] = self.boundary_ratio
        if self.training_size is not None:
            index["training_size"] = to_dict(self.training_size)
        if self.repeats_one_sided:
            index["repeats_one_sided"] = True
        with atomic_folder(folder, overwrite=overwrite) as partial:
            for name, expert in zip(EXPERTS, self.transformers, strict=False):
                expert.save_pretrained(partial / name)
            self.codec.save(partial / "vae")
            self.text_encoder.save(partial)
            if self.image_encoder is not None:
                self.image_encoder.save(partial)
            if self.draft is not None:
                save_draft(partial / DRAFT, self.draft, dtype=torch.bfloat16)
                index["draft_use"] = self.draft_use
            scheduler.save_pretrained(partial / "scheduler")
            (partial / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")

    @property
    def transformers(self) -> tuple[ViewTimeTransformer, ...]:
        """The transformer, or both experts, in the order of falling noise."""
        return (self.transformer,) if self.transformer_2 is None else (self.transformer, self.transformer_2)

    def expert(self, sigma: float) -> ViewTimeTransformer:
        """The transformer for a noise level."""
        if self.transformer_2 is None or sigma >= self.boundary_ratio:
            return self.transformer
        return self.transformer_2

    @property
    def attends_separately(self) -> bool:
        """The arrangement has passes across views, whose prompt may ask for a scene that stands still."""
        return self.transformer.config["arrangement"] != "fused"

    @property
    def makes_freeze_time(self) -> bool:
        """As a base for single videos it can go round a given frame, because it was trained to."""
        return bool(self.transformer.config["context_tokens"]) or self.first_frame in ("pasted", "channels")

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


def deltas_of_experts(folder: Path, delta: str | Path | None) -> dict[str, Path | None]:
    """The subfolder of each transformer of a model folder, and the view-time weights to lay over it.

    Raises:
        InputError: an expert is missing, or there are two and view-time weights for one of them only.
    """
    named = _index(folder).get("transformer_2")
    listed = isinstance(named, list) and any(named)
    if listed and not (folder / "transformer_2").is_dir():
        raise InputError(f"{folder} lacks transformer_2, which its model_index.json names; the download is incomplete")
    if not (folder / "transformer_2").is_dir():
        return {"transformer": None if delta is None else Path(delta)}
    if delta is None:
        return dict.fromkeys(EXPERTS)
    deltas = {name: Path(delta) / name for name in EXPERTS}
    for name, path in deltas.items():
        if not (path / DELTA_CONFIG).is_file():
            raise InputError(
                f"{folder} has two experts and {delta} holds no view-time weights for {name}; expected a delta in "
                f"each of {delta}/transformer and {delta}/transformer_2: train both"
            )
    return {**deltas}


def require_freeze_time(model: str | Path, base: str | Path | None) -> None:
    """Refuse a prompt alone where no model was trained to go round a given frame. Reads no weight, downloads an index.

    Args:
        base: the model for single videos; None for the generator itself.

    Raises:
        InputError: the base cannot start from a frame; or there is none, and the model has no context tokens.
    """
    folder = find_model_folder(base or model, parts=())
    index, file = _index(folder), folder / "transformer" / "config.json"
    own = file.is_file() and bool(read_fields(file).values.get("context_tokens"))
    starts = bool(index.get("expand_timesteps")) or "ImageToVideo" in str(index.get("_class_name"))
    if not (own or (base is not None and starts)):
        raise InputError(NEEDS_BASE.format(base or model))


def _check_experts(high: ViewTimeTransformer, low: ViewTimeTransformer, boundary_ratio: float) -> None:
    differing = [key for key in high.config if key[0] != "_" and high.config[key] != low.config.get(key)]
    if differing:
        raise InputError(f"transformer and transformer_2 differ in {', '.join(differing)}; they belong together")
    if not 0 < boundary_ratio < 1:
        raise InputError(
            "a model with a transformer_2 needs a boundary_ratio between 0 and 1 in its model_index.json; "
            f"got {boundary_ratio}"
        )


def read_training_size(folder: Path, delta: str | Path | None = None) -> GridShape | None:
    """The training grids recorded in a delta, or else in a model folder. Reads no weight.

    Raises:
        InputError: a record is damaged.
    """
    if delta is not None:
        of_one_expert = Path(delta) / EXPERTS[0]
        size = read_delta_config(of_one_expert if of_one_expert.is_dir() else Path(delta)).training_size
        if size is not None:
            return size
    file = folder / "model_index.json"
    values = _index(folder).get("training_size")
    return None if values is None else from_dict(GridShape, values, f"{file}: training_size")


def _draft_use(folder: Path, named: Any) -> DraftUse:
    if named not in get_args(DraftUse):
        raise InputError(f"{folder}: draft_use must be one of {', '.join(get_args(DraftUse))}; got {named!r}")
    return named


def _boundary_ratio(folder: Path) -> float:
    ratio = _index(folder).get("boundary_ratio")
    if not isinstance(ratio, int | float | None):
        raise InputError(f"{folder}: boundary_ratio must be a number between 0 and 1; got {ratio!r}")
    return float(ratio or 0.0)


def _index(folder: Path) -> dict[str, Any]:
    file = folder / "model_index.json"
    return read_fields(file).values if file.is_file() else {}


def _released_shift(folder: Path) -> float:
    file = folder / "scheduler" / "scheduler_config.json"
    values = read_json(file) if file.is_file() else {}
    shift = values.get("flow_shift", values.get("shift", 5.0)) if isinstance(values, dict) else 5.0
    if not isinstance(shift, (int, float)) or not shift > 0:
        raise InputError(f"{file}: the shift of the noise levels must be a positive number; got {shift}")
    return float(shift)
