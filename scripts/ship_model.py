"""Put a trained model into the package: weights in bfloat16, its own size and the package's checked.

    python scripts/ship_model.py video runs/micro/model fourreal/weights/mini-video
    python scripts/ship_model.py recon runs/micro-recon/model fourreal/weights/mini-recon

The model card (README.md) and the log of its training, where the folder has them, stay.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from fourreal.core.configs import read_json
from fourreal.core.errors import InputError

MOST_VALUES = {"video": 13_000_000, "recon": 9_000_000}
MOST_MIB = 42
KEPT = ("README.md", "log.jsonl")


@dataclass(frozen=True)
class Ship:
    """Put a trained model into the package."""

    kind: Annotated[Literal["video", "recon"], tyro.conf.Positional]
    """Which model."""
    source: Annotated[Path, tyro.conf.Positional]
    """Its folder, as training left it."""
    target: Annotated[Path, tyro.conf.Positional]
    """Folder in fourreal/weights/."""

    def run(self) -> None:
        with tempfile.TemporaryDirectory() as kept:
            for name in KEPT:
                if (self.target / name).is_file():
                    shutil.copy(self.target / name, kept)
            values = self._write()
            for file in Path(kept).iterdir():
                shutil.copy(file, self.target)
        weights = sum(file.stat().st_size for file in self.target.parent.rglob("*") if file.is_file())
        print(f"{self.target}: {values:,} values; all of {self.target.parent}: {weights / 2**20:.1f} MiB")
        if values > MOST_VALUES[self.kind] or weights > MOST_MIB * 2**20:
            raise InputError(f"too large to ship: at most {MOST_VALUES[self.kind]:,} values and {MOST_MIB} MiB in all")

    def _write(self) -> int:
        if self.kind == "video":
            from fourreal.video.generator import ViewTimeGenerator

            generator = ViewTimeGenerator.from_pretrained(self.source, weight_type="bfloat16")
            generator.save_pretrained(self.target, overwrite=True)
            config = self.target / "transformer" / "config.json"
            kept = {key: value for key, value in read_json(config).items() if key != "_name_or_path"}
            config.write_text(json.dumps(kept, indent=2) + "\n")  # diffusers notes where on this machine it came from
            return sum(p.numel() for p in generator.transformer.parameters())
        from fourreal.recon.weights import load_model, save_model

        found = load_model(self.source)
        save_model(self.target, found.model, found.trained_steps, half=True, overwrite=True)
        return sum(p.numel() for p in found.model.parameters())


if __name__ == "__main__":
    try:
        tyro.cli(Ship).run()
    except InputError as error:
        sys.exit(f"ship_model: {error}")
