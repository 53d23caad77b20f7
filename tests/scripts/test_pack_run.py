"""Carrying a run away in small files: all of it comes back, limits hold, and what does not fit is said."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from fourreal.core.errors import InputError

SCRIPTS = Path(__file__).parents[2] / "scripts"


def script(name: str) -> ModuleType:
    """A script as a module, under its own name, as the scripts import one another."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


pack_run = script("pack_run")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with 20 kB of logs, 90 kB of models and 150 kB of state."""
    folder = tmp_path / "runs" / "video"
    sizes = {
        "manifest.json": 500,
        "log.jsonl": 9000,
        "samples/step-00000001/old.png": 5000,
        "samples/step-00000002/new.png": 5000,
        "base/weights.safetensors": 60_000,
        "view_time/weights.safetensors": 30_000,
        "model/weights.safetensors": 60_000,
        "checkpoints/step-00000001/pieces.safetensors": 70_000,
        "checkpoints/step-00000002/pieces-00001.safetensors": 80_000,
        "checkpoints/step-00000002/pieces-00002.safetensors": 60_000,
    }
    for name, size in sizes.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(os.urandom(size))
    return folder


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_what_is_packed_comes_back_to_the_byte(run: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "out", tmp_path / "elsewhere" / "video"
    assert pack_run.pack(run, out, limits=pack_run.Limits(0.05, 1.0, 20)) == []
    assert all(path.stat().st_size <= 50_000 for path in out.iterdir())
    assert pack_run.unpack(again, out) == ["logs", "models", "state"]
    expected = _files(run)
    for name in [key for key in expected if "step-00000001" in key or key.startswith("model/")]:
        del expected[name]  # older steps, and what base and delta together are
    assert _files(again) == expected


def test_limits_hold_and_what_has_no_room_is_named(run: Path, tmp_path: Path) -> None:
    limits = pack_run.Limits(0.05, 0.16, 8)
    assert pack_run.pack(run, tmp_path / "out", limits=limits) == ["state"]
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) <= 160_000
    roomy = pack_run.Limits(0.05, 0.2, 8)
    assert pack_run.pack(run, tmp_path / "other", ("state", "logs", "models"), roomy) == ["models"]
    few = pack_run.Limits(0.05, 1.0, 3)
    assert pack_run.pack(run, tmp_path / "few", limits=few) == ["models", "state"]
    # What is there already counts.
    assert pack_run.pack(run, tmp_path / "out", ("models",), limits) == ["models"]


def test_wrong_folders_are_refused_in_a_sentence(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run to pack"):
        pack_run.pack(tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match="no pieces of the run 'video'"):
        pack_run.unpack(run, tmp_path)
    pack_run.pack(run, tmp_path / "out", ("models",), pack_run.Limits(0.05, 1.0, 20))
    (tmp_path / "out" / "video-models.tar.01").unlink()
    with pytest.raises(InputError, match="make no whole"):
        pack_run.unpack(run, tmp_path / "out")
    with pytest.raises(InputError, match="must be positive"):
        pack_run.Limits(0.0)
