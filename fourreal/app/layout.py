"""The page: its layout, and the handlers of its controls."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from fourreal.app import panels
from fourreal.app.clips import ClipKind
from fourreal.app.queue import Job
from fourreal.app.results import FOLDER_OF, find_result
from fourreal.app.service import MOST_SEED, MOST_STEPS, MOST_VIEWS, Choices, Service
from fourreal.app.sessions import Session
from fourreal.core.errors import InputError
from fourreal.job.request import SAMPLE_CLIPS

TICK_S = 0.5
AUTOMATIC = "automatic"
FRAME_COUNTS = (5, 9, 13, 17, 21, 25, 29, 33)
KINDS: tuple[ClipKind, ...] = ("fixed", "freeze")
TITLES = {"fixed": "Fixed-view video", "freeze": "Freeze-time video"}
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
SKIP = gr.skip()


class Page:
    """The page of a service, built once and shared by all visitors.

    The state of each is a `Session`, found by the name that the browser gives every page it opens.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self._token_of: dict[str, str] = {}
        self._guard = threading.Lock()
        with gr.Blocks(title="fourreal", analytics_enabled=False, fill_width=True) as self.blocks:
            self.clock = gr.Timer(TICK_S, active=False)
            gr.HTML(panels.head())
            with gr.Row(elem_id="fr-columns", equal_height=False):
                with gr.Column(scale=0, min_width=350, elem_id="fr-given"):
                    self._place_inputs()
                with gr.Column(scale=1, min_width=420, elem_id="fr-made"):
                    self.stages = gr.HTML(elem_id="fr-stages")
                    self.results = gr.HTML(elem_id="fr-results")
                    self.preview = gr.HTML(panels.welcome(), elem_id="fr-preview")
            self._connect()

    def _place_inputs(self) -> None:
        self.drops: dict[ClipKind, gr.File] = {}
        self.lines: dict[ClipKind, gr.HTML] = {}
        for kind in KINDS:
            gr.HTML(panels.field_title(kind, TITLES[kind]))
            self.drops[kind] = gr.File(show_label=False, height=64, elem_id=f"fr-{kind}", elem_classes="fr-drop")
            self.lines[kind] = gr.HTML(elem_id=f"fr-{kind}-line")
        self.sample = gr.Button("Use the sample pair", size="sm", visible=SAMPLE_CLIPS["fixed"].is_file())
        self.prompt = gr.Textbox(label="What it shows (optional)", lines=2, max_lines=6)
        labels = list(self.service.settings.labels)
        self.model = gr.Dropdown(labels, value=labels[0], label="Model", visible=len(labels) > 1)
        with gr.Row():
            self.views = gr.Dropdown([AUTOMATIC, *map(str, range(2, MOST_VIEWS + 1))], value=AUTOMATIC, label="Views")
            self.frames = gr.Dropdown([AUTOMATIC, *map(str, FRAME_COUNTS)], value=AUTOMATIC, label="Frames")
        with gr.Row():
            self.steps = gr.Slider(1, MOST_STEPS, value=16, step=1, label="Steps", buttons=[], elem_id="fr-steps")
            self.seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=MOST_SEED, min_width=90)
        self.run = gr.Button("Make the scene", variant="primary", elem_id="fr-run")
        self.stop = gr.Button("Stop", visible=False, elem_id="fr-stop")

    def _connect(self) -> None:
        asked = [self.model, self.prompt, self.views, self.frames, self.steps, self.seed]
        lines = [self.lines[kind] for kind in KINDS]
        looked = [self.preview, self.stages, self.clock]
        self.blocks.unload(self.on_close)
        for kind in KINDS:
            drop = self.drops[kind]
            given = [self.lines[kind], drop, *looked]
            drop.upload(self._on_upload(kind), [drop, *asked], given, **QUIET)
            drop.clear(self._on_drop(kind), asked, given, **QUIET)
        self.sample.click(self.on_sample, asked, [*lines, *self.drops.values(), *looked], **QUIET)
        for choice in (self.model, self.views, self.frames):
            choice.input(self.on_choice, asked, looked, **QUIET)
        switches = [self.run, self.stop]
        self.run.click(self.on_run, asked, [self.preview, self.stages, self.results, self.clock, *switches], **QUIET)
        self.stop.click(self.on_stop, None, self.stop, **QUIET)
        self.clock.tick(self.on_tick, None, [self.preview, self.stages, self.results, self.clock, *switches], **QUIET)

    # ---- handlers ------------------------------------------------------------------------

    def on_close(self, request: gr.Request) -> None:
        self.service.sessions.leave(self._token_of.get(str(request.session_hash), ""))

    def _session(self, request: gr.Request) -> Session:
        """The session of a page, opened on its first request. Raises InputError where it was closed."""
        page = str(request.session_hash)
        with self._guard:
            if page not in self._token_of:
                self._token_of[page] = self.service.sessions.open().token
            return self.service.sessions.get(self._token_of[page])

    def _on_upload(self, kind: ClipKind) -> Callable[..., list[Any]]:
        def on_upload(request: gr.Request, upload: str | None, *asked: Any) -> list[Any]:
            if upload is None:
                return [SKIP] * 5
            try:
                session = self._session(request)
                self.service.receive(session, kind, Path(upload), Path(upload).name)
            except InputError as error:
                return [panels.complaint(str(error)), None, SKIP, SKIP, SKIP]
            return [panels.clip_line(session.clips[kind]), SKIP, *self._look(session, asked)]

        return on_upload

    def _on_drop(self, kind: ClipKind) -> Callable[..., list[Any]]:
        def on_drop(request: gr.Request, *asked: Any) -> list[Any]:
            try:
                session = self._session(request)
                self.service.drop(session, kind)
            except InputError as error:
                return [panels.complaint(str(error)), SKIP, SKIP, SKIP, SKIP]
            return ["", SKIP, *self._look(session, asked)]

        return on_drop

    def on_sample(self, request: gr.Request, *asked: Any) -> list[Any]:
        try:
            session = self._session(request)
            self.service.take_sample(session)
        except InputError as error:
            return [panels.complaint(str(error)), *[SKIP] * 6]
        lines = [panels.clip_line(session.clips[kind]) for kind in KINDS]
        return [*lines, None, None, *self._look(session, asked)]

    def on_choice(self, request: gr.Request, *asked: Any) -> list[Any]:
        try:
            session = self._session(request)
        except InputError as error:
            return [panels.complaint(str(error)), SKIP, SKIP]
        # During a run, choices are for the next one.
        return [SKIP] * 3 if session.making else self._look(session, asked)

    def on_run(self, request: gr.Request, *asked: Any) -> list[Any]:
        try:
            session = self._session(request)
            seen = session.preview is not None and session.preview.view().phase == "finished"
            self.service.make(session, _choices(*asked))
        except InputError as error:
            return [SKIP, panels.complaint(str(error)), *[SKIP] * 4]
        session.shown.clear()
        switches = [gr.Button(interactive=False), gr.Button(visible=True, interactive=True)]
        return [SKIP if seen else "", "", "", gr.Timer(active=True), *switches]

    def on_stop(self, request: gr.Request) -> Any:
        try:
            self.service.stop(self._session(request))
        except InputError:
            return gr.Button(visible=False)
        return gr.Button(interactive=False)

    def on_tick(self, request: gr.Request) -> list[Any]:
        try:
            session = self._session(request)
        except InputError as error:
            return [SKIP, panels.complaint(str(error)), "", gr.Timer(active=False), SKIP, SKIP]
        seen = None if session.preview is None else session.preview.view()
        scene = None if session.scene is None else session.scene.view()
        finished = scene is not None and scene.phase == "finished"
        news = [
            _if_new(session, "preview", _looking(session, finished)),
            _if_new(session, "stages", panels.stages(scene) if scene else ""),
            _if_new(
                session,
                "results",
                panels.results(_address(session, session.scene), _sizes(session)) if finished else "",
            ),
        ]
        if any(job is not None and not job.over for job in (seen, scene)):
            return [*news, SKIP, SKIP, SKIP]
        return [*news, gr.Timer(active=False), gr.Button(interactive=True), gr.Button(visible=False)]

    def _look(self, session: Session, asked: tuple[Any, ...]) -> list[Any]:
        """Start a preview; returns updates of the right column."""
        try:
            begun = self.service.preview(session, _choices(*asked))
        except InputError as error:
            return [panels.complaint(str(error)), SKIP, SKIP]
        session.shown.clear()
        return [SKIP if begun else panels.welcome(), SKIP, gr.Timer(active=begun)]


def _looking(session: Session, finished: bool) -> str | None:
    """Content of the preview; None leaves it unchanged, while its scene is being made or was stopped."""
    if session.preview is not None:
        return panels.preview(session.preview.view(), _address(session, session.preview))
    if session.scene is None:
        return panels.welcome()
    return "" if finished else None


def _address(session: Session, job: Job | None) -> panels.Address:
    """Results of different jobs have different addresses, so that no browser shows an old one."""
    number = 0 if job is None else job.number
    return lambda name: f"results/{session.token}/{name}?{number}"


def _choices(
    model: str, prompt: str | None, views: str, frames: str, steps: float | None, seed: float | None
) -> Choices:
    return Choices(
        model=model,
        prompt=prompt or "",
        views=_count(views, "views"),
        frames=_count(frames, "frames"),
        steps=_whole(steps, "steps"),
        seed=_whole(seed, "the seed"),
    )


def _count(value: str, what: str) -> int | None:
    if value == AUTOMATIC:
        return None
    if not str(value).isdecimal():
        raise InputError(f"{what} must be a whole number or {AUTOMATIC}; got {str(value)[:40]!r}")
    return int(value)


def _whole(value: float | None, what: str) -> int:
    if value is None or value != int(value):
        raise InputError(f"{what} must be a whole number; got {value}")
    return int(value)


def _if_new(session: Session, part: str, html: str | None) -> Any:
    """The same content is not sent again: a scene in the browser would start from the beginning."""
    if html is None or session.shown.get(part) == html:
        return SKIP
    session.shown[part] = html
    return html


def _sizes(session: Session) -> dict[str, int]:
    found = {name: find_result(session.folder, name) for name in FOLDER_OF}
    return {name: file.stat().st_size for name, file in found.items() if file is not None}
