"""Public names of a room that load on first use, so that `import fourreal.video` needs no torch."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any


def install_lazy_names(room: str, home: Mapping[str, str]) -> None:
    """Give a package public names and `__all__`.

    A public name may be that of a file beside it (`recon/reconstruct.py` holds `reconstruct`): importing the file
    binds it to the package under its own name, which must not hide the function. Files stay importable by path.

    Args:
        room: the package's `__name__`.
        home: name -> module that holds it.
    """

    class Room(ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name in home:
                return getattr(importlib.import_module(home[name]), name)
            raise AttributeError(f"module '{room}' has no attribute '{name}'")

        def __setattr__(self, name: str, value: object) -> None:
            if not (name in home and isinstance(value, ModuleType)):
                super().__setattr__(name, value)

        def __dir__(self) -> list[str]:
            return sorted(home)

    package = sys.modules[room]
    package.__class__ = Room
    package.__dict__["__all__"] = sorted(home)
