"""`fourreal VERB ...`: find the verb, parse its dataclass, run it.

Only the chosen verb's module is imported, and verbs import torch inside `run`, so help is quick.
Wrong input ends in one sentence and exit code 2; an interrupt in 130; anything else is our bug
and shows its traceback.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fourreal.core.atomic import require_writable
from fourreal.core.errors import InputError
from fourreal.core.plain_text import plain

# verb -> (module, class, what it does). The sentence is the class's first docstring line (a test compares them).
VERBS: dict[str, tuple[str, str, str]] = {
    "synth": ("synth", "Synth", "Render procedural 4D worlds: grids with exact depth and cameras, and their scenes."),
    "run": ("run", "Run", "Turn footage or a sentence into a 4D scene and a page to fly through it, in one go."),
    "app": ("app", "App", "Open a page on which clips become a scene to fly through; no commands needed."),
    "import": ("import_footage", "ImportFootage", "Turn real footage into a view x time grid folder."),
    "generate": (
        "generate",
        "Generate",
        "Fill in every unknown cell of a view x time grid, or make a grid from a prompt.",
    ),
    "plan": (
        "plan",
        "Plan",
        "Estimate what generating a grid costs in tokens, memory and time, and what would make it fit.",
    ),
    "reconstruct": (
        "reconstruct",
        "Reconstruct",
        "Turn a complete grid into Gaussians for every time, cameras included, in one pass.",
    ),
    "view": ("view", "View", "Look at a scene or a grid in the browser."),
    "page": ("page", "Page", "Write a scene as one self-contained web page with a timeline."),
    "movie": ("movie", "Movie", "Fly a camera through a scene, or walk through a grid, and write an mp4."),
    "sheet": ("sheet", "Sheet", "Draw a contact sheet of a grid: a row per view, a column per time."),
    "train": (
        "train",
        "Train",
        "Train a video or a reconstruction model by a recipe; stop and resume at any step.",
    ),
    "evaluate": (
        "evaluate",
        "Evaluate",
        "Measure a model, or a baseline, by one of the papers' tables or by held-out worlds.",
    ),
    "export": ("export", "Export", "Write a scene or its cameras in another program's format."),
    "doctor": ("doctor", "Doctor", "Say which optional packages are installed, and what needs those that are not."),
    "info": ("info", "Info", "Describe a scene, a grid or a clip, or this machine."),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `fourreal` command. Exits with 0, 2 (wrong input) or 130 (interrupted)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return
    if arguments[0] == "--version":
        import fourreal

        print(f"fourreal {fourreal.__version__}")
        return
    try:
        _run(arguments[0], arguments[1:])
    except InputError as error:
        print(f"fourreal: {plain(error)}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("fourreal: interrupted; nothing half-written was left behind", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        # The reader of our output went away (`fourreal info X | head -1`): not an error of ours.
        sys.stderr.close()
        raise SystemExit(141) from None


def _run(verb: str, arguments: list[str]) -> None:
    if verb not in VERBS:
        import difflib

        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(VERBS)}"
        raise InputError(f"unknown verb '{verb}'; {hint}")
    module, class_name, _ = VERBS[verb]
    command = _parse(getattr(importlib.import_module(f"fourreal.cli.{module}"), class_name), verb, arguments)
    if isinstance(out := getattr(command, "out", None), Path):
        require_writable(out)  # whatever a verb computes, it says so first
    command.run()


def _parse(verb_class: type, verb: str, arguments: list[str]) -> Any:
    """The verb's dataclass. An InputError of settings inside it is raised; tyro would print it in a box and exit."""
    import tyro

    printed, shown = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(shown):
            return tyro.cli(verb_class, prog=f"fourreal {verb}", args=arguments)
    except SystemExit as stop:
        cause: BaseException | None = stop
        while cause is not None and not isinstance(cause, InputError):
            cause = cause.__context__
        if cause is not None:
            raise cause from None
        print(printed.getvalue(), end="", file=sys.stderr)
        print(_sensible_placeholders(shown.getvalue()), end="")
        raise


def _sensible_placeholders(text: str) -> str:
    """tyro's `{None}|PATH` as PATH, and `{None,a,b}` as {a,b}, in no fewer columns: all may be left out."""
    text = re.sub(r"\{None\}\|\{([^{}]*)\}", lambda found: found[1].ljust(len(found[0])), text)
    text = re.sub(r"\{None\}\|(\S+)", lambda found: found[1].ljust(len(found[0])), text)
    return re.sub(r"\{None,([^{}]*)\}", lambda found: f"{{{found[1]}}}".ljust(len(found[0])), text)


def _overview() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {sentence}" for verb, (_, _, sentence) in VERBS.items())
    return (
        "usage: fourreal VERB [options]\n\n"
        "4D scene generation: footage or a sentence in, a view x time grid and 3D Gaussians for every moment out.\n\n"
        f"verbs:\n{verbs}\n\n"
        "`fourreal VERB --help` explains one verb; `fourreal --version` prints the version."
    )


if __name__ == "__main__":
    main()
