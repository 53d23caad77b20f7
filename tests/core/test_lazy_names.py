"""Faces of rooms: every public name resolves, whatever was imported before, and none costs an import of torch."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys

import pytest

ROOMS = ("fourreal", "fourreal.video", "fourreal.recon", "fourreal.view", "fourreal.eval", "fourreal.perception")
FACES = ROOMS[1:]


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_resolves(room: str) -> None:
    package = importlib.import_module(room)
    for name in package.__all__:
        assert not inspect.ismodule(getattr(package, name)), name
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


@pytest.mark.parametrize("room", FACES)
def test_type_checkers_see_the_same_names(room: str) -> None:
    package = importlib.import_module(room)
    tree = ast.parse(inspect.getsource(package))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.asname: (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(map(str, typed)) == package.__all__
    for name, (module, original) in typed.items():
        assert getattr(package, str(name)) is getattr(importlib.import_module(str(module)), original)


@pytest.mark.parametrize("room", FACES)
def test_rooms_import_no_torch(room: str) -> None:
    code = f"import sys, {room}; assert 'torch' not in sys.modules, 'torch was imported'"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("settings", ["video", "recon", "view", "app"])
def test_settings_import_no_torch(settings: str) -> None:
    code = f"import sys, fourreal.{settings}.settings; assert 'torch' not in sys.modules, 'torch was imported'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_function_keeps_its_name_after_its_file_was_imported() -> None:
    code = (
        "import fourreal.recon.reconstruct, fourreal.video.generate\n"
        "from fourreal.recon import reconstruct\n"
        "from fourreal.video import generate\n"
        "assert callable(reconstruct) and callable(generate)\n"
        "assert reconstruct is fourreal.recon.reconstruct\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
