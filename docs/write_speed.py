"""Write the speed tables of docs/results.md, and their plots, from the JSON files in docs/speed/.

    python docs/write_speed.py

Nothing is measured here. A file that is missing is named in the page together with the command that makes it; figures
from a machine that was busy with other work are marked so, and a file's `note`, written by hand, is shown. The
arithmetic limit is the operations that the task asks for at the rate of one large matrix product on the same machine
in the same run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

DOCS = Path(__file__).parent
DATA = DOCS / "speed"
QUIET_LOAD = 0.7
START, END = "<!-- speed: written by docs/write_speed.py -->", "<!-- end of speed -->"
COMMANDS = {
    "attention": "python benchmarks/attention.py --sweep --busy",
    "arrangements": "python benchmarks/arrangements.py --busy",
    "steps": "python benchmarks/steps.py",
    "reconstruct": "python benchmarks/reconstruct.py",
}
LIMIT = {"color": "0.45", "linestyle": "--", "label": "arithmetic limit"}
Rows = list[dict[str, Any]]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def attention(rows: Rows, axes: Sequence[Any]) -> str:
    """Cost against tokens as views, and as times, grow."""
    for axis, growing, fixed in zip(axes, ("views", "times"), ("times", "views"), strict=True):
        chosen = [row for row in rows if row[fixed] == 8]
        for way in dict.fromkeys(row["way"] for row in chosen):
            line = sorted((row for row in chosen if row["way"] == way), key=lambda row: row[growing])
            tokens = [row["views"] * row["times"] * row["frame_tokens"] for row in line]
            axis.loglog(tokens, [1000 * row["forward_seconds"] for row in line], "o-", label=way)
        line = sorted((row for row in chosen if row["way"] == "merged"), key=lambda row: row[growing])
        limits = [1000 * row["flops"] / row["peak_flops"] for row in line]
        axis.loglog([row["views"] * row["times"] * row["frame_tokens"] for row in line], limits, **LIMIT)
        axis.set(xlabel=f"tokens ({growing} grow, 8 {fixed})", ylabel="forward, milliseconds")
    cells = []
    for row in rows:
        size = f"{row['views']} x {row['times']} x {row['frame_tokens']}"
        limit = row["flops"] / row["peak_flops"]
        forward = row["forward_seconds"]
        cells.append((size, row["way"], f"{1000 * forward:.1f}", f"{1000 * limit:.1f}", f"{limit / forward:.2f}"))
    return table(("views x times x tokens a frame", "way", "forward ms", "limit ms", "limit / time"), cells)


def arrangements(rows: Rows, axes: Sequence[Any]) -> str:
    """The paper's Table 4: seconds and memory of one forward pass."""
    found = [row for row in rows if "seconds" in row]
    for axis, key, scale, label in zip(
        axes, ("seconds", "peak_bytes"), (1, 1e-9), ("seconds", "peak GB, weights included"), strict=True
    ):
        axis.barh([row["arrangement"] for row in found], [row[key] * scale for row in found])
        axis.invert_yaxis()
        axis.set(xlabel=label, title=found[0]["model"])
    cells = [
        (
            row["model"],
            f"{row['tokens']:,}",
            row["arrangement"],
            f"{row['seconds']:.3f}",
            f"{row['peak_bytes'] / 1e9:.3f}",
        )
        for row in found
    ]
    return table(("model", "tokens", "arrangement", "seconds", "peak GB"), cells)


def steps(rows: Rows, axes: Sequence[Any]) -> str:
    """The paper's Table S2: what steps cost, and what they are worth."""
    cost, worth = axes
    counts = [row["steps"] for row in rows]
    cost.loglog(counts, [row["seconds"] for row in rows], "o-", label="measured")
    cost.loglog(counts, [row["flops"] / row["peak_flops"] for row in rows], **LIMIT)
    cost.set(xlabel="sampling steps", ylabel="seconds a grid")
    cells = []
    for key, label in (("psnr", "all pixels"), ("psnr_moving", "moving pixels")):
        if all(key in row for row in rows):
            worth.semilogx(counts, [_mean(row[key]) for row in rows], "o-", label=label)
    worth.set(xlabel="sampling steps", ylabel="PSNR of the cells made, dB")
    _named_ticks(axes, counts)
    for row in rows:
        quality = [f"{_mean(row[key]):.2f}" if key in row else "-" for key in ("psnr", "psnr_moving")]
        limit = row["flops"] / row["peak_flops"]
        cells.append((row["sampler"], row["steps"], f"{row['seconds']:.2f}", f"{limit:.2f}", *quality))
    return table(("sampler", "steps", "seconds a grid", "limit, seconds", "PSNR dB", "PSNR (moving) dB"), cells)


def reconstruct(rows: Rows, axes: Sequence[Any]) -> str:
    """The paper's Table S3: seconds and memory as views and times grow, in windows and at once."""
    seconds, memory = axes
    for number, views in enumerate(dict.fromkeys(row["views"] for row in rows)):
        for window, style in ((True, "o-"), (False, "x:")):
            line = [r for r in rows if r["views"] == views and bool(r["window"]) == window and "seconds" in r]
            times = [row["times"] for row in line]
            label = f"{views} views, {'windows' if window else 'at once'}"
            drawn = {"label": label, "color": f"C{number}"}
            seconds.loglog(times, [row["seconds"] for row in line], style, **drawn)
            memory.semilogx(times, [row["gigabytes"] for row in line], style, **drawn)
            if window:
                limits = [row["flops"] / row["peak_flops"] for row in line]
                seconds.loglog(times, limits, **{**LIMIT, **drawn, "label": None})
    seconds.plot([], [], **LIMIT)
    seconds.set(xlabel="times", ylabel="seconds")
    memory.set(xlabel="times", ylabel="working memory, GB (without the scene)")
    memory.set_ylim(bottom=0)
    _named_ticks(axes, sorted({row["times"] for row in rows}))
    cells = []
    for row in rows:
        way = f"windows of {row['window']}" if row["window"] else "at once"
        size = f"{row['views']} x {row['times']}"
        if "seconds" not in row:
            cells.append((size, way, "out of memory", "-", "-", "-"))
            continue
        limit = row["flops"] / row["peak_flops"]
        measured = (
            f"{row['seconds']:.2f}",
            f"{limit:.2f}",
            f"{row['gigabytes']:.3f}",
            f"{row['result_gigabytes']:.3f}",
        )
        cells.append((size, way, *measured))
    return table(("views x times", "how", "seconds", "limit, seconds", "working GB", "scene GB"), cells)


def _named_ticks(axes: Sequence[Any], values: Sequence[int]) -> None:
    for axis in axes:
        axis.set_xticks(values, [str(value) for value in values], minor=False)
        axis.set_xticks([], minor=True)


def _mean(values: Sequence[float | None]) -> float:
    return mean(value for value in values if value is not None and value == value)


SECTIONS: dict[str, tuple[str, Callable[[Rows, Sequence[Any]], str]]] = {
    "attention": ("Fused view-time attention", attention),
    "arrangements": ("The papers' arrangements (V2 Table 4)", arrangements),
    "steps": ("Sampling steps (V2 Table S2)", steps),
    "reconstruct": ("Reconstruction (V2 Table S3)", reconstruct),
}


def section(name: str, file: Path) -> str:
    """One benchmark on one machine: a plot, a table, and where they are from."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    title, draw = SECTIONS[name]
    said = json.loads(file.read_text(encoding="utf-8"))
    busy = said["load_before"] > QUIET_LOAD
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    body = draw(said["rows"], axes)
    for axis in axes:
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=7)
    figure.suptitle(f"{title}{' - measured under load' if busy else ''}", fontsize=11)
    picture = DOCS / "images" / "speed" / f"{file.stem}.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=90)
    plt.close(figure)
    load = f"**Measured under load ({said['load_before']:.1f} before it began): read as rough.** " if busy else ""
    if "note" in said:
        load += f"**{said['note']}** "
    source = f"{load}`{said['command']}`, {said['date']}, {said['machine']}."
    return f"### {title}, {said['device']}\n\n{source}\n\n![{title}](images/speed/{picture.name})\n\n{body}\n"


def main() -> None:
    parts = []
    for name, command in COMMANDS.items():
        files = sorted(DATA.glob(f"{name}*.json"))
        if not files:
            title = SECTIONS[name][0]
            parts.append(f"### {title}\n\nNot measured yet: `{command} --json docs/speed/{name}.json`.\n")
        parts += [section(name, file) for file in files]
    page = DOCS / "results.md"
    head, rest = page.read_text(encoding="utf-8").split(START)
    _, tail = rest.split(END)
    written = "\n".join(parts)
    page.write_text(f"{head}{START}\n\n{written}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
