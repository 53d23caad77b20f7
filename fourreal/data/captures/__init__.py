"""Readers of real and rendered data sets: foreign files in, a `Capture` with OpenCV cameras out.

One format a file, all in the table `READERS`. Nothing is downloaded; `docs/captures.md` says what to fetch, under
which licence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fourreal.core.lazy_names import lazy_names

if TYPE_CHECKING:
    from fourreal.data.captures.capture import ALL, CalibratedView, Capture, Selection
    from fourreal.data.captures.colmap import read_colmap, read_colmap_model
    from fourreal.data.captures.davis import read_davis
    from fourreal.data.captures.diffusion4d import read_diffusion4d
    from fourreal.data.captures.lens import Lens
    from fourreal.data.captures.llff import read_llff, read_neural_3d_video
    from fourreal.data.captures.nvidia_dynamic import read_nvidia_dynamic
    from fourreal.data.captures.qualisys import read_pose2sim
    from fourreal.data.captures.readers import READERS, Reader, read_capture
    from fourreal.data.captures.realestate10k import read_realestate10k
    from fourreal.data.captures.transforms_json import read_transforms
    from fourreal.data.captures.view_folders import OrbitRig, read_view_folders

__all__ = [
    "ALL",
    "READERS",
    "CalibratedView",
    "Capture",
    "Lens",
    "OrbitRig",
    "Reader",
    "Selection",
    "read_capture",
    "read_colmap",
    "read_colmap_model",
    "read_davis",
    "read_diffusion4d",
    "read_llff",
    "read_neural_3d_video",
    "read_nvidia_dynamic",
    "read_pose2sim",
    "read_realestate10k",
    "read_transforms",
    "read_view_folders",
]

__getattr__ = lazy_names(__name__, __file__)
