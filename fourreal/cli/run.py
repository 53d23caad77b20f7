"""`fourreal run`: footage or a sentence in, a 4D scene and its page out."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import OmitArgPrefixes

from fourreal.cli.termination import terminated_as_interrupted
from fourreal.job.request import JobRequest, StageName


@dataclass(frozen=True, kw_only=True)
class Run:
    """Turn footage or a sentence into a 4D scene and a page to fly through it, in one go.

    Five stages, each kept in OUT: import, generate, reconstruct, render, page. The same command again
    goes on where it stopped and keeps what is finished; changed settings run again only what depends
    on them. OUT/manifest.json lists inputs, models and results.

    Examples:
        fourreal run --sample --out out/sample
        fourreal run --fixed clip.mp4 --out out/clip
        fourreal run --fixed clip.mp4 --freeze orbit.mp4 --views 6 --steps 40 --out out/both
    """

    out: Path
    """The run's folder: a new one, or one of an earlier run."""
    request: OmitArgPrefixes[JobRequest]
    """What to make, of what, with which models."""
    redo: StageName | None = None
    """Run this stage again though it is finished."""
    until: StageName = "page"
    """The last stage to run."""
    quiet: bool = False
    """Show warnings and errors only."""

    def run(self) -> None:
        from fourreal.core.progress import set_quiet
        from fourreal.job.run import run_job
        from fourreal.job.summary import print_summary
        from fourreal.job.watch import Terminal

        set_quiet(self.quiet)
        try:
            with terminated_as_interrupted():
                report = run_job(self.request, self.out, watcher=Terminal(), redo=self.redo, until=self.until)
        except KeyboardInterrupt:
            # --redo was asked for once: going on must not discard that stage again.
            again = [word for word in sys.argv[1:] if self.redo is None or word not in ("--redo", self.redo)]
            print(
                f"\nfourreal: stopped; finished stages are kept in {self.out}. To go on:\n"
                f"  {shlex.join(['fourreal', *again])}",
                file=sys.stderr,
            )
            raise SystemExit(130) from None
        if not self.quiet:
            print_summary(report)
