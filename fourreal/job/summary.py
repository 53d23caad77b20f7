"""The table at the end of a run: results, where they are, time, memory, and what to do next."""

from __future__ import annotations

import sys
from pathlib import Path

from fourreal.core.plain_text import plain
from fourreal.job.run import RunReport
from fourreal.job.stages import CONTACT, GRID, MOVIE, PAGE, PREVIEW, SCENE

WHAT = {
    "import": "input",
    "generate": "grid",
    "reconstruct": "Gaussians",
    "render": "movie",
    "page": "page",
}


def print_summary(report: RunReport) -> None:
    """Print it to standard output, as wide as the terminal or as the text."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 100, soft_wrap=True, markup=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("stage", "what", "where", "time", "memory"):
        table.add_column(column, justify="right" if column in ("time", "memory") else "left", no_wrap=True)
    for name, record in report.stages.items():
        where = "  ".join(_shown(report.out, output) for output in record.outputs)
        seconds = "kept" if name in report.reused else f"{record.seconds:.1f} s"
        memory = "  ".join(f"{value / 1e3:.2f} GB" for value in record.peak_mb.values())
        table.add_row(name, WHAT[name], where, seconds, memory)
    console.print(plain(report.out), highlight=False)
    console.print(table, highlight=False)
    for line in next_steps(report):
        console.print(plain(line), highlight=False)


def next_steps(report: RunReport) -> list[str]:
    """How good the scene is, and what to do with the results that this run has."""
    names = (PAGE, MOVIE, CONTACT, SCENE, GRID, PREVIEW)
    page, movie, contact, scene, grid, preview = (report.find(name) for name in names)
    steps = []
    reconstruction = report.stages.get("reconstruct")
    if reconstruction is not None and "input_psnr_db" in reconstruction.figures:
        steps.append(f"Rendered again, the given views come back at {reconstruction.figures['input_psnr_db']:.1f} dB.")
    if page is not None:
        steps.append(f"Open {page} in a browser and fly through it.")
    if movie is not None:
        steps.append(f"Watch {movie}, or make another: fourreal movie {scene} --move orbit --out orbit.mp4")
    if contact is not None:
        steps.append(f"{contact} is the grid at a glance; fourreal view {grid} shows it along both axes.")
    if preview is not None:
        steps.append(f"{preview} is what the model sees of the footage.")
    if scene is not None:
        steps.append(f"To other programs: fourreal export {scene} --format ply --out splats")
    return steps


def _shown(out: Path, name: str) -> str:
    return plain(f"{name}/" if (out / name).is_dir() else name)
