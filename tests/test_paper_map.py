"""docs/paper_map.md is true: every symbol and test it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = [
    line
    for line in (ROOT / "docs" / "paper_map.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| paper place")
]


def _defined(path: Path) -> set[str]:
    """Top-level names of a file, and `Class.method`."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


@pytest.mark.parametrize("row", ROWS)
def test_every_place_named_exists(row: str) -> None:
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells) == 4, "a row is: paper place | what | code | test"
    code, tests = re.findall(r"`([^`]+)`", cells[2]), re.findall(r"`([^`]+)`", cells[3])
    assert code, "no code is named"
    assert tests, "no test is named"
    for entry in code:
        file, _, symbol = entry.partition(":")
        assert (ROOT / file).is_file(), f"{file} does not exist"
        if symbol:
            assert symbol in _defined(ROOT / file), f"{file} defines no {symbol}"
    for entry in tests:
        file, _, name = entry.partition("::")
        assert (ROOT / file).is_file(), f"{file} does not exist"
        if name:
            assert name in _defined(ROOT / file), f"{file} has no {name}"
