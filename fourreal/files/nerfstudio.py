"""nerfstudio's `transforms.json`: pinhole cameras with image paths. A grid's `cameras.json` is one, too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from fourreal.core.atomic import atomic_file
from fourreal.core.cameras import Cameras
from fourreal.files.camera_entries import CONVENTION, require_no_skew, to_entries


def write_nerfstudio(path: str | Path, cameras: Cameras, names: Sequence[str]) -> None:
    """Write a `transforms.json`, atomically.

    Raises:
        InputError: intrinsics with skew, or the file cannot be written.
    """
    require_no_skew(cameras, "nerfstudio")
    shared, entries = to_entries(cameras)
    frames = [{"file_path": name} | entry for name, entry in zip(names, entries, strict=True)]
    with atomic_file(path) as partial:
        text = json.dumps({"convention": CONVENTION, **shared, "frames": frames}, indent=1, allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")
