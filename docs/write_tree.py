"""Write docs/tree.md, one line a file, from the first sentence of every module's docstring.

python docs/write_tree.py          # rewrite it
python docs/write_tree.py --check  # exit with 1 when it is out of date (a test does this)
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "tree.md"
BESIDE = {
    "tests/": "mirrors the rooms; test_architecture.py and test_paper_map.py read the house rules and the map",
    "benchmarks/": "one script a claim: ratios in one run, CPU and CUDA",
    "examples/": "numbered, short; each runs in the tests",
    "docs/": "conventions, architecture, formats, metrics, captures, training, paper map, results",
}


def tree() -> str:
    """The page: a heading for every folder, then its files with the first sentence of their docstrings."""
    lines = ["# The tree", "", "One line a file, from its docstring; written by `python docs/write_tree.py`."]
    package = ROOT / "fourreal"
    for path in sorted(package.rglob("*.py"), key=lambda p: (p.parent.parts, p.name != "__init__.py", p.name)):
        sentence = _first_sentence(path)
        if path.name == "__init__.py":
            lines += ["", f"## `{path.parent.relative_to(ROOT).as_posix()}/`", "", f"{sentence}.", ""]
        else:
            lines.append(f"- `{path.name}`: {sentence}.")
    lines += ["", "## Beside the package", ""]
    lines += [f"- `{name}`: {sentence}." for name, sentence in BESIDE.items()]
    return "\n".join(lines) + "\n"


def _first_sentence(path: Path) -> str:
    text = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split())
    return re.split(r"(?<=[^.])\.(?:\s|$)", text, maxsplit=1)[0]


def main() -> None:
    written = tree()
    if "--check" in sys.argv[1:]:
        same = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == written
        sys.exit(0 if same else "docs/tree.md is out of date: run python docs/write_tree.py")
    PAGE.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
