"""Optional packages: which extra brings them, what it is for, and whether they are installed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Mapping

from fourreal.core.errors import InputError

EXTRAS = {
    "train": "fourreal train; the plots of fourreal evaluate; photographs as textures",
    "text": "captions of recipes with text; UMT5 of Wan's models",
    "app": "fourreal app",
    "usd": "fourreal export --format usd",
    "int8": "--weight-type int8",
    "cuda": "rendering Gaussians on CUDA",
}
"""Name of an extra to what needs it."""


def packages_of(extra: str) -> dict[str, str | None]:
    """The packages an extra brings, with their installed versions; None for one that is missing."""
    found: dict[str, str | None] = {}
    for requirement in importlib.metadata.requires("fourreal") or []:
        if re.search(rf"extra\s*==\s*['\"]{extra}['\"]", requirement):
            name = re.match(r"[\w.-]+", requirement)
            assert name is not None
            try:
                found[name[0]] = importlib.metadata.version(name[0])
            except importlib.metadata.PackageNotFoundError:
                found[name[0]] = None
    return found


def require_modules(needed: Mapping[str, tuple[str, str]]) -> None:
    """Check modules before work that would stop without them.

    Args:
        needed: module to (its extra, what needs it, in the plural).

    Raises:
        InputError: one is missing; the sentence names the extra.
    """
    for module, (extra, purpose) in needed.items():
        if importlib.util.find_spec(module) is None:
            raise InputError(f"{purpose} need {module}; install it with: pip install 'fourreal[{extra}]'")
