"""Train the video model and then the reconstruction model in calls of a few minutes, each going on from the last.

    python scripts/train_in_calls.py --minutes-total 28 --minutes-call 9      # again and again, until it says finished

The first call of a model times a few steps of every stage and scales the recipe by it, so that the last
stage's falling rate ends within the minutes given; nothing has to be known about the machine. Where `$OUT` names a
folder, every call leaves there what fits of logs, models and state, see `pack_run.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from pack_run import Group, Limits, pack

from fourreal.core.configs import from_dict, read_json, rename_keys, save_config
from fourreal.core.errors import InputError
from fourreal.train.catalog import find_recipe
from fourreal.train.checkpoint import latest_checkpoint
from fourreal.train.log import read_log
from fourreal.train.recipe import total_steps
from fourreal.train.settings import RecipeChanges

Kind = Literal["video", "recon"]
TIMED_LINES = 3
"""Lines of the log that every stage is timed by."""
SAFETY = 0.92
"""Of the time that is left after starts, what is planned with; pictures and checkpoints on the way take the rest."""
NEVER = 10**9
LEAST_SHARE = 0.3
CALLS = "calls.txt"


@dataclass(frozen=True)
class Session:
    """Train the video and the reconstruction model within a given time, in calls that go on from one another."""

    minutes_total: float = 28.0
    """For everything, over all calls."""
    minutes_call: float = 9.0
    """This call ends within so many minutes; 0 only packs."""
    recipe: str = "base"
    """Of both models."""
    kinds: tuple[Kind, ...] = ("video", "recon")
    """Which models, in this order."""
    video_share: float = 0.6
    """Of the total, for the video model when both are trained."""
    device: str = "cuda"
    """auto, cpu or cuda."""
    workers: int = max(0, (os.cpu_count() or 1) - 2)
    """Processes that draw worlds."""
    text: Literal["none", "small"] = "none"
    """How the video model reads captions; small needs the extra `text`."""
    runs: Path = Path("runs/gpu")
    """Where the runs are."""
    what: tuple[Group, ...] = ("logs", "models", "state")
    """What to leave in $OUT, most important first."""

    def __post_init__(self) -> None:
        if self.minutes_total <= 0 or self.minutes_call < 0 or not 0 < self.video_share < 1 or not self.kinds:
            raise InputError(f"minutes must be positive and the share between 0 and 1; got {self}")


@dataclass(frozen=True)
class Plan:
    """How fast a model trains here, and the factor of its steps that follows.

    Attributes:
        scale_steps: factor of everything that counts steps, see `RecipeChanges`.
        seconds_per_step: of every stage.
        start_seconds: what a call takes beside its steps: imports, workers, the last pictures and the export.
    """

    scale_steps: float
    seconds_per_step: tuple[float, ...]
    start_seconds: float


def main(session: Session) -> bool:
    """One call. Whether everything is trained."""
    ends = time.monotonic() + 60 * session.minutes_call
    touched: list[Kind] = [] if session.minutes_call else list(session.kinds)
    for kind in session.kinds if session.minutes_call else ():
        if _finished(session, kind):
            continue
        touched.insert(0, kind)
        if not _train(session, kind, ends):
            break
    if "OUT" in os.environ:
        for kind in touched:
            if (session.runs / kind / "manifest.json").is_file():
                left_out = pack(session.runs / kind, Path(os.environ["OUT"]), session.what, Limits())
                print(f"{kind}: packed" + (f"; no room for {', '.join(left_out)}" if left_out else ""))
    return all(_finished(session, kind) for kind in session.kinds)


def _train(session: Session, kind: Kind, ends: float) -> bool:
    """Go on with one model until the call ends. Whether its time is used or its recipe is done."""
    out = session.runs / kind
    kept = out / "plan.json"
    if not kept.is_file():
        if ends - time.monotonic() < LEAST_SHARE * 60 * session.minutes_call:
            return False  # too little of this call is left to time anything
        plan = _timed_plan(session, kind, ends)
        if plan is None:
            return False
        save_config(kept, plan)
    plan = _read_plan(kept)
    left = min(ends - time.monotonic(), _seconds_left(session, kind)) - plan.start_seconds
    if left > 0.3 * plan.start_seconds:
        _fourreal(session, kind, out, "--scale-steps", str(plan.scale_steps), "--minutes", f"{left / 60:.4f}")
    return _finished(session, kind)


def _read_plan(kept: Path) -> Plan:
    """A plan, also one of an older version."""
    return from_dict(Plan, rename_keys(read_json(kept), {"pace": "scale_steps"}), str(kept))


def _timed_plan(session: Session, kind: Kind, ends: float) -> Plan | None:
    """Time a few steps of every stage; the factor that fits the recipe into the minutes. None when the call ends first.

    Raises:
        InputError: the minutes are too few for anything.
    """
    run = session.runs / f"{kind}-timing"
    recipe = find_recipe(kind, session.recipe)
    stages, timed = recipe.stages, TIMED_LINES * recipe.loop.log_every
    options = ["--stage-steps", *[str(timed)] * len(stages)]
    options += ["--checkpoint-every", str(NEVER), "--sample-every", str(NEVER)]
    while _steps(run) < timed * len(stages):
        minutes = min(1.0, (ends - time.monotonic()) / 60 / 2)
        if minutes <= 0:
            return None
        _fourreal(session, kind, run, *options, "--minutes", f"{minutes:.4f}")
    per_step = seconds_per_step(run, tuple(stage.name for stage in stages))
    calls = _calls(run)
    start = max(1.0, (sum(calls) - timed * sum(per_step)) / len(calls))
    left, expected = _seconds_left(session, kind), _budget(session, kind) / (60 * session.minutes_call)
    usable = left - start * (expected + 1)
    if usable <= 0:
        raise InputError(
            f"{_budget(session, kind) / 60:.1f} minutes for the {kind} model are too few: timing took "
            f"{sum(calls):.0f} s and every start takes {start:.0f} s; give more --minutes-total"
        )
    whole = sum(stage.steps * seconds for stage, seconds in zip(stages, per_step, strict=True))
    plan = Plan(float(f"{SAFETY * usable / whole:.4g}"), per_step, start)
    told = ", ".join(f"{stage.name} {1000 * s:.0f} ms" for stage, s in zip(stages, per_step, strict=True))
    print(f"{kind}: {told} a step; steps times {plan.scale_steps} of '{session.recipe}'", flush=True)
    return plan


def seconds_per_step(run: Path, stages: tuple[str, ...]) -> tuple[float, ...]:
    """Mean seconds of a stage's steps after its first line in the log, which bears what starting costs.

    Raises:
        InputError: a stage was not reached.
    """
    found = []
    for name in stages:
        lines = [line for line in read_log(run) if line["stage"] == name and "loss" in line]
        if len(lines) < 2:
            raise InputError(f"{run} has no steps of the stage '{name}' to time it by; remove the folder and try again")
        (first, last) = lines[0], lines[-1]
        found.append((last["seconds"] - first["seconds"]) / (last["step"] - first["step"]))
    return tuple(found)


def _finished(session: Session, kind: Kind) -> bool:
    """Whether the recipe is done or its time is used."""
    kept = session.runs / kind / "plan.json"
    if not kept.is_file():
        return False
    plan = _read_plan(kept)
    steps = total_steps(find_recipe(kind, session.recipe, RecipeChanges(scale_steps=plan.scale_steps)))
    return _steps(kept.parent) >= steps or _seconds_left(session, kind) <= 1.3 * plan.start_seconds


def _seconds_left(session: Session, kind: Kind) -> float:
    """Of the model's share of the time, after timing and training."""
    spent = [second for run in (kind, f"{kind}-timing") for second in _calls(session.runs / run)]
    return _budget(session, kind) - sum(spent)


def _calls(run: Path) -> list[float]:
    """Seconds of every call so far."""
    file = run / CALLS
    return [float(line) for line in file.read_text().splitlines()] if file.is_file() else []


def _steps(run: Path) -> int:
    found = latest_checkpoint(run)
    return found.counters.step if found else 0


def _budget(session: Session, kind: Kind) -> float:
    shares = {"video": session.video_share, "recon": 1 - session.video_share}
    share = shares[kind] if len(session.kinds) > 1 else 1.0
    return 60 * session.minutes_total * share


def _fourreal(session: Session, kind: Kind, run: Path, *options: str) -> None:
    """Begin a run or go on with it, and note how long that took."""
    began = time.monotonic()
    command = [sys.executable, "-m", "fourreal.cli", "train", kind, "--recipe", session.recipe, "--out", str(run)]
    command += ["--device", session.device, "--workers", str(session.workers), *options]
    if (run / "manifest.json").is_file():
        command += ["--resume"]
    if kind == "video":
        command += ["--text", session.text]
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise InputError(f"training the {kind} model ended with exit code {done.returncode}; its words are above")
    with (run / CALLS).open("a") as file:
        file.write(f"{time.monotonic() - began:.1f}\n")


if __name__ == "__main__":
    try:
        asked = tyro.cli(Session)
        finished = main(asked)
    except InputError as error:
        sys.exit(f"train_in_calls: {error}")
    print("finished" if finished else "not finished: give the same command again", flush=True)
