"""Every data set that can be read, in one table: a new one is a file with a reader and a line here."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fourreal.data.captures.capture import Capture, Selection


@dataclass(frozen=True)
class Reader:
    """How a data set is read.

    Attributes:
        function: "file:function" of this folder, called with a path and a `Selection`.
        reads: what the path has to be, in one line.
        options: further arguments of the function.
    """

    function: str
    reads: str
    options: dict[str, Any] | None = None


READERS = {
    "neural-3d-video": Reader("llff:read_neural_3d_video", "scene folder with cam00.mp4 ... and poses_bounds.npy"),
    "llff": Reader("llff:read_llff", "scene folder with images/ and poses_bounds.npy"),
    "nvidia-dynamic": Reader("nvidia_dynamic:read_nvidia_dynamic", "scene folder with mv_images/ and poses_bounds.npy"),
    "nerfstudio": Reader("transforms_json:read_transforms", "scene folder with a transforms.json"),
    "dl3dv": Reader(
        "transforms_json:read_transforms",
        "DL3DV scene folder with a transforms.json and images_4/",
        {
            "images": "images_4",
            "source": "DL3DV",
            "licence": "DL3DV terms of use and CC-BY-NC-4.0; no onward sharing",
        },
    ),
    "colmap": Reader("colmap:read_colmap", "scene folder with images/ and sparse/0/ (Tanks and Temples, MVImgNet)"),
    "realestate10k": Reader("realestate10k:read_realestate10k", "CLIP.txt with its frames in the folder CLIP/"),
    "acid": Reader(
        "realestate10k:read_realestate10k", "CLIP.txt with its frames in the folder CLIP/", {"source": "ACID"}
    ),
    "view-folders": Reader("view_folders:read_view_folders", "object folder with one folder of frames per view"),
    "diffusion4d": Reader(
        "diffusion4d:read_diffusion4d", "object folder with front_frame*.png, multi_static_frame*.png"
    ),
    "davis": Reader("davis:read_davis", "frames of a sequence, DAVIS/JPEGImages/480p/SEQUENCE"),
    "pose2sim": Reader("qualisys:read_pose2sim", "demo folder with calibration/*.qca.txt and videos/*.mp4"),
}


def read_capture(name: str, path: str | Path, selection: Selection | None = None) -> Capture:
    """Read a scene of a data set.

    Args:
        name: a key of `READERS`.
        path: what that reader reads.
        selection: views, frames and size; everything when left out.

    Raises:
        InputError: the files are missing, damaged or of another layout.
    """
    from fourreal.data.captures.capture import ALL

    file, _, function = READERS[name].function.partition(":")
    read = getattr(importlib.import_module(f"fourreal.data.captures.{file}"), function)
    return read(Path(path), selection or ALL, **(READERS[name].options or {}))
