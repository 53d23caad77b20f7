"""The stages of a run: what each reads, makes and depends on.

Between stages everything goes through the disk, so that a run that was interrupted goes on from the same bits as
one that was not.

    import       footage                  -> input/  preview.png
    generate     input/                   -> grid/  contact.png
    reconstruct  grid/                    -> scene/  reconstruction.png
    render       scene/                   -> bullet_time.mp4
    page         scene/  grid/            -> scene.html
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fourreal.core.configs import to_dict
from fourreal.core.grid import VideoGrid
from fourreal.core.media import write_image
from fourreal.core.notes import notify
from fourreal.core.progress import Progress
from fourreal.data.footage import ImportedGrid
from fourreal.data.model_input import Footage, model_input
from fourreal.files.grid_folder import GRID_MANIFEST, GridRecord, StoredGrid, load_grid, save_grid
from fourreal.files.scene_folder import load_scene, save_scene
from fourreal.job.footage_motion import notify_of_moving_camera, notify_of_moving_things
from fourreal.job.networks import Networks
from fourreal.job.request import JobRequest, StageName
from fourreal.pipeline import PAPER_GRID, FourDPipeline
from fourreal.recon.overview import draw_overview
from fourreal.view.contact_sheet import write_contact_sheet
from fourreal.view.movie import MOVIE_PX, plan_movie, write_movie
from fourreal.view.page import PageTooLarge, write_page
from fourreal.view.settings import PAGE_DEFAULTS, MovieOptions, PageOptions

INPUT, PREVIEW = "input", "preview.png"
GRID, CONTACT = "grid", "contact.png"
SCENE, OVERVIEW = "scene", "reconstruction.png"
MOVIE, PAGE = "bullet_time.mp4", "scene.html"

MOVE_SECONDS = 2.0
"""How long the movie's camera takes from the first view to the last."""

LEAST_KEPT = 0.01
"""A page with less of the scene than this shows dust."""

Figures = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a run.

    Attributes:
        reads: results of other stages that this one reads.
        makes: files and folders in the run's folder.
        settings: all else that decides the result, as plain JSON values.
        run: computes the results into the run's folder; returns figures about them.
    """

    name: StageName
    reads: tuple[str, ...]
    makes: tuple[str, ...]
    settings: Callable[[JobRequest, Networks], dict[str, Any]]
    run: Callable[[JobRequest, Networks, Path, Progress], Figures]


def planned(request: JobRequest, until: StageName = "page") -> tuple[Stage, ...]:
    """The stages of a request, in order. A prompt alone has nothing to import."""
    stages = STAGES if request.inputs else (replace(STAGES[1], reads=()), *STAGES[2:])
    last = next((i for i, stage in enumerate(stages) if stage.name == until), 0)
    return tuple(stage for stage in stages[: last + 1] if stage.name not in request.skip)


# ---- import -------------------------------------------------------------------------------------------


def _import_settings(request: JobRequest, networks: Networks) -> dict[str, Any]:
    cut = {"start": request.start, "end": None if math.isinf(request.end) else request.end}
    usual = None if networks.training_size is None else to_dict(networks.training_size)
    return {"inputs": networks.input_hashes, "wish": to_dict(request.wish) | cut, "usual": usual}


def _import(request: JobRequest, networks: Networks, out: Path, progress: Progress) -> Figures:
    if request.grid is not None:
        stored = load_grid(request.grid)
        imported, record = ImportedGrid(stored.grid), stored.record
    else:
        usual = networks.training_size or PAPER_GRID
        fixed, freeze = (_footage(request.inputs.get(name)) for name in ("fixed", "freeze"))
        imported = model_input(fixed, freeze, usual, request.wish, start_s=request.start, end_s=request.end)
        record = GridRecord()
        # Clips only: a grid folder's rows and columns are given as such.
        if fixed is not None and bool(imported.grid.known[0].all()):
            notify_of_moving_camera(imported.grid.frames[0])
        if isinstance(freeze, Path):
            notify_of_moving_things(freeze)
    names = ", ".join(path.name for path in request.inputs.values())
    record = replace(record, source=record.source or names)
    save_grid(out / INPUT, imported.grid, record=record, storage="png", overwrite=True)
    write_contact_sheet(out / PREVIEW, imported.grid)
    progress(1, 1)
    known = imported.grid.known
    return {"known_cells": int(known.sum()), "cells": known.numel()} | (
        {} if imported.corner_difference is None else {"corner_difference": round(imported.corner_difference, 4)}
    )


def _footage(path: Path | None) -> Footage | None:
    """A grid folder as its grid; anything else is left to be read as a clip."""
    if path is None or not (path / GRID_MANIFEST).is_file():
        return path
    return load_grid(path).grid


# ---- generate -----------------------------------------------------------------------------------------


def _generate_settings(request: JobRequest, networks: Networks) -> dict[str, Any]:
    if not networks.generator:
        return {"prompt": request.prompt}
    # Where it is computed, and in which order parts are on the GPU, does not decide the result.
    sampling = {name: value for name, value in to_dict(request.settings).items() if name not in ("device", "offload")}
    models = {"models": networks.generator, "weight_type": request.weight_type}
    asked = {"prompt": request.prompt, **models, **sampling}
    return asked if request.inputs else asked | {"wish": to_dict(request.wish)}


def _generate(request: JobRequest, networks: Networks, out: Path, progress: Progress) -> Figures:
    stored = load_grid(out / INPUT) if request.inputs else None
    if stored is not None and bool(stored.grid.known.all()):
        grid = stored.grid
        progress(1, 1)
    else:
        pipe = FourDPipeline.from_pretrained(
            request.model,
            recon=None,
            delta=request.delta,
            base=request.base,
            weight_type=request.weight_type,
            device=request.settings.device,
        )
        if stored is None:
            grid = pipe.imagine(request.prompt, request.wish, settings=request.settings, progress=progress)
        else:
            grid = pipe.complete(stored.grid, request.prompt, settings=request.settings, progress=progress)
    save_grid(out / GRID, grid, record=_generated(request, stored, grid), storage="png", overwrite=True)
    write_contact_sheet(out / CONTACT, grid)
    return {"views": grid.num_views, "frames": grid.num_times}


def _generated(request: JobRequest, stored: StoredGrid | None, grid: VideoGrid) -> GridRecord:
    """Depth, if there was any, belonged to known cells only, unless nothing was generated."""
    if stored is None:
        return GridRecord(caption=request.prompt, source=f"generated by {Path(request.model).name} from a prompt")
    record = replace(stored.record, caption=request.prompt or stored.record.caption)
    if bool(stored.grid.known.all()):
        return record
    source = f"generated by {Path(request.model).name} from: {stored.record.source}"
    return replace(record, depth=None, source=source)


# ---- reconstruct --------------------------------------------------------------------------------------


def _reconstruct_settings(request: JobRequest, networks: Networks) -> dict[str, Any]:
    return {"models": networks.reconstructor, "settings": to_dict(request.reconstruction)}


def _reconstruct(request: JobRequest, networks: Networks, out: Path, progress: Progress) -> Figures:
    stored = load_grid(out / GRID)
    pipe = FourDPipeline.from_pretrained(None, recon=request.recon, device=request.settings.device)
    scene = pipe.reconstruct(stored.grid, settings=request.reconstruction, progress=progress)
    source = f"reconstructed by {Path(request.recon).name} from: {stored.record.source}"
    words = {"caption": stored.record.caption, "source": source, "licence": stored.record.licence}
    save_scene(out / SCENE, scene, **words, overwrite=True)
    overview = draw_overview(scene, stored.grid)
    write_image(out / OVERVIEW, overview.picture)
    return {"gaussians": sum(map(len, scene.steps)), "input_psnr_db": round(overview.psnr_db, 2)}


# ---- render and page ----------------------------------------------------------------------------------


def _render(request: JobRequest, networks: Networks, out: Path, progress: Progress) -> Figures:
    scene = load_scene(out / SCENE)
    options = MovieOptions(camera_seconds=MOVE_SECONDS)
    plan = plan_movie(scene, "bullet", options=options)
    write_movie(out / MOVIE, scene, plan, progress=progress)
    return {"frames": len(plan)}


def _page(request: JobRequest, networks: Networks, out: Path, progress: Progress) -> Figures:
    scene, stored = load_scene(out / SCENE), load_grid(out / GRID)
    options = PageOptions(title=stored.record.caption[:80])
    while True:
        try:
            size = write_page(scene, out / PAGE, grid=stored.grid, options=options, progress=progress)
        except PageTooLarge as large:
            if large.keep < LEAST_KEPT:
                raise
            options = replace(options, keep=large.keep)
        else:
            break
    if options.keep < 1:
        notify(f"the page shows the most visible {options.keep:.0%} of the Gaussians, so that it stays a page")
    return {"megabytes": round(size / 1e6, 2), "keep": round(options.keep, 3)}


def _render_settings(request: JobRequest, networks: Networks) -> dict[str, Any]:
    return {"longer_side": MOVIE_PX, "move_seconds": MOVE_SECONDS}


def _page_settings(request: JobRequest, networks: Networks) -> dict[str, Any]:
    return {"max_mb": PAGE_DEFAULTS.max_mb}


STAGES = (
    Stage(name="import", reads=(), makes=(INPUT, PREVIEW), settings=_import_settings, run=_import),
    Stage(name="generate", reads=(INPUT,), makes=(GRID, CONTACT), settings=_generate_settings, run=_generate),
    Stage(name="reconstruct", reads=(GRID,), makes=(SCENE, OVERVIEW), settings=_reconstruct_settings, run=_reconstruct),
    Stage(name="render", reads=(SCENE,), makes=(MOVIE,), settings=_render_settings, run=_render),
    Stage(name="page", reads=(SCENE, GRID), makes=(PAGE,), settings=_page_settings, run=_page),
)
