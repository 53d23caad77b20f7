"""Models as evaluation needs them: callables with a name, an identity and the grids they were trained on."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from fourreal.core.configs import from_dict, read_json
from fourreal.core.devices import resolve_device
from fourreal.core.errors import InputError
from fourreal.core.grid_shape import GridShape, with_shape_keys
from fourreal.eval.baselines import BASELINES
from fourreal.eval.protocols.protocol import Models, Reconstructor
from fourreal.recon.settings import DEFAULTS as RECONSTRUCTION
from fourreal.recon.settings import ReconstructSettings
from fourreal.video.quantize import plain_tensors
from fourreal.video.settings import DEFAULTS as GENERATION
from fourreal.video.settings import WEIGHT_TYPE, GenerationSettings, WeightChoice

MANIFEST = "manifest.json"
Align: TypeAlias = Literal["auto", "always", "never"]


def find_generator(
    name: str,
    settings: GenerationSettings = GENERATION,
    *,
    delta: Path | None = None,
    weight_type: WeightChoice = WEIGHT_TYPE,
) -> Models:
    """A baseline by its name, or a generator: a released name or a folder.

    Args:
        delta: view-time weights to lay over it.

    Raises:
        InputError: there is no such model, its weights were not trained for grids, or a delta for a baseline.
    """
    if name in BASELINES:
        if delta is not None:
            raise InputError(f"{name} is a baseline and has no weights; leave --delta out")
        return Models(name=name, complete=BASELINES[name])
    from fourreal.pipeline import FourDPipeline
    from fourreal.video.generate import require_trained_for
    from fourreal.video.model_folder import find_model_folder

    pipe = FourDPipeline.from_pretrained(name, recon=None, delta=delta, weight_type=weight_type, device=settings.device)
    assert pipe.generator is not None
    require_trained_for(pipe.generator, "grid", settings)
    sampling = {key: value for key, value in vars(settings).items() if key not in ("device", "offload")}
    identity = {"weights": weights_hash(*pipe.generator.transformers), **sampling}
    if pipe.generator.draft is not None:
        identity |= {"draft": weights_hash(pipe.generator.draft), "draft_use": pipe.generator.draft_use}
    return Models(
        name=_short_name(name),
        identity=identity,
        complete=lambda grid: pipe.complete(grid, settings=settings),
        complete_prompted=(
            (lambda grid, prompt: pipe.complete(grid, prompt, settings=settings))
            if pipe.generator.text_encoder.reads_text
            else None
        ),
        trained_on=pipe.generator.training_size or training_size(find_model_folder(name)),
    )


def find_reconstructor(name: str, *, align: Align = RECONSTRUCTION.align, device: str = "auto") -> Models:
    """A reconstruction model by its name or folder.

    Raises:
        InputError: there is no such model, or its weights are random numbers.
    """
    from fourreal.pipeline import FourDPipeline
    from fourreal.recon.alignment import similarity_between
    from fourreal.recon.reconstruct import network_size, resized
    from fourreal.recon.target_cameras import predict_target_cameras
    from fourreal.recon.weights import find_model

    found = find_model(name)
    if not found.trained:
        raise InputError(f"the model '{name}' was never trained, so its figures would mean nothing; train it first")
    model = found.model.to(resolve_device(device))
    pipe = FourDPipeline(None, model, device=device)

    @torch.no_grad()
    def confidence(frames: Tensor) -> Tensor:
        size = network_size((frames.shape[-2], frames.shape[-1]), model)
        inputs = resized(frames, size).to(next(model.parameters()).device)
        return model(inputs[None, :, None], with_points=False).depth_confidence[0, :, 0].cpu()

    reconstructor = Reconstructor(
        reconstruct=lambda grid: pipe.reconstruct(grid, settings=ReconstructSettings(align=align)),
        target_cameras=lambda inputs, targets: predict_target_cameras(model, inputs, targets).to("cpu"),
        aligned=lambda targets, inputs, scene: similarity_between(inputs, scene).cameras(targets),
        confidence=confidence,
    )
    side = model.config.native_size
    trained_on = training_size(Path(name)) if Path(name).is_dir() else None
    return Models(
        name=found.name if found.name != "model" else _short_name(name),
        identity={"weights": weights_hash(model), "trained_steps": found.trained_steps, "align": align},
        reconstructor=reconstructor,
        # Protocols of reconstruction have their own numbers of views and frames.
        trained_on=trained_on or GridShape.of(1, 1, (side, side)),
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


def weights_hash(*models: nn.Module) -> str:
    """Sixteen hex digits of the SHA-256 of all weights with their names."""
    digest = hashlib.sha256()
    for model in models:
        for name, value in sorted(model.state_dict().items()):
            digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
            for plain in plain_tensors(value):
                digest.update(plain.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _short_name(name: str) -> str:
    """A run's model has the name of the run: runs/mini/model is 'mini'."""
    path = Path(name)
    return path.parent.name if path.name == "model" and path.parent.name else path.name or name
