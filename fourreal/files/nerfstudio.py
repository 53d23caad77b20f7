"""nerfstudio's `transforms.json`: pinhole cameras with image paths. A grid's `cameras.json` is one, too."""

from __future__ import annotations

import json
from pathlib import Path

from fourreal.core.atomic import atomic_file
from fourreal.files.camera_entries import CONVENTION, to_entries
from fourreal.files.posed_images import PosedImages


def write_nerfstudio(folder: Path, posed: PosedImages) -> None:
    """Write `transforms.json` beside `images/`, atomically; points are left out.

    Raises:
        InputError: intrinsics with skew, or the file cannot be written.
    """
    posed.require_no_skew("nerfstudio")
    shared, entries = to_entries(posed.cameras)
    frames = [{"file_path": f"images/{name}"} | entry for name, entry in zip(posed.names, entries, strict=True)]
    with atomic_file(folder / "transforms.json") as partial:
        text = json.dumps({"convention": CONVENTION, **shared, "frames": frames}, indent=1, allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")
