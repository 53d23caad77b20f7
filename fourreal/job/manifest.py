"""manifest.json: the request of a run, its networks, and the results of each finished stage."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

import fourreal
from fourreal.core.atomic import atomic_file
from fourreal.core.configs import from_dict, read_json, to_dict
from fourreal.core.errors import InputError
from fourreal.job.request import StageName

MANIFEST = "manifest.json"
FORMAT, VERSION = "fourreal-run", 1


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """A finished stage.

    Attributes:
        key: hash of its settings and of all it read; another key means that it has to run again.
        settings: all that decides its result, apart from what it reads.
        outputs: hash of every file and folder it wrote, by name.
        seconds: wall clock.
        peak_mb: most memory it held, see `PeakMemory`.
        figures: about its result.
        notes: to the user.
    """

    key: str
    settings: dict[str, Any]
    outputs: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    peak_mb: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A run's record.

    Attributes:
        inputs: name and SHA-256 of each piece of footage, by what it is.
        models: name and SHA-256 of each network, by what it does.
        seed: of the generation.
        stages: the finished ones.
        versions: of what computed.
    """

    format: str = FORMAT
    format_version: int = VERSION
    prompt: str = ""
    inputs: dict[str, dict[str, str]] = field(default_factory=dict)
    models: dict[str, dict[str, str]] = field(default_factory=dict)
    seed: int = 0
    stages: dict[str, StageRecord] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def with_stage(self, name: StageName, record: StageRecord) -> Manifest:
        return replace(self, stages={**self.stages, name: record}, versions=versions())


def load_manifest(out: Path) -> Manifest:
    """The record of the run in a folder; an empty one where there is none yet.

    Raises:
        InputError: the folder holds something else, or its record is damaged.
    """
    file = out / MANIFEST
    if not file.is_file():
        strangers = sorted(path.name for path in out.iterdir() if path.name[0] != ".") if out.is_dir() else []
        if strangers:
            raise InputError(f"{out} holds other things ({strangers[0]}); choose a new folder or one of an earlier run")
        return Manifest()
    values = read_json(file)
    if not isinstance(values, dict) or values.get("format") != FORMAT or values.get("format_version") != VERSION:
        raise InputError(f"{file} is not the record of a run of this version; choose another folder")
    return from_dict(Manifest, values, str(file))


def save_manifest(out: Path, manifest: Manifest) -> None:
    """Write the record, atomically."""
    with atomic_file(out / MANIFEST) as partial:
        partial.write_text(json.dumps(to_dict(manifest), indent=2) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """Programs that a result depends on."""
    return {
        "fourreal": fourreal.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
