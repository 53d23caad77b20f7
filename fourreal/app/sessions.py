"""Sessions of visitors: a folder for each, found by an unguessable token, removed when they leave or are inactive."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fourreal.app.clips import ClipKind, ReceivedClip
from fourreal.app.queue import Job
from fourreal.core.errors import InputError

SILENT_S = 2 * 3600.0
"""An open page polls for progress and files; one that did not for so long is closed."""
LEFT_S = 120.0
"""How long a page that was closed, or lost its connection, may take to come back."""


@dataclass(eq=False, kw_only=True)
class Session:
    """One open page.

    Attributes:
        clips: uploaded clips by kind.
        preview: job of the last preview.
        scene: job of the last scene.
        jobs: submitted jobs that may not be over.
        shown: HTML that the page shows, by part.
    """

    token: str
    folder: Path
    clips: dict[ClipKind, ReceivedClip] = field(default_factory=dict)
    preview: Job | None = None
    scene: Job | None = None
    jobs: list[Job] = field(default_factory=list)
    shown: dict[str, str] = field(default_factory=dict)
    seen_at: float = 0.0
    left_at: float | None = None

    @property
    def run_folder(self) -> Path:
        return self.folder / "run"

    @property
    def making(self) -> bool:
        """Whether a scene is being made."""
        return self.scene is not None and not self.scene.view().over

    @property
    def busy(self) -> bool:
        """Whether a job may still write into the folder."""
        self.jobs[:] = [job for job in self.jobs if not job.view().over]
        return bool(self.jobs)


class Sessions:
    """All open pages.

    Args:
        root: an empty folder for the sessions' folders.
        clock: seconds, ever increasing.
    """

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._root, self._clock = root, clock
        self._guard = threading.RLock()
        self._open: dict[str, Session] = {}
        self._closing: list[Session] = []

    def open(self) -> Session:
        token = secrets.token_hex(16)
        folder = self._root / token
        folder.mkdir(parents=True, mode=0o700)
        with self._guard:
            self._open[token] = Session(token=token, folder=folder, seen_at=self._clock())
            return self._open[token]

    def get(self, token: str) -> Session:
        """The session of a token, which becomes active by this call.

        Raises:
            InputError: there is none, or it was closed.
        """
        with self._guard:
            session = self._open.get(token)
            if session is None:
                raise InputError("this page was left alone for too long and its files were removed; load it again")
            session.seen_at, session.left_at = self._clock(), None
            return session

    def leave(self, token: str) -> None:
        """Its page was closed, or lost its connection."""
        with self._guard:
            if token in self._open:
                self._open[token].left_at = self._clock()

    def sweep(self) -> None:
        """Close sessions that left or are inactive, and remove the folders of those whose jobs have ended."""
        with self._guard:
            now = self._clock()
            for session in list(self._open.values()):
                left = session.left_at is not None and now - session.left_at > LEFT_S
                if left or now - session.seen_at > SILENT_S:
                    self.close(session)
            for session in [s for s in self._closing if not s.busy]:
                shutil.rmtree(session.folder, ignore_errors=True)
                self._closing.remove(session)

    def close(self, session: Session) -> None:
        """Stop its job; its folder goes with the next sweep after that job has ended."""
        with self._guard:
            if self._open.pop(session.token, None) is not None:
                for job in session.jobs:
                    job.stop()
                self._closing.append(session)

    def close_all(self) -> None:
        with self._guard:
            for session in list(self._open.values()):
                self.close(session)
