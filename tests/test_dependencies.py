"""pyproject.toml: what we use a file format or an unpromised part of has an upper bound, and this machine obeys it."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
STATED = {
    needed.name: needed
    for listed in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for needed in map(Requirement, listed)
}


BOUNDED = "safetensors av tyro viser gsply gaussforge fourdgs diffusers transformers accelerate gsplat torchao gradio"


@pytest.mark.parametrize("name", BOUNDED.split())
def test_upper_bounds(name: str) -> None:
    assert any(bound.operator in ("<", "==") for bound in STATED[name].specifier), f"{name} has no upper bound"


def test_what_is_installed_is_within_the_bounds() -> None:
    for name, needed in STATED.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        assert needed.specifier.contains(found, prereleases=True), f"{name} {found} is outside {needed.specifier}"
