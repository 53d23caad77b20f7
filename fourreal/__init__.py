"""fourreal: 4D scene generation in the open.

A fixed-view video, a freeze-time video, both or a sentence becomes a complete view x time grid of
frames, and the grid becomes 3D Gaussians for every moment.

Public names load on first use, so that `import fourreal` and `fourreal --help` need no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from fourreal.core.cameras import Cameras
    from fourreal.core.errors import InputError
    from fourreal.core.gaussians import DynamicScene, Gaussians, GaussianSequence
    from fourreal.core.grid import VideoGrid
    from fourreal.pipeline import FourDPipeline

__all__ = [
    "Cameras",
    "DynamicScene",
    "FourDPipeline",
    "GaussianSequence",
    "Gaussians",
    "InputError",
    "VideoGrid",
    "__version__",
]

_HOME = {
    "Cameras": "fourreal.core.cameras",
    "DynamicScene": "fourreal.core.gaussians",
    "FourDPipeline": "fourreal.pipeline",
    "GaussianSequence": "fourreal.core.gaussians",
    "Gaussians": "fourreal.core.gaussians",
    "InputError": "fourreal.core.errors",
    "VideoGrid": "fourreal.core.grid",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'fourreal' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
