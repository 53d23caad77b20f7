"""nerfstudio's `transforms.json`: pinhole cameras with image paths. A grid's `cameras.json` is one, too."""

from __future__ import annotations

import json
from pathlib import Path

from fourreal.core.atomic import atomic_file
from fourreal.core.configs import read_json
from fourreal.files.camera_entries import CONVENTION, from_entries, to_entries
from fourreal.files.manifest import Fields, located
from fourreal.files.posed_images import PosedImages, require_no_skew


def write_nerfstudio(path: str | Path, posed: PosedImages) -> None:
    """Write a `transforms.json`, atomically.

    Raises:
        InputError: intrinsics with skew, or the file cannot be written.
    """
    require_no_skew(posed.cameras, "nerfstudio")
    shared, entries = to_entries(posed.cameras)
    frames = [{"file_path": name} | entry for name, entry in zip(posed.names, entries, strict=True)]
    with atomic_file(path) as partial:
        text = json.dumps({"convention": CONVENTION, **shared, "frames": frames}, indent=1, allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")


def read_nerfstudio(path: str | Path) -> PosedImages:
    """Read a `transforms.json` of one image size without lens distortion. The images are not opened.

    Raises:
        InputError: not such a file, distorted lenses, poses that are not rigid.
    """
    shared = Fields.of(read_json(path), str(path))
    frames = shared.objects("frames")
    names = tuple(frame.text("file_path") for frame in frames)
    with located(path):
        return PosedImages(from_entries(shared, frames), names)
