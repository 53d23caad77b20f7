"""README.md is true: its tree, its verbs, its links and its Python."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
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
    import dataclasses
    import importlib

    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for verb, rest in re.findall(r"^fourreal +([a-z]+)([^\n#]*)", text, flags=re.MULTILINE):
        module, name, _ = VERBS[verb]
        cls = getattr(importlib.import_module(f"fourreal.cli.{module}"), name)
        fields = {field.name for field in dataclasses.fields(cls)}
        for flag in re.findall(r"--([a-z][a-z0-9-]*)", rest):
            if flag == "help":
                continue
            known = flag.replace("-", "_")
            assert known in fields or known.removeprefix("no_") in fields, f"fourreal {verb} has no --{flag}"


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
