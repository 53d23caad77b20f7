"""Checks of a transformers model folder before it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fourreal.core.errors import InputError


def require_model_type(folder: Path, types: tuple[str, ...]) -> None:
    """Raises InputError when a transformers folder is not one of the model `types`."""
    try:
        found = json.loads((folder / "config.json").read_text()).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{folder} is no transformers model folder: config.json is missing or damaged") from error
    if found not in types:
        raise InputError(f"{folder} holds a model of type {found!r}; expected {' or '.join(types)}")


def image_side(config: Any) -> int:
    """Side of the square images a vision model reads."""
    side = config.image_size
    return int(side) if isinstance(side, int) else int(side[0])
