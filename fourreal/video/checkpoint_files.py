"""A transformer checkpoint folder as it lies on disk: found, and checked before anything large is read.

diffusers loads what it can and warns about the rest; here a folder either fits or is refused with one sentence.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from fourreal.core.configs import read_fields, read_json
from fourreal.core.errors import InputError
from fourreal.core.reading import inside, reading
from fourreal.video.transformer import NEW_MODULES, ViewTimeTransformer, check_choices, current_name

WEIGHTS = "diffusion_pytorch_model.safetensors"
INDEX = WEIGHTS + ".index.json"
CLASSES = ("WanTransformer3DModel", "ViewTimeTransformer")


@dataclass(frozen=True)
class CheckpointFolder:
    """A folder whose files are all there.

    Attributes:
        config: constructor arguments of the model, as saved.
        stock: it is a plain Wan checkpoint, not one of ours.
        shapes: of every tensor, by name.
    """

    path: Path
    config: dict[str, Any]
    stock: bool
    shapes: dict[str, tuple[int, ...]]


def read_checkpoint_folder(folder: Path) -> CheckpointFolder:
    """Look at config and file headers of a transformer folder.

    Raises:
        InputError: no config, another model's, unknown keys, weights or shards missing or broken.
    """
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} holds no config.json; expected a Wan transformer folder in diffusers' layout")
    values = read_json(folder / "config.json")
    kind = values.get("_class_name") if isinstance(values, dict) else None
    if kind not in CLASSES:
        raise InputError(f"{folder / 'config.json'} describes '{kind}'; expected one of {', '.join(CLASSES)}")
    config = {key: value for key, value in values.items() if not key.startswith("_")}
    _check_keys(config, folder / "config.json")
    return CheckpointFolder(folder, config, kind == CLASSES[0], _shapes(folder))


def check_fits(checkpoint: CheckpointFolder, model: ViewTimeTransformer) -> None:
    """Compare a checkpoint's tensors with those of a model built from its config.

    Weights of the modules that a stock checkpoint cannot have may be absent.

    Raises:
        InputError: tensors are missing, superfluous or of another shape; the first few are named.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    ignored = re.compile("norm_added_q")
    missing = [n for n in expected if n not in checkpoint.shapes and not n.startswith(NEW_MODULES)]
    unknown = [n for n in checkpoint.shapes if n not in expected and not ignored.search(n)]
    differing = [n for n, shape in checkpoint.shapes.items() if n in expected and shape != expected[n]]
    where = checkpoint.path
    if missing:
        raise InputError(f"{where} lacks {_some(missing)}; the download is incomplete or it is another model")
    if unknown:
        raise InputError(f"{where} holds weights this model has no place for, {_some(unknown)}; is it another model?")
    if differing:
        name = differing[0]
        raise InputError(
            f"{where}: {name} has shape {list(checkpoint.shapes[name])}, the config asks for {list(expected[name])}; "
            "config and weights belong to different models"
        )


def _check_keys(config: Mapping[str, Any], where: Path) -> None:
    known = set(inspect.signature(ViewTimeTransformer.__init__).parameters) - {"self"}
    for key in config:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else "is it another model's?"
            raise InputError(f"{where}: unknown key '{key}'; {hint}")
    try:
        check_choices(config)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for file in _weight_files(folder):
        try:
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118
                    shapes[current_name(name)] = tuple(tensors.get_slice(name).get_shape())
        except (SafetensorError, OSError) as error:
            raise InputError(f"{file} is broken or cut short ({error}); download it again") from error
    return shapes


def _weight_files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        raise InputError(f"{folder} holds no {WEIGHTS} (nor {INDEX}); only safetensors weights are read")
    with reading(folder / INDEX, "an index of weight files with a weight_map"):
        shards = sorted({str(name) for name in dict(read_fields(folder / INDEX).raw("weight_map")).values()})
        for name in shards:
            inside(folder, name, f"{folder / INDEX}: weight_map", follow_links=True)  # the hub's cache holds links
    absent = [name for name in shards if not (folder / name).is_file()]
    if absent or not shards:
        raise InputError(f"{folder} lacks {len(absent)} of {len(shards)} weight files, {_some(absent)}; download again")
    return [folder / name for name in shards]


def _some(names: list[str], limit: int = 3) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
