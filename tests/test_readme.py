"""README.md is true: its tree, its verbs, its links and its Python."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import typing
from dataclasses import is_dataclass
from pathlib import Path

import pytest

from fourreal.cli.__main__ import VERBS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_tree_is_up_to_date() -> None:
    subprocess.run([sys.executable, str(ROOT / "docs" / "write_tree.py"), "--check"], check=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_verbs_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)\)", re.sub(r"`[^`]*`", "code", text)):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
    for verb in re.findall(r"^fourreal +([a-z]+)", text, flags=re.MULTILINE):
        assert verb in VERBS, f"{page.name} uses the verb {verb}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_flags_in_commands_exist(page: Path) -> None:
    """Every --flag of a `fourreal` command in the docs is a field of that verb."""
    import importlib

    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for verb, rest in re.findall(r"^fourreal +([a-z]+)([^\n#]*)", text, flags=re.MULTILINE):
        module, name, _ = VERBS[verb]
        cls = getattr(importlib.import_module(f"fourreal.cli.{module}"), name)
        fields = _flags(cls)
        for flag in re.findall(r"--([a-z][a-z0-9-]*)", rest):
            if flag == "help":
                continue
            known = flag.replace("-", "_")
            assert known in fields or known.removeprefix("no_") in fields, f"fourreal {verb} has no --{flag}"


def _flags(settings: type) -> set[str]:
    """Names of a verb's fields, and of the fields of the settings that it holds whole."""
    hints = typing.get_type_hints(settings)
    names = set(hints)
    for hint in hints.values():
        names |= {name for part in (hint, *typing.get_args(hint)) if is_dataclass(part) for name in _flags(part)}
    return names


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    # Fewer steps and no alignment walk the same lines in seconds.
    monkeypatch.setattr(importlib.import_module("fourreal.recon.reconstruct"), "aligns", lambda *_: False)
    space: dict = {}
    exec(code.replace("steps=8", "steps=1"), space)
    assert space["grid"].known.all()
    assert (tmp_path / "scene" / "scene.json").is_file()
    assert (tmp_path / "scene.html").stat().st_size > 100_000
