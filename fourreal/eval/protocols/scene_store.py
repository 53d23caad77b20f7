"""Scores of single scenes on disk, so that an interrupted evaluation can continue.

    OUT/scenes/METHOD/SCENE.safetensors

An entry carries a fingerprint of everything that decides it; one of another fingerprint is measured again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

import fourreal
from fourreal.core.atomic import atomic_file
from fourreal.eval.protocols.protocol import Protocol, SceneScore

_PARTS = ("cells", "features", "references", "qualitative")


class SceneStore:
    """The scores of one protocol under one folder. A damaged entry counts as absent."""

    def __init__(self, out: Path, protocol: Protocol) -> None:
        self.folder, self.protocol = out / "scenes", protocol

    def load(self, scene: str, method: str) -> SceneScore | None:
        """The score kept of an earlier evaluation, if everything that decides it is the same."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._path(scene, method), "pt") as file:
                record = json.loads((file.metadata() or {}).get("record", "{}"))
                if record.get("fingerprint") != self._fingerprint(scene, method):
                    return None
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, not a dictionary
            return SceneScore(
                **{part: _under(part, tensors) for part in _PARTS},
                worst_cell=tuple(record["worst_cell"]),
                unmeasured=dict(record["unmeasured"]),
                seconds=float(record["seconds"]),
            )
        except (OSError, SafetensorError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def save(self, scene: str, method: str, score: SceneScore) -> None:
        """Keep a score; it appears whole or not at all."""
        from safetensors.torch import save_file

        tensors = {f"{part}/{name}": value for part in _PARTS for name, value in getattr(score, part).items()}
        record = {
            "fingerprint": self._fingerprint(scene, method),
            "seconds": score.seconds,
            "worst_cell": score.worst_cell,
            "unmeasured": dict(score.unmeasured),
        }
        # Copies, because one set of features may serve two metrics and safetensors refuses shared memory.
        whole = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
        with atomic_file(self._path(scene, method)) as partial:
            save_file(whole, partial, {"record": json.dumps(record)})

    def _path(self, scene: str, method: str) -> Path:
        return self.folder / file_name(method) / f"{file_name(scene)}.safetensors"

    def _fingerprint(self, scene: str, method: str) -> str:
        protocol = self.protocol
        decides = {
            "fourreal": fourreal.__version__,
            "protocol": protocol.name,
            "settings": dict(protocol.settings),
            "method": dict(protocol.methods[method]),
            "metrics": [metric.name for metric in protocol.metrics if metric.name not in protocol.absent],
            "scene": scene,
        }
        return hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode()).hexdigest()


def file_name(text: str) -> str:
    """A name that is safe in any file system, still readable, and different for different texts."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._") or "_"
    return plain if plain == text else f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _under(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(part) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{part}/")}
