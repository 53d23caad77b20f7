"""What somebody on the page can do: give clips, see what the model would see, make a scene, stop."""

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
from fourreal.core.atomic import atomic_folder
from fourreal.core.errors import InputError
from fourreal.data.model_input import GridWish
from fourreal.job.request import JobRequest, StageName
from fourreal.job.run import run_job
from fourreal.job.sample import sample_clips

MOST_VIEWS, MOST_FRAMES, MOST_STEPS, MOST_SEED = 16, 33, 100, 2**31 - 1
PROMPT_LENGTH = 4000
PACK = "pack"


@dataclass(frozen=True)
class Offer:
    """What the server was started with; a browser can choose among it and nothing else.

    Attributes:
        models: generators, as `fourreal run --model` takes them; the first is the usual one.
        recon: the reconstruction network.
        device: where they compute.
        max_upload_mb: largest clip taken.
        keep: finished runs are copied into this folder; None: they go with their session.
    """

    models: tuple[str, ...] = ("mini",)
    recon: str = "mini"
    device: str = "auto"
    max_upload_mb: int = 200
    keep: Path | None = None

    def __post_init__(self) -> None:
        if not self.models or self.max_upload_mb < 1:
            raise InputError(f"the app needs at least one model and room for uploads of 1 MB; got {self}")
        if len(set(self.labels)) < len(self.models):
            raise InputError(
                f"models on the page go by their last name, which must differ; got {', '.join(self.labels)}"
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """What the page calls the models: a folder of this machine is nobody's business."""
        return tuple(Path(model).name for model in self.models)

    def model(self, label: str) -> str:
        """Raises InputError for a label that is not on offer."""
        if label not in self.labels:
            raise InputError(f"the models here are {', '.join(self.labels)}; choose one of them")
        return self.models[self.labels.index(label)]


@dataclass(frozen=True)
class Choices:
    """What is asked for on the page.

    Attributes:
        model: a label of the offer.
        views, frames: None for as many as the model and the footage go well with.

    Raises:
        InputError: a number out of its range, or a text that is none.
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
    """Does what the page asks for. Methods raise InputError; what jobs have to say is in
    `session.preview` and `session.scene`."""

    def __init__(self, offer: Offer, sessions: Sessions, queue: JobQueue) -> None:
        self.offer, self.sessions, self._queue = offer, sessions, queue

    def receive(self, session: Session, kind: ClipKind, upload: Path, name: str) -> None:
        """Take an uploaded clip. One that is refused leaves nothing behind, the one before it included."""
        try:
            _refuse_while_making(session)
            session.clips.pop(kind, None)
            folder = session.folder / "clips" / kind
            session.clips[kind] = receive_clip(upload, name, folder, self.offer.max_upload_mb * 1_000_000)
        except InputError as error:
            raise InputError(plain(session, str(error))) from error
        finally:
            upload.unlink(missing_ok=True)

    def take_sample(self, session: Session) -> None:
        """Take the pair of clips that comes with the package."""
        _refuse_while_making(session)
        for kind, path in zip(("fixed", "freeze"), sample_clips(), strict=True):
            session.clips[kind] = look_at_clip(path)

    def drop(self, session: Session, kind: ClipKind) -> None:
        """Forget a clip."""
        _refuse_while_making(session)
        session.clips.pop(kind, None)
        shutil.rmtree(session.folder / "clips" / kind, ignore_errors=True)

    def preview(self, session: Session, choices: Choices) -> bool:
        """Begin to show what the model will see of the clips. False when there are none."""
        _refuse_while_making(session)
        _stop(session.preview)
        session.preview = None
        if not session.clips:
            return False
        request = self._request(session, choices)
        session.preview = self._hand_in(session, lambda job: self._run(session, request, job, until="import"))
        return True

    def make(self, session: Session, choices: Choices) -> None:
        """Begin to make a scene."""
        _refuse_while_making(session)
        request = self._request(session, choices)
        _stop(session.preview)

        def work(job: Job) -> None:
            self._run(session, request, job)
            with job.step(PACK) as progress:
                pack(session.folder, progress)
            if self.offer.keep is not None:
                job.note(_keep(session, self.offer.keep))

        session.scene, session.preview = self._hand_in(session, work), None

    def stop(self, session: Session) -> None:
        """Ask the scene that is being made to end; what is finished of it is kept, should it be made after all."""
        _stop(session.scene)

    def _request(self, session: Session, choices: Choices) -> JobRequest:
        given = {kind: clip.path for kind, clip in session.clips.items()}
        return JobRequest(
            fixed=given.get("fixed"),
            freeze=given.get("freeze"),
            prompt=choices.prompt.strip(),
            model=self.offer.model(choices.model),
            recon=self.offer.recon,
            wish=GridWish(choices.views, choices.frames),
            steps=choices.steps,
            seed=choices.seed,
            device=self.offer.device,
        )

    def _run(self, session: Session, request: JobRequest, job: Job, until: StageName = "page") -> None:
        report = run_job(request, session.run_folder, watcher=job, until=until)
        # A stage that was kept says nothing while it is passed over, but what it said still holds.
        for stage in report.stages:
            for sentence in stage.record.notes:
                job.note(sentence)

    def _hand_in(self, session: Session, work: Callable[[Job], None]) -> Job:
        def in_its_words(job: Job) -> None:
            try:
                work(job)
            except InputError as error:
                raise InputError(plain(session, str(error))) from error

        job = self._queue.submit(in_its_words)
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
    """Copy a finished run; what came of it, in a sentence. That there is no room for a copy does not undo the run."""
    clips = "-".join(Path(clip.name).stem for clip in session.clips.values()) or "words"
    name = f"{time.strftime('%Y-%m-%d-%H%M%S')}-{clips}-{session.token[:4]}"
    try:
        with atomic_folder(parent / name) as partial:
            shutil.copytree(session.run_folder, partial, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
    except InputError as error:
        return plain(session, f"no copy of this run could be kept: {error}")
    return f"kept on the server as {name}"
