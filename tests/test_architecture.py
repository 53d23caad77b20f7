"""The house rules that a machine can read: who imports whom, file sizes, forbidden names, quick help."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fourreal"

# room -> rooms it may import. The same table, with reasons, is in docs/architecture.md.
MAY_IMPORT = {
    "core": set(),
    "splat": {"core"},
    "files": {"core"},
    "perception": {"core"},
    "data": {"core"},
    "video": {"core"},
    "recon": {"core", "splat", "perception"},
    "fit": {"core", "splat", "perception"},
    "eval": {"core", "data", "splat", "perception"},
    "view": {"core", "splat", "files"},
    "train": {"core", "splat", "perception", "data", "video", "recon", "eval"},
    "pipeline": {"core", "data", "video", "recon"},
    "job": {"core", "splat", "files", "perception", "data", "video", "recon", "view", "pipeline"},
    "app": {"core", "files", "data", "job"},
}
FORBIDDEN_NAMES = {"utils", "util", "misc", "helpers", "common"}
POSIX_ONLY = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix"}
POSIX_NAMES = {"signal.SIGKILL", "signal.SIGHUP", "signal.SIGALRM", "os.fork", "os.getuid", "os.geteuid", "os.killpg"}
LINES_PER_FILE = 400
LINES_PER_FUNCTION = 80
PARAMETERS = 8

FILES = sorted(PACKAGE.rglob("*.py"))


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported_rooms(tree: ast.AST) -> set[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used"
            names.append(node.module or "")
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("fourreal.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    room = _room(path)
    imported = _imported_rooms(ast.parse(path.read_text())) - {room}
    if room in ("cli", "__init__"):
        return
    assert room in MAY_IMPORT, f"{room} is a new room: give it a line in the table"
    assert imported <= MAY_IMPORT[room], f"{room} must not import {sorted(imported - MAY_IMPORT[room])}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert path.stem not in FORBIDDEN_NAMES
    assert text.count("\n") <= LINES_PER_FILE, "more than one idea lives here: split it by idea"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= LINES_PER_FUNCTION, f"{node.name} has {length} lines"
            # __init__ of a model repeats its config; diffusers reads the keys off that signature.
            count = len(node.args.posonlyargs + node.args.args)
            assert count <= PARAMETERS or node.name == "__init__", (
                f"{node.name} takes {count} positional parameters: a noun is missing"
            )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_posix_only_is_imported_with_a_module(path: Path) -> None:
    body = ast.parse(path.read_text()).body
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            assert not POSIX_ONLY & {name.split(".")[0] for name in names}, f"{names}: import it where it is needed"
        for part in ast.walk(node) if not isinstance(node, ast.FunctionDef | ast.ClassDef) else ():
            if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
                assert f"{part.value.id}.{part.attr}" not in POSIX_NAMES, f"{part.attr} does not exist on Windows"


def test_the_limits_are_those_of_contributing() -> None:
    rules = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    assert f"up to {LINES_PER_FILE} lines, functions {LINES_PER_FUNCTION}, positional parameters {PARAMETERS}" in rules


def test_every_module_says_what_it_is() -> None:
    silent = [str(p.relative_to(PACKAGE)) for p in FILES if ast.get_docstring(ast.parse(p.read_text())) is None]
    assert not silent


def test_the_tree_speaks_of_itself_alone() -> None:
    root = PACKAGE.parent
    listed = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    machine_path = re.compile(r"(^|[^\w.])/(home|tmp|root|work|mnt)/[a-z.]")
    for name in listed.stdout.split():
        path = root / name
        if path.suffix in (".py", ".md", ".toml", ".txt", ".yaml", ".cff", ".json", "") and path.is_file():
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                assert not machine_path.search(line), f"{name}:{number} names a path of one machine"


def test_importing_the_package_and_asking_for_help_need_no_torch() -> None:
    code = (
        "import sys, fourreal, fourreal.cli.__main__ as cli\n"
        "cli.main(['--help'])\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_every_verb_explains_itself_without_torch() -> None:
    code = (
        "import contextlib, importlib, inspect, io, sys\n"
        "import fourreal.cli.__main__ as cli\n"
        "for verb, (module, name, sentence) in cli.VERBS.items():\n"
        "    cls = getattr(importlib.import_module(f'fourreal.cli.{module}'), name)\n"
        "    assert inspect.getdoc(cls).splitlines()[0] == sentence, verb\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "        try: cli.main([verb, '--help'])\n"
        "        except SystemExit as stop: assert stop.code == 0\n"
        "    assert len(out.getvalue()) > 200, verb\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_never_waits_for_a_network_or_a_compiler() -> None:
    # Not a speed test: a generous bound that only an accidental heavy import would break.
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "fourreal.cli", "--help"], check=True, capture_output=True)
    assert time.monotonic() - started < 30
