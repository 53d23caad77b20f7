"""Public names of a room that are imported on first use, so that importing the room needs no torch."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any


def lazy_names(room: str, file: str) -> Callable[[str], Any]:
    """`__getattr__` of a package whose `__init__.py` imports its public names under `if TYPE_CHECKING:`.

    The imports stand once, where type checkers and editors read them, and are carried out name by name.

    Args:
        room: the package's `__name__`.
        file: its `__file__`.
    """

    @cache
    def homes() -> dict[str, str]:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
        blocks = [node for node in tree.body if isinstance(node, ast.If)]
        imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
        return {alias.name: node.module or "" for node in imports for alias in node.names}

    def attribute(name: str) -> Any:
        if name.startswith("__") or name not in homes():
            raise AttributeError(f"module '{room}' has no attribute '{name}'")
        return getattr(importlib.import_module(homes()[name]), name)

    return attribute
