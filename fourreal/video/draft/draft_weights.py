"""A draft's folder: `draft.json` with the sizes, `draft.safetensors` with the weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from fourreal.core.atomic import atomic_folder
from fourreal.core.configs import read_json
from fourreal.core.errors import InputError
from fourreal.video.draft.draft_model import DraftModel

CONFIG, WEIGHTS = "draft.json", "draft.safetensors"


def save_draft(
    folder: str | Path, model: DraftModel, *, dtype: torch.dtype = torch.float32, overwrite: bool = False
) -> None:
    """Write a folder that `load_draft` reads. Appears whole or not at all."""
    tensors = {name: value.detach().cpu().to(dtype).contiguous() for name, value in model.state_dict().items()}
    with atomic_folder(folder, overwrite=overwrite) as partial:
        (partial / CONFIG).write_text(json.dumps(model.config, indent=2) + "\n", encoding="utf-8")
        save_file(tensors, partial / WEIGHTS)


def load_draft(folder: str | Path) -> DraftModel:
    """The model of a folder, in float32 and in eval mode.

    Raises:
        InputError: a file is missing or damaged, or the weights do not fit the sizes.
    """
    folder = Path(folder)
    config = read_json(folder / CONFIG)
    try:
        model = DraftModel(**config)
        tensors = load_file(folder / WEIGHTS)
        model.load_state_dict({name: value.float() for name, value in tensors.items()})
    except (TypeError, OSError, SafetensorError, RuntimeError) as error:
        raise InputError(f"{folder} does not hold a draft model ({CONFIG}, {WEIGHTS}): {error}") from error
    return model.to(memory_format=torch.channels_last).eval()  # pyright: ignore[reportCallIssue]
