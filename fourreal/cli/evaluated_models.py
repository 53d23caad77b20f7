"""Trained models as evaluation needs them: callables with a name, an identity and the size they were trained on."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from fourreal.core.configs import from_dict, read_json
from fourreal.core.devices import resolve_device
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.grid_shape import GridShape, with_shape_keys
from fourreal.eval.baselines import BASELINES
from fourreal.eval.protocols.protocol import Models, Reconstructor

if TYPE_CHECKING:
    from fourreal.video.settings import GenerationSettings

MANIFEST = "manifest.json"
Align = Literal["never", "auto", "always"]


def find_generator(name: str, settings: GenerationSettings) -> Models:
    """A baseline by its name, or a generator: a released name or a folder.

    Raises:
        InputError: there is no such model, or its weights were not trained for grids.
    """
    if name in BASELINES:
        return Models(name=name, complete=BASELINES[name])
    from fourreal.video.generate import generate
    from fourreal.video.generator import ViewTimeGenerator
    from fourreal.video.model_folder import find_model_folder
    from fourreal.video.weights import require_trained

    folder = find_model_folder(name)
    model = ViewTimeGenerator.from_pretrained(folder)
    require_trained(model.transformer, "grid")
    identity = {
        "weights": weights_hash(model.transformer),
        "steps": settings.steps,
        "sampler": settings.sampler,
        "seed": settings.seed,
    }
    if model.draft is not None:
        identity |= {"draft": weights_hash(model.draft), "draft_use": model.draft_use}

    def complete(grid: VideoGrid) -> VideoGrid:
        return generate(model, grid, settings=settings)

    return Models(
        name=_called(name),
        identity=identity,
        complete=complete,
        trained_on=model.training_size or training_size(folder),
    )


def find_reconstructor(name: str, align: Align, device: str) -> Models:
    """A reconstruction model by its name or folder.

    Raises:
        InputError: there is no such model, or its weights are random numbers.
    """
    from fourreal.recon.alignment import similarity_between
    from fourreal.recon.reconstruct import ReconstructSettings, network_size, reconstruct, resized
    from fourreal.recon.target_cameras import predict_target_cameras
    from fourreal.recon.weights import find_model

    found = find_model(name)
    if not found.trained:
        raise InputError(f"the model '{name}' was never trained, so its figures would mean nothing; train it first")
    on_device = resolve_device(device)
    model = found.model.to(on_device)

    @torch.no_grad()
    def confidence(frames: Tensor) -> Tensor:
        size = network_size((frames.shape[-2], frames.shape[-1]), model)
        prediction = model(resized(frames, size).to(on_device)[None, :, None], with_points=False)
        return prediction.depth_confidence[0, :, 0].cpu()

    reconstructor = Reconstructor(
        reconstruct=lambda grid: reconstruct(model, grid, ReconstructSettings(align=align)),
        target_cameras=lambda inputs, targets: predict_target_cameras(model, inputs, targets).to("cpu"),
        aligned=lambda targets, inputs, scene: similarity_between(inputs, scene).cameras(targets),
        confidence=confidence,
    )
    side = model.config.native_size
    folder = Path(name)
    return Models(
        name=found.name if found.name != "model" else _called(name),
        identity={"weights": weights_hash(model), "trained_steps": found.trained_steps, "align": align},
        reconstructor=reconstructor,
        trained_on=training_size(folder) if folder.is_dir() else None,
        image_size=(side, side),
    )


def training_size(folder: Path) -> GridShape | None:
    """The grids of the last stage of a model's training, by the manifest of the run it lies in.

    Raises:
        InputError: there is such a manifest and its sizes cannot be read.
    """
    file = folder.parent / MANIFEST
    values = read_json(file) if file.is_file() else None
    stages = values.get("recipe", {}).get("stages") if isinstance(values, dict) else None
    if not stages:
        return None
    stage = with_shape_keys(stages[-1])
    worlds = stage.get("mixture", {}).get("worlds") or stage.get("size") or {}
    known = {field.name for field in fields(GridShape)}
    return from_dict(GridShape, {key: worlds[key] for key in worlds if key in known}, f"{file}: worlds")


def weights_hash(model: nn.Module) -> str:
    """Sixteen hex digits of the SHA-256 of all weights with their names."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _called(name: str) -> str:
    """A run's model is called after the run: runs/mini/model is 'mini'."""
    path = Path(name)
    return path.parent.name if path.name == "model" and path.parent.name else path.name or name
