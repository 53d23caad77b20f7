"""`fourreal run`: footage or a sentence in, a 4D scene and its page out."""

from __future__ import annotations

import contextlib
import math
import shlex
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fourreal.core.errors import InputError

if TYPE_CHECKING:
    from fourreal.job.request import JobRequest

Stage = Literal["import", "generate", "reconstruct", "render", "page"]


@dataclass(frozen=True)
class Run:
    """Turn footage or a sentence into a 4D scene and a page to fly through it, in one go.

    Five stages, each kept in OUT: import, generate, reconstruct, render, page. The same command again
    goes on where it stopped and keeps what is finished; changed settings run again only what depends
    on them. OUT/manifest.json says what was made, from what, by which models.

    Examples:
        fourreal run --sample --out out/sample
        fourreal run --fixed clip.mp4 --out out/clip
        fourreal run --fixed clip.mp4 --freeze orbit.mp4 --views 6 --steps 40 --out out/both
    """

    out: Path
    """The run's folder: a new one, or one of an earlier run."""
    fixed: Path | None = None
    """A clip from a camera that stands still (video, GIF, image folder), or a grid folder: its first row."""
    freeze: Path | None = None
    """A clip or photo folder that moves round a frozen moment, or a grid folder: its first column."""
    grid: Path | None = None
    """In place of the two, a grid folder with any cells known; a complete one is only reconstructed."""
    sample: bool = False
    """Take the pair of clips that comes with the package."""
    prompt: str = ""
    """What the scene shows; alone, it needs a model that reads text."""
    model: str = "mini"
    """mini (the package's own), a folder, a released name such as wan2.1-1.3b, or a hub id."""
    delta: Path | None = None
    """Folder of view-time weights to lay over the model."""
    base: str | None = None
    """Another model for the two single videos of a prompt alone."""
    recon: str = "mini"
    """mini (the package's own), vggt-1b (from the Hugging Face cache), or a folder."""
    steps: int = 16
    """Sampling steps."""
    views: int | None = None
    """Rows of the grid; as many as the model was trained on when left out."""
    frames: int | None = None
    """Columns of the grid; as many as the model was trained on when left out. Best 4k + 1."""
    size: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="HEIGHT WIDTH")] = None
    """Frames are scaled and centre-cropped to this; the model's own when left out."""
    fps: float | None = None
    """Columns per second; the model's own when left out."""
    start: float = 0.0
    """Leave out what comes before in the fixed-view clip, seconds."""
    end: float = math.inf
    """Leave out what comes at this time or after it in the fixed-view clip, seconds."""
    seed: int = 0
    """Same seed, same scene."""
    device: str = "auto"
    """auto, cpu or cuda."""
    redo: Stage | None = None
    """Run this stage again though it is finished."""
    until: Stage = "page"
    """The last stage to run."""
    skip: tuple[Literal["render", "page"], ...] = ()
    """Stages to leave out."""
    quiet: bool = False
    """Show warnings and errors only."""

    def run(self) -> None:
        from fourreal.core.progress import set_quiet
        from fourreal.job.run import run_job
        from fourreal.job.summary import print_summary
        from fourreal.job.watch import Terminal

        set_quiet(self.quiet)
        try:
            with _terminated_as_interrupted():
                report = run_job(self._request(), self.out, watcher=Terminal(), redo=self.redo, until=self.until)
        except KeyboardInterrupt:
            # Asked for once, a stage is not to be thrown away again by going on.
            again = [word for word in sys.argv[1:] if self.redo is None or word not in ("--redo", self.redo)]
            print(
                f"\nfourreal: stopped; finished stages are kept in {self.out}. To go on:\n"
                f"  {shlex.join(['fourreal', *again])}",
                file=sys.stderr,
            )
            raise SystemExit(130) from None
        if not self.quiet:
            print_summary(report)

    def _request(self) -> JobRequest:
        from fourreal.data.model_input import GridWish
        from fourreal.job.request import JobRequest
        from fourreal.job.sample import sample_clips

        fixed, freeze = self.fixed, self.freeze
        if self.sample:
            if fixed is not None or freeze is not None or self.grid is not None:
                raise InputError("--sample brings its own clips; leave out --fixed, --freeze and --grid, or --sample")
            fixed, freeze = sample_clips()
        elif fixed is None and freeze is None and self.grid is None and not self.prompt.strip():
            raise InputError("give --fixed, --freeze, both, --grid or --prompt; or --sample to see how it goes")
        return JobRequest(
            fixed=fixed,
            freeze=freeze,
            grid=self.grid,
            prompt=self.prompt,
            model=self.model,
            recon=self.recon,
            delta=self.delta,
            base=self.base,
            wish=GridWish(self.views, self.frames, self.size, self.fps, self.start, self.end),
            steps=self.steps,
            seed=self.seed,
            device=self.device,
            skip=self.skip,
        )


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does: nothing half-written, and a word on how to go on."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
