"""Loading and saving view-time models: full checkpoints, and deltas with only the tensors that trained.

Weights are safetensors with a JSON config beside them. Nobody has published view-time weights for Wan: a model
records what its weights were trained for, and generation refuses weights that were not trained for it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from fourreal.core.atomic import atomic_folder
from fourreal.core.configs import load_config, save_config
from fourreal.core.errors import InputError
from fourreal.core.grid_shape import GridShape
from fourreal.core.reading import reading
from fourreal.video.arrangements import TRAINING_FREE, Arrangement
from fourreal.video.checkpoint_files import check_fits, read_checkpoint_folder
from fourreal.video.model_folder import find_model_folder
from fourreal.video.positions import ViewPositions
from fourreal.video.presets import PRESETS
from fourreal.video.rectified_flow import Prediction
from fourreal.video.trainable import trainable_parameters
from fourreal.video.transformer import Trained, ViewTimeTransformer, check_choices

DELTA_WEIGHTS = "view_time.safetensors"
DELTA_CONFIG = "view_time.json"
_SHAPE_KEYS = ("num_layers", "num_attention_heads", "attention_head_dim", "ffn_dim", "in_channels", "out_channels")


@dataclass(frozen=True, kw_only=True)
class DeltaConfig:
    """What a view-time delta must be laid over, and how the result runs.

    Attributes:
        base_shape: sizes of the base model.
        base_fingerprint: of a base weight that never trains; two base models of one size differ in it.
        trained: what base and delta together are good for.
        training_size: the grids it was trained on, where it says.
    """

    base_shape: dict[str, int]
    base_fingerprint: str
    arrangement: Arrangement
    view_positions: ViewPositions
    t_max: int
    rope_theta: float
    prediction: Prediction
    reference_conditioning: bool
    trained: Trained
    training_size: GridShape | None = None

    def changes(self) -> dict[str, Any]:
        """The config values that `load_model` has to change in the base."""
        names = ("arrangement", "view_positions", "t_max", "rope_theta", "prediction", "reference_conditioning")
        return {name: getattr(self, name) for name in names}


def load_model(
    source: str | Path,
    *,
    delta: str | Path | None = None,
    subfolder: str = "transformer",
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    **changes: Any,
) -> ViewTimeTransformer:
    """A view-time model in eval mode.

    Args:
        source: a folder (of the transformer, or of the pipeline around it), `mini` for the one that comes with the
            package, a name in `presets.RELEASED` or another hub id (downloaded unless cached), or a name in
            `presets.PRESETS` (random weights).
        delta: folder of a view-time delta to lay over it; it brings its own arrangement.
        subfolder: of the transformer in a pipeline folder; "transformer_2" is Wan 2.2's second expert.
        changes: config values to change, such as `arrangement`, `attention` or `view_positions`. Weights trained
            for grids count as a video model's under another arrangement or other positions.

    Raises:
        InputError: the folder, its config or its weights do not fit; the message says which and what to do.
    """
    check_choices(changes)
    if delta is not None:
        changes |= read_delta_config(Path(delta)).changes()
    if str(source) in PRESETS:
        model = _random_model(PRESETS[str(source)]() | changes, dtype, device)
    else:
        model = _load_checkpoint(_find(source, subfolder), dtype, changes)
    if delta is not None:
        load_delta(model, delta)
    return model.to(device).eval()  # pyright: ignore[reportArgumentType]


def save_model(folder: str | Path, model: ViewTimeTransformer, *, overwrite: bool = False) -> None:
    """Write all weights and the config; `load_model` reads them back. Appears whole or not at all."""
    with atomic_folder(folder, overwrite=overwrite) as partial:
        model.save_pretrained(partial)


def save_delta(
    folder: str | Path,
    model: ViewTimeTransformer,
    *,
    training_size: GridShape | None = None,
    overwrite: bool = False,
) -> None:
    """Write only what trains in this arrangement, what it has to be laid over, and the grids it was trained on.

    Raises:
        InputError: the arrangement has nothing to train, or the folder cannot be written.
    """
    tensors = {name: p.detach().cpu().contiguous() for name, p in trainable_parameters(model).items()}
    if not tensors:
        raise InputError(f"the arrangement '{model.config['arrangement']}' trains nothing, so it has no delta to save")
    keys = ("arrangement", "view_positions", "t_max", "rope_theta", "prediction", "reference_conditioning", "trained")
    config = DeltaConfig(
        base_shape=_base_shape(model),
        base_fingerprint=_fingerprint(model),
        training_size=training_size,
        **{key: model.config[key] for key in keys},
    )
    with atomic_folder(folder, overwrite=overwrite) as partial:
        save_file(tensors, partial / DELTA_WEIGHTS)
        save_config(partial / DELTA_CONFIG, config)


def load_delta(model: ViewTimeTransformer, folder: str | Path) -> ViewTimeTransformer:
    """Lay a delta over its base model, in place; returns the model.

    Raises:
        InputError: the delta belongs to another base model or arrangement, or is not complete.
    """
    folder = Path(folder)
    config = read_delta_config(folder)
    if config.base_shape != _base_shape(model):
        raise InputError(f"{folder} is for a base model of {config.base_shape}; this one has {_base_shape(model)}")
    if config.base_fingerprint != _fingerprint(model):
        raise InputError(f"{folder} was trained on another base model of the same size; load that one")
    for key, value in config.changes().items():
        if model.config[key] != value:
            raise InputError(
                f"{folder} needs {key} '{value}', the model has '{model.config[key]}'; load it with delta="
            )
    try:
        tensors = load_file(folder / DELTA_WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{folder / DELTA_WEIGHTS} is missing or broken ({error})") from error
    expected = {name: p.shape for name, p in trainable_parameters(model).items()}
    if {name: tensor.shape for name, tensor in tensors.items()} != expected:
        differing = sorted(set(expected) ^ set(tensors)) or ["shapes"]
        raise InputError(f"{folder} does not hold exactly what '{config.arrangement}' trains; first: {differing[0]}")
    model.load_state_dict(tensors, strict=False)
    mark_trained(model, config.trained)
    return model


def mark_trained(model: ViewTimeTransformer, trained: Trained) -> None:
    """Record what the weights are good for now; saved with the model."""
    model.register_to_config(trained=trained)


def is_trained(model: ViewTimeTransformer, purpose: Trained = "grid") -> bool:
    """Whether the weights were trained for a purpose.

    A base video model has not been trained for grids, except in the arrangements that need no training.
    """
    trained: Trained = model.config["trained"]
    training_free = purpose == "video" or model.config["arrangement"] in TRAINING_FREE
    return purpose == "nothing" or trained == "grid" or (trained == "video" and training_free)


def require_trained(model: ViewTimeTransformer, purpose: Trained = "grid", *, allow_untrained: bool = False) -> None:
    """Refuse to generate with weights that were not trained for it, see `is_trained`.

    Args:
        purpose: "grid", or "video" for a single row or column.
        allow_untrained: for measuring speed and for ablations; the output is noise.

    Raises:
        InputError: the weights are not trained for the purpose; names the way out.
    """
    if allow_untrained or is_trained(model, purpose):
        return
    trained: Trained = model.config["trained"]
    has = {"nothing": "random numbers", "video": "a video model's, with no view-time training"}[trained]
    raise InputError(
        f"the weights are {has}, so a generated {purpose} would be noise; train them first (`fourreal train --help` "
        "lists the recipes) or load a view-time delta (allow_untrained is for speed and ablation work only)"
    )


def _load_checkpoint(folder: Path, dtype: torch.dtype, changes: dict[str, Any]) -> ViewTimeTransformer:
    checkpoint = read_checkpoint_folder(folder)
    with reading(folder / "config.json", "the config of a transformer"), init_empty_weights():
        empty = ViewTimeTransformer(**(checkpoint.config | changes))
    check_fits(checkpoint, empty)
    with _quiet_diffusers():
        model = ViewTimeTransformer.from_pretrained(folder, torch_dtype=dtype, local_files_only=True, **changes)
    if checkpoint.stock:
        mark_trained(model, "video")
    elif checkpoint.config.get("trained") == "grid":
        kept = all(model.config[key] == checkpoint.config.get(key) for key in ("arrangement", "view_positions"))
        mark_trained(model, "grid" if kept else "video")
    return model


def _random_model(config: dict[str, Any], dtype: torch.dtype, device: torch.device | str) -> ViewTimeTransformer:
    """Made where and as it is needed: a 14-billion model in float32 on the way there would be 57 GB."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = ViewTimeTransformer(**config)
    finally:
        torch.set_default_dtype(before)
    # As from_pretrained does: these are small, and the forward expects them in float32.
    for name, parameter in model.named_parameters():
        if any(part in name.split(".") for part in model._keep_in_fp32_modules or ()):
            parameter.data = parameter.data.float()
    return model


def _find(source: str | Path, subfolder: str) -> Path:
    """A model's own folder: within a generator's, or the one that was named."""
    folder = find_model_folder(source, (subfolder,), tuple(PRESETS))
    return folder / subfolder if (folder / subfolder / "config.json").is_file() else folder


def read_delta_config(folder: Path) -> DeltaConfig:
    if not (folder / DELTA_CONFIG).is_file():
        raise InputError(f"{folder} holds no {DELTA_CONFIG}; expected the folder of a view-time delta")
    return load_config(folder / DELTA_CONFIG, DeltaConfig)


def _base_shape(model: ViewTimeTransformer) -> dict[str, int]:
    return {key: model.config[key] for key in _SHAPE_KEYS}


def _fingerprint(model: ViewTimeTransformer) -> str:
    # In bfloat16, so that a base has one fingerprint in whichever precision it was loaded.
    weight = model.proj_out.weight.detach().to("cpu", torch.bfloat16).contiguous().view(torch.int16)
    return hashlib.sha256(weight.numpy().tobytes()).hexdigest()[:16]


@contextlib.contextmanager
def _quiet_diffusers() -> Iterator[None]:
    """Without its remarks on new modules and config keys, which we have checked."""
    verbosity = diffusers_logging.get_verbosity()
    diffusers_logging.set_verbosity_error()
    try:
        yield
    finally:
        diffusers_logging.set_verbosity(verbosity)
