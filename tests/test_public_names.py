"""Every public function and class is used outside its file: by the package, a benchmark, a script or a room's face."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fourreal"


def _words(tree: ast.AST) -> set[str]:
    """Names and attributes that code reads, and words in strings, as tables of lazily loaded functions have them."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found |= {node.name.rsplit(".")[-1], node.asname or ""}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"\w+", node.value):
            found.add(node.value)
    return found


def _unused() -> set[str]:
    files = [path for folder in ("fourreal", "benchmarks", "scripts") for path in (ROOT / folder).rglob("*.py")]
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in files}
    readers: dict[str, set[Path]] = defaultdict(set)
    for path, tree in trees.items():
        for word in _words(tree):
            readers[word].add(path)
    unused = set()
    for path in PACKAGE.rglob("*.py"):
        tree = trees[path]
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            # What another public part of the file returns or holds is reached through it.
            inside = sum(isinstance(n, ast.Name) and n.id == node.name for n in ast.walk(tree))
            if not readers[node.name] - {path} and not inside:
                unused.add(f"{path.relative_to(PACKAGE).as_posix()}:{node.name}")
    return unused


def test_every_public_name_is_reached_by_the_package() -> None:
    unused = _unused()
    assert not unused, "delete these, or give them a door (a verb, or `__all__` of a room)"
