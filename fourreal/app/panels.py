"""HTML of the page: the uploaded clips, the stages of a job, and the results."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from fourreal.app.clips import ClipKind, ReceivedClip
from fourreal.app.queue import JobView, StageView
from fourreal.app.results import GRID_PAGE, GRID_ZIP, SPLATS_ZIP
from fourreal.app.service import PACK
from fourreal.job.stages import CONTACT, MOVIE, OVERVIEW, PAGE, PREVIEW

Address = Callable[[str], str]
"""Where the browser finds a result, by its name."""

STAGE_WORDS = {
    "import": "Read the clips",
    "generate": "Fill in the grid",
    "reconstruct": "Build the Gaussians",
    "render": "Film it",
    "page": "Write the page",
    PACK: "Pack the downloads",
}

SKETCH = {"fixed": "the camera stands still, time goes on", "freeze": "time stands still, the camera moves"}


def head() -> str:
    return (
        '<header class="fr-head"><h1>fourreal</h1>'
        "<p>Clips in, a 4D scene out: every view at every time, to fly through.</p></header>"
    )


def field_title(kind: ClipKind, title: str) -> str:
    """The title of a drop field, with a sketch of the cells of the grid that the clip fills."""
    cells = []
    for view in range(4):
        for time in range(5):
            given = view == 0 if kind == "fixed" else time == 0
            cells.append(
                f'<rect x="{time * 9}" y="{view * 9}" width="7" height="7" rx="1.5" class="{"on" if given else ""}"/>'
            )
    return (
        f'<div class="fr-field"><svg viewBox="0 0 43 34" width="43" height="34" aria-hidden="true">{"".join(cells)}'
        f"</svg><div><b>{escape(title)}</b><span>{SKETCH[kind]}</span></div></div>"
    )


def clip_line(clip: ReceivedClip) -> str:
    height, width = clip.info.image_size
    seconds = clip.info.seconds[-1]
    facts = f"{width} × {height}, {clip.info.count} frames, {seconds:.1f} s"
    return f'<p class="fr-clip">{escape(clip.name)}: {facts}</p>'


def complaint(sentence: str) -> str:
    return f'<p class="fr-error" role="alert">{escape(sentence)}</p>'


def welcome() -> str:
    return (
        '<div class="fr-welcome"><h2>Nothing here yet</h2>'
        "<p>Drop a clip on the left. What the model will see of it appears here, and after that the scene.</p>"
        "<p>One clip is enough. If you give both, they should share their first frame.</p></div>"
    )


def preview(job: JobView, address: Address) -> str:
    """The input of the model, while it is prepared and afterwards."""
    if job.phase == "failed":
        return complaint(job.error)
    if job.phase == "finished":
        picture = f'<img class="fr-sheet" src="{address(PREVIEW)}" alt="The cells of the grid that the clips fill">'
        title = "<h2>What the model will see</h2>"
        words = "<p>A row is a viewpoint, a column is a time. Hatched cells will be made.</p>"
        return f'<section class="fr-preview">{title}{words}{picture}{_notes(job)}</section>'
    waiting = _before(job.ahead) if job.phase == "waiting" and job.ahead else "Looking at the clips."
    return f'<p class="fr-quiet">{waiting}</p>'


def stages(job: JobView) -> str:
    """Progress of a scene."""
    if job.phase == "failed":
        return complaint(job.error) + _stage_list(job) + _notes(job)
    if job.phase == "stopped":
        words = "Stopped. Finished stages are kept: the same again goes on from there."
        return f'<p class="fr-quiet">{words}</p>{_stage_list(job)}{_notes(job)}'
    if job.phase == "waiting":
        return f'<p class="fr-quiet">{_before(job.ahead) if job.ahead else "Starting."}</p>'
    if job.phase == "finished":
        seconds = sum(stage.seconds for stage in job.stages)
        summary = f"<summary>Made in {_spoken(seconds)}</summary>"
        return f'<details class="fr-done">{summary}{_stage_list(job)}</details>{_notes(job)}'
    return _stage_list(job) + _notes(job)


def results(address: Address, sizes: dict[str, int]) -> str:
    """The finished scene.

    Args:
        sizes: bytes of each existing file, by name.
    """
    panes = {
        "Fly through": f'<iframe class="fr-scene" src="{address(PAGE)}" title="The scene"></iframe>'
        f'<p class="fr-quiet">Drag to turn, scroll to come closer, right-drag to move; the bar below plays time. '
        f'<a href="{address(PAGE)}" target="_blank" rel="noopener">Open it alone</a></p>',
        "Grid": f'<iframe class="fr-grid" src="{address(GRID_PAGE)}" title="The grid along both axes"></iframe>',
        "Contact sheet": f'<img class="fr-sheet" src="{address(CONTACT)}" alt="Every cell of the grid">'
        f'<p class="fr-quiet">A row is a viewpoint, a column is a time.</p>',
        "Movie": f'<video class="fr-movie" src="{address(MOVIE)}" controls loop muted playsinline></video>'
        '<p class="fr-quiet">Time stops, the camera moves, time goes on.</p>',
        "Check": f'<img class="fr-sheet" src="{address(OVERVIEW)}" alt="The input next to the rendered scene">'
        '<p class="fr-quiet">The scene rendered from the input cameras, next to the grid itself.</p>',
        "Download": _downloads(address, sizes),
    }
    switches, bodies = [], []
    for number, (name, body) in enumerate(panes.items()):
        checked = " checked" if number == 0 else ""
        switches.append(
            f'<input type="radio" name="fr-pane" id="fr-pane-{number}"{checked}>'
            f'<label for="fr-pane-{number}">{name}</label>'
        )
        bodies.append(f'<div class="fr-pane">{body}</div>')
    return f'<section class="fr-results">{"".join(switches)}{"".join(bodies)}</section>'


def _downloads(address: Address, sizes: dict[str, int]) -> str:
    words = {
        PAGE: "the scene as one page: open it in any browser, mail it",
        MOVIE: "the camera moves while time stands still",
        GRID_PAGE: "the grid as one page with both axes",
        GRID_ZIP: "every frame as a PNG, with cameras; opens in nerfstudio",
        SPLATS_ZIP: "one .ply of Gaussians for every time; opens in SuperSplat and others",
    }
    rows = [
        f'<li><a href="{address(name)}" download="{name}">{name}</a><span>{what}</span>'
        f"<small>{_size(sizes[name])}</small></li>"
        for name, what in words.items()
        if name in sizes
    ]
    return f'<ul class="fr-files">{"".join(rows)}</ul>'


def _stage_list(job: JobView) -> str:
    if not job.stages:
        return ""
    begun = {stage.name: stage for stage in job.stages}
    names = [name for name in STAGE_WORDS if name in begun or job.phase == "running"]
    if "generate" in begun and "import" not in begun:
        names.remove("import")
    return f'<ol class="fr-stages">{"".join(_stage(name, begun.get(name)) for name in names)}</ol>'


def _stage(name: str, stage: StageView | None) -> str:
    words = STAGE_WORDS[name]
    if stage is None:
        return f'<li class="to-come"><b>{words}</b></li>'
    if stage.status == "kept":
        return f'<li class="made"><b>{words}</b><span>kept from before</span></li>'
    if stage.status == "finished":
        return f'<li class="made"><b>{words}</b><span>{_spoken(stage.seconds)}</span></li>'
    share = stage.done / stage.total if stage.total else 0.0
    parts = [f"step {stage.done} of {stage.total}"] if stage.total else ["getting ready"]
    if stage.seconds_left is not None and stage.done < stage.total:
        parts.append(f"about {_spoken(stage.seconds_left)} left")
    bar = f'<div class="fr-bar" role="progressbar" aria-valuenow="{share:.0%}"><i style="width:{share:.1%}"></i></div>'
    return f'<li class="running"><b>{words}</b><span>{", ".join(parts)}</span>{bar}</li>'


def _notes(job: JobView) -> str:
    if not job.notes:
        return ""
    return f'<ul class="fr-notes">{"".join(f"<li>{escape(note)}</li>" for note in job.notes)}</ul>'


def _before(ahead: int) -> str:
    return f"Waiting: {ahead} {'job is' if ahead == 1 else 'jobs are'} before yours."


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(count / 1e3, 1):.0f} kB"


def _spoken(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
