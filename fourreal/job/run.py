"""run_job: the stages of a request, one after the other, each only when its result is not there already."""

from __future__ import annotations

import contextlib
import errno
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fourreal.core.errors import InputError
from fourreal.core.folder_lock import locked
from fourreal.core.notes import collected_notes
from fourreal.core.progress import Progress
from fourreal.job.content import hash_path, hash_values
from fourreal.job.manifest import StageRecord, load_manifest, save_manifest
from fourreal.job.memory import PeakMemory
from fourreal.job.networks import Networks, find_networks
from fourreal.job.request import JobRequest, StageName
from fourreal.job.stages import Figures, Stage, planned
from fourreal.job.watch import Nobody, Watcher

NOBODY = Nobody()


@dataclass(frozen=True)
class RunReport:
    """Results of a run.

    Attributes:
        out: the run's folder.
        stages: record of each stage, in order.
        reused: stages that were finished before; their records are from then.
    """

    out: Path
    stages: Mapping[StageName, StageRecord]
    reused: frozenset[StageName]

    def find(self, output: str) -> Path | None:
        """A result by its name, `scene.html` for instance; None when this run did not get that far."""
        return self.out / output if any(output in record.outputs for record in self.stages.values()) else None


def run_job(
    request: JobRequest,
    out: Path,
    *,
    watcher: Watcher = NOBODY,
    redo: StageName | None = None,
    until: StageName = "page",
) -> RunReport:
    """Run the stages of a request, in a folder of its own.

    A stage runs when its settings, or the content of what it reads, differ from when it last finished, or when
    its results are gone or were changed; else they are kept. Interrupted anywhere, the next call goes on.

    Args:
        out: the run's folder; a new one, or one of an earlier run.
        redo: run this stage in any case; those after it only where its results come out different.
        until: the last stage to run.

    Raises:
        InputError: footage or weights are missing or unusable, the folder is in use or holds other things, or the
            disk is full. What is finished stays.
    """
    load_manifest(out)
    with locked(out), _full_disk_explained(out):
        stages = planned(request, until)
        if redo is not None and redo not in (stage.name for stage in stages):
            raise InputError(f"the stage '{redo}' is to run again but is left out; leave out less")
        networks = find_networks(request, reconstructs=any(stage.name == "reconstruct" for stage in stages))
        manifest = replace(load_manifest(out), **_header(request, networks))
        save_manifest(out, manifest)
        records: dict[StageName, StageRecord] = {}
        reused: set[StageName] = set()
        for number, stage in enumerate(stages, 1):
            label = f"{number}/{len(stages)} {stage.name}"
            settings = stage.settings(request, networks)
            key = hash_values({"settings": settings, "reads": {name: hash_path(out / name) for name in stage.reads}})
            record = manifest.stages.get(stage.name)
            if record is not None and record.key == key and stage.name != redo and _unchanged(out, stage, record):
                watcher.reused(stage.name, label)
                reused.add(stage.name)
            else:
                work = functools.partial(stage.run, request, networks, out)
                begun = StageRecord(key=key, settings=settings)
                record = _run(stage, work, out, watcher, label, begun)
                manifest = manifest.with_stage(stage.name, record)
                save_manifest(out, manifest)
            records[stage.name] = record
    return RunReport(out, records, frozenset(reused))


def _run(
    stage: Stage,
    work: Callable[[Progress], Figures],
    out: Path,
    watcher: Watcher,
    label: str,
    begun: StageRecord,
) -> StageRecord:
    started, memory = time.monotonic(), PeakMemory()
    memory.start()
    notes: list[str] = []
    try:
        with watcher.stage(stage.name, label) as progress, collected_notes(notes):
            figures = work(progress)
    finally:
        for sentence in notes:
            watcher.note(sentence)
    return replace(
        begun,
        outputs={name: hash_path(out / name) for name in stage.makes},
        seconds=round(time.monotonic() - started, 2),
        peak_mb=memory.peak_mb(),
        figures=figures,
        notes=notes,
    )


def _unchanged(out: Path, stage: Stage, record: StageRecord) -> bool:
    return all((out / name).exists() and hash_path(out / name) == record.outputs.get(name) for name in stage.makes)


@contextlib.contextmanager
def _full_disk_explained(out: Path) -> Iterator[None]:
    try:
        yield
    except (InputError, OSError) as error:
        cause = error.__cause__ if isinstance(error, InputError) else error
        if not isinstance(cause, OSError) or cause.errno != errno.ENOSPC:
            raise
        raise InputError(
            f"no space left on the disk for {out}; free some and run the same again: finished stages are kept"
        ) from error


def _header(request: JobRequest, networks: Networks) -> dict[str, Any]:
    """The manifest's entries before any stage. Names have no folders: paths of this machine stay private."""
    names = {"model": request.model, "delta": request.delta, "base": request.base, "recon": request.recon}
    hashes = networks.generator | ({"recon": networks.reconstructor["model"]} if networks.reconstructor else {})
    return {
        "prompt": request.prompt,
        "seed": request.settings.seed,
        "inputs": {
            name: {"name": request.inputs[name].name, "sha256": value} for name, value in networks.input_hashes.items()
        },
        "models": {name: {"name": Path(str(names[name])).name, "sha256": value} for name, value in hashes.items()},
    }
