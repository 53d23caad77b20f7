"""Actions of the page: upload clips, preview the input of the model, make a scene, stop."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fourreal.app.clips import ClipKind, look_at_clip, receive_clip
from fourreal.app.queue import Job, JobQueue
from fourreal.app.results import pack
from fourreal.app.sessions import Session, Sessions
from fourreal.app.settings import AppSettings
from fourreal.core.atomic import atomic_folder
from fourreal.core.errors import InputError
from fourreal.data.grid_wish import GridWish
from fourreal.job.request import SAMPLE_CLIPS, GenerationSettings, JobRequest, StageName
from fourreal.job.run import run_job

MOST_VIEWS, MOST_FRAMES, MOST_STEPS, MOST_SEED = 16, 33, 100, 2**31 - 1
PROMPT_LENGTH = 4000
PACK = "pack"


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a visitor chose on the page.

    Attributes:
        model: a label of the settings'.
        views, frames: None for as many as the model and the footage suggest.

    Raises:
        InputError: a number out of its range, or a text that is too long.
    """

    model: str
    prompt: str = ""
    views: int | None = None
    frames: int | None = None
    steps: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("views", self.views, 2, MOST_VIEWS),
            ("frames", self.frames, 1, MOST_FRAMES),
            ("steps", self.steps, 1, MOST_STEPS),
            ("the seed", self.seed, 0, MOST_SEED),
        ):
            if value is not None and not least <= value <= most:
                raise InputError(f"{name} must be from {least} to {most}; got {value}")
        if len(self.prompt) > PROMPT_LENGTH:
            raise InputError(f"a description may have {PROMPT_LENGTH} letters; this one has {len(self.prompt)}")


class Service:
    """Actions of the page on a session. Methods raise InputError; the state of jobs is in
    `session.preview` and `session.scene`."""

    def __init__(self, settings: AppSettings, sessions: Sessions, queue: JobQueue) -> None:
        self.settings, self.sessions, self._queue = settings, sessions, queue

    def receive(self, session: Session, kind: ClipKind, upload: Path, name: str) -> None:
        """Take an uploaded clip. One that is refused leaves nothing behind, the one before it included."""
        try:
            _refuse_while_making(session)
            session.clips.pop(kind, None)
            folder = session.folder / "clips" / kind
            session.clips[kind] = receive_clip(upload, name, folder, self.settings.max_upload_mb * 1_000_000)
        except InputError as error:
            raise InputError(plain(session, str(error))) from error
        finally:
            upload.unlink(missing_ok=True)

    def take_sample(self, session: Session) -> None:
        """Take the pair of clips that comes with the package."""
        _refuse_while_making(session)
        session.clips["fixed"], session.clips["freeze"] = map(look_at_clip, SAMPLE_CLIPS.values())

    def drop(self, session: Session, kind: ClipKind) -> None:
        """Remove a clip."""
        _refuse_while_making(session)
        session.clips.pop(kind, None)
        shutil.rmtree(session.folder / "clips" / kind, ignore_errors=True)

    def preview(self, session: Session, choices: Choices) -> bool:
        """Start a preview of the input of the model. False when there are no clips."""
        _refuse_while_making(session)
        _stop(session.preview)
        session.preview = None
        if not session.clips:
            return False
        request = self._request(session, choices)
        session.preview = self._submit(session, lambda job: self._run(session, request, job, until="import"))
        return True

    def make(self, session: Session, choices: Choices) -> None:
        """Start to make a scene."""
        _refuse_while_making(session)
        request = self._request(session, choices)
        _stop(session.preview)

        def work(job: Job) -> None:
            self._run(session, request, job)
            with job.step(PACK) as progress:
                pack(session.folder, progress)
            if self.settings.out is not None:
                job.note(_keep(session, self.settings.out))

        session.scene, session.preview = self._submit(session, work), None

    def stop(self, session: Session) -> None:
        """Stop the scene that is being made; its finished stages are kept for another try."""
        _stop(session.scene)

    def _request(self, session: Session, choices: Choices) -> JobRequest:
        given = {kind: clip.path for kind, clip in session.clips.items()}
        return JobRequest(
            fixed=given.get("fixed"),
            freeze=given.get("freeze"),
            prompt=choices.prompt.strip(),
            model=self.settings.labelled(choices.model),
            recon=self.settings.recon,
            weight_type=self.settings.weight_type,
            wish=GridWish(choices.views, choices.frames),
            settings=GenerationSettings(
                steps=choices.steps,
                seed=choices.seed,
                device=self.settings.device,
                offload=self.settings.offload,
            ),
        )

    def _run(self, session: Session, request: JobRequest, job: Job, until: StageName = "page") -> None:
        report = run_job(request, session.run_folder, watcher=job, until=until)
        # A stage that is reused gives no notes again, but they still hold.
        for record in report.stages.values():
            for sentence in record.notes:
                job.note(sentence)

    def _submit(self, session: Session, work: Callable[[Job], None]) -> Job:
        def without_folders(job: Job) -> None:
            try:
                work(job)
            except InputError as error:
                raise InputError(plain(session, str(error))) from error

        job = self._queue.submit(without_folders)
        session.jobs.append(job)
        return job


def plain(session: Session, sentence: str) -> str:
    """A sentence without the folders of this machine."""
    inner = r"(?:(?:clips/(?:fixed|freeze)|run|packed)/)?"
    return re.sub(re.escape(str(session.folder)) + "/" + inner, "", sentence).replace(
        str(session.run_folder), "the run"
    )


def _refuse_while_making(session: Session) -> None:
    if session.making:
        raise InputError("a scene is being made; wait for it, or stop it first")


def _stop(job: Job | None) -> None:
    if job is not None:
        job.stop()


def _keep(session: Session, parent: Path) -> str:
    """Copy a finished run; returns a note. The run stays valid where there is no room for a copy."""
    clips = "-".join(Path(clip.name).stem for clip in session.clips.values()) or "prompt"
    name = f"{time.strftime('%Y-%m-%d-%H%M%S')}-{clips}-{session.token[:4]}"
    try:
        with atomic_folder(parent / name) as partial:
            shutil.copytree(session.run_folder, partial, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
    except InputError as error:
        return plain(session, f"no copy of this run could be kept: {error}")
    return f"kept on the server as {name}"
