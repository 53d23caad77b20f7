"""Reading and writing networks: this project's folders and the released VGGT-1B, safetensors only.

A folder holds `config.json` (the network's config and how many steps it was trained) and
`model.safetensors`. The released checkpoint is `model.safetensors` alone, with VGGT's key names:
every key must be there with its shape, and only the tracking head's, which this project has no use
for, are skipped. Files that can run code when opened (`.pt`, `.pth`) are refused.

Source: VGGT (released weights); 4Real-Video-V2, section 3.2 (new layers on a pretrained backbone).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from fourreal.core.atomic import atomic_folder
from fourreal.core.configs import from_dict, read_json, rename_keys, save_config
from fourreal.core.errors import InputError
from fourreal.core.reading import reading
from fourreal.core.shipped import shipped_folder
from fourreal.recon.config import ReconConfig, TemporalLayers, vggt_1b
from fourreal.recon.gaussian_head import GaussianHead
from fourreal.recon.model import ReconModel
from fourreal.recon.temporal import TemporalLayer

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
SKIPPED_PREFIX = "track_head."
# Parts this project adds to the released network.
NEW_PREFIXES = ("aggregator.temporal_blocks.", "gaussian_head.")


@dataclass(frozen=True)
class ModelCard:
    """Contents of `config.json`.

    Attributes:
        config: the network.
        trained_steps: optimiser steps behind the weights; 0 means random numbers.
    """

    config: ReconConfig
    trained_steps: int = 0


@dataclass(frozen=True)
class LoadedModel:
    """A network ready to use and how it came about.

    Attributes:
        name: what to call it in reports.
        trained_steps: 0 for random weights; None for a released checkpoint, which does not record it.
    """

    model: ReconModel
    name: str
    trained_steps: int | None

    @property
    def trained(self) -> bool:
        return self.trained_steps is None or self.trained_steps > 0


def find_model(name: str) -> LoadedModel:
    """The network a user means. A released checkpoint comes without temporal layers, which untrained change nothing.

    Args:
        name: `mini` for the one shipped with the package; `vggt-1b` for the released checkpoint where
            the Hugging Face cache has it; else a folder written by `save_model`, a folder with the
            released `model.safetensors`, or that file.

    Raises:
        InputError: there is no such model, or it cannot be loaded; the message says what to do.
    """
    weights = find_weights(name)
    own = weights.parent if weights.name == WEIGHTS_FILE else None
    if own is not None and (own / CONFIG_FILE).is_file() and "config" in _card_values(own):
        return load_model(own)
    return load_vggt(weights, temporal="none")


def find_weights(name: str) -> Path:
    """The file with the weights that a name means; nothing is read. Takes and raises what `find_model` does."""
    shipped = shipped_folder(name, "recon")
    path = _cached_vggt() if name == "vggt-1b" else shipped or Path(name)
    if (path / WEIGHTS_FILE).is_file():
        return path / WEIGHTS_FILE
    if path.is_file():
        return path
    raise InputError(f"no model '{name}'; expected mini, vggt-1b, or a folder with {CONFIG_FILE} and {WEIGHTS_FILE}")


def save_model(
    folder: str | os.PathLike[str],
    model: ReconModel,
    trained_steps: int,
    *,
    half: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a network, atomically.

    Args:
        trained_steps: optimiser steps behind the weights.
        half: store bfloat16, for shipping; half the size, 2 to 3 digits.
    """
    from safetensors.torch import save_file

    dtype = torch.bfloat16 if half else torch.float32
    tensors = {name: value.detach().to("cpu", dtype).contiguous() for name, value in model.state_dict().items()}
    with atomic_folder(folder, overwrite=overwrite) as partial:
        save_config(partial / CONFIG_FILE, ModelCard(model.config, trained_steps))
        save_file(tensors, partial / WEIGHTS_FILE)


def load_model(folder: str | os.PathLike[str]) -> LoadedModel:
    """Read a network written by `save_model`; every key must match.

    Raises:
        InputError: a file is missing or damaged, or the weights do not fit the config.
    """
    folder = Path(folder)
    values = rename_keys(read_json(folder / CONFIG_FILE), {"token_scale": "token_init_std"})
    card = from_dict(ModelCard, values, str(folder / CONFIG_FILE))
    with reading(folder / CONFIG_FILE, "the config of a reconstruction network"), torch.device("meta"):
        model = ReconModel(card.config)
    tensors = _read(folder / WEIGHTS_FILE)
    _require_fit(model.state_dict(), tensors, folder / WEIGHTS_FILE)
    model.load_state_dict(tensors, assign=True)
    return LoadedModel(model.eval(), folder.name, card.trained_steps)


def load_vggt(
    path: str | os.PathLike[str], *, temporal: TemporalLayers = "pair", gaussian_head: bool = False, seed: int = 0
) -> LoadedModel:
    """The released VGGT-1B, with this project's own parts at their first values.

    Temporal layers start as the identity, so the answer for every time is VGGT's; without a Gaussian
    head `reconstruct` works in geometry mode.

    Args:
        path: the released `model.safetensors`.
        temporal: where temporal layers sit; none saves their memory where nothing will be trained.
        gaussian_head: add one, for training.
        seed: of the new parts' random values.

    Raises:
        InputError: the file is not that checkpoint; the message names the first key that differs.
    """
    config = replace(vggt_1b(), temporal=temporal, gaussian_head=gaussian_head)
    return LoadedModel(load_released(path, config, seed), "vggt-1b", None)


def load_released(path: str | os.PathLike[str], config: ReconConfig, seed: int = 0) -> ReconModel:
    """A network of VGGT's architecture in any size from a checkpoint with VGGT's key names."""
    path = Path(path)
    tensors = {name: value for name, value in _read(path).items() if not name.startswith(SKIPPED_PREFIX)}
    with torch.device("meta"):
        model = ReconModel(config)
    released = {name: v for name, v in model.state_dict().items() if not name.startswith(NEW_PREFIXES)}
    _require_fit(released, tensors, path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = len(model.aggregator.temporal_blocks)
        model.aggregator.temporal_blocks = torch.nn.ModuleList(TemporalLayer(config) for _ in range(layers))
        model.gaussian_head = GaussianHead(config) if config.gaussian_head else None
    model.load_state_dict(tensors, strict=False, assign=True)
    return model.eval()


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a {WEIGHTS_FILE}")
    if path.suffix != ".safetensors":
        raise InputError(
            f"{path} is not a .safetensors file; formats that can run code when opened are not read, "
            "take the safetensors version of the checkpoint"
        )
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read as safetensors ({error}); it is damaged or truncated") from error
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise InputError(f"{path} holds NaN or infinity in '{name}'; the file or its training is broken")
    return {name: tensor.float() for name, tensor in tensors.items()}


def _require_fit(expected: dict[str, Tensor], given: dict[str, Tensor], path: Path) -> None:
    missing = [name for name in expected if name not in given]
    extra = [name for name in given if name not in expected]
    if missing or extra:
        first = f"'{missing[0]}' is missing" if missing else f"'{extra[0]}' is unknown"
        raise InputError(
            f"{path} is not a checkpoint of this network: {len(missing)} of {len(expected)} weights are missing "
            f"and {len(extra)} are unknown ({first})"
        )
    for name, value in expected.items():
        if given[name].shape != value.shape:
            raise InputError(
                f"{path} does not fit this network: '{name}' has shape {list(given[name].shape)}, "
                f"expected {list(value.shape)}"
            )


def _card_values(folder: Path) -> dict:
    values = read_json(folder / CONFIG_FILE)
    return values if isinstance(values, dict) else {}


def _cached_vggt() -> Path:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache("facebook/VGGT-1B", WEIGHTS_FILE)
    if not isinstance(found, str):
        raise InputError(
            "VGGT-1B is not in the Hugging Face cache; read its licence, fetch it with "
            f"`hf download facebook/VGGT-1B {WEIGHTS_FILE}` and try again, or give the file's path"
        )
    return Path(found)
