"""Write the annotated tree into README.md from the first sentence of every module's docstring.

python docs/write_tree.py          # rewrite it
python docs/write_tree.py --check  # exit with 1 when it is out of date (a test does this)
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
START, END = "<!-- tree: written by docs/write_tree.py -->", "<!-- end of tree -->"
BESIDE = {
    "tests/": "mirrors the rooms; test_architecture.py and test_paper_map.py read the house rules and the map",
    "benchmarks/": "one script a claim: ratios in one run, CPU and CUDA",
    "examples/": "numbered, short; each runs in the tests",
    "docs/": "conventions, architecture, formats, metrics, captures, training, paper map, results",
}
WIDTH = 118


def tree() -> str:
    """The tree as a fenced block."""
    lines = []
    package = ROOT / "fourreal"
    for path in sorted(package.rglob("*.py"), key=lambda p: (p.parent.parts, p.name != "__init__.py", p.name)):
        place = path.relative_to(package)
        depth = len(place.parts) - 1
        sentence = _first_sentence(path)
        if path.name == "__init__.py":
            lines.append(_line("  " * depth, f"{path.parent.name}/", sentence))
        else:
            lines.append(_line("  " * (depth + 1), path.name, sentence))
    lines += [_line("", name, sentence) for name, sentence in BESIDE.items()]
    return "```\n" + "\n".join(lines) + "\n```"


def _line(indent: str, name: str, sentence: str) -> str:
    line = f"{indent + name:<30} {sentence}"
    return line if len(line) <= WIDTH else line[: WIDTH - 1].rsplit(" ", 1)[0] + " …"


def _first_sentence(path: Path) -> str:
    text = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split())
    sentence = re.split(r"(?<=[^.])\.(?:\s|$)", text, maxsplit=1)[0]
    return sentence.replace("`", "")


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    head, rest = text.split(START)
    _, tail = rest.split(END)
    written = f"{head}{START}\n{tree()}\n{END}{tail}"
    if "--check" in sys.argv[1:]:
        sys.exit(0 if written == text else "README.md's tree is out of date: run python docs/write_tree.py")
    readme.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
