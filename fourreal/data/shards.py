"""Samples on disk as plain tar shards in webdataset's layout: files of one sample share their name's first part.

    000123.json                 kind, caption, source, licence, seconds, cameras
    000123.v00.png ...          one picture a view, its times below each other, lossless
    000123.depth.safetensors    z-depth, float16, where there is one
    000123.flow.safetensors     instance of every pixel and motion of every instance, where they are wanted: with
                                depth and cameras they give the exact flow between any two cells

and `mixture.json` beside the shards holds the mixture they were drawn from.

Any tar reader opens them. What the model is given, and the order of views, are drawn when a sample is read,
so one shard serves many epochs.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import signal
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, is_dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from fourreal.core.atomic import atomic_file, remove_leftovers
from fourreal.core.cameras import Cameras
from fourreal.core.configs import read_json, rename_keys, to_dict
from fourreal.core.errors import InputError
from fourreal.core.grid import KnownPattern, VideoGrid, known_pattern
from fourreal.core.grid_shape import with_shape_keys
from fourreal.core.media import decode_image, to_uint8
from fourreal.core.plain_text import plain
from fourreal.core.progress import Progress, silent
from fourreal.core.reading import reading
from fourreal.data.mixture import MixtureConfig, draw_references, with_references
from fourreal.data.training_grid import Mixture, TrainingGrid, stream

Places: TypeAlias = dict[str, tuple[int, int]]
"""Offset and length, in a shard's file, of the contents of one sample's members by name."""

RECORD = "mixture.json"
RENDERED_TOGETHER = 8
FIRST_SHARE = 0.2
"""Of the samples, what the first step of a curriculum draws from."""


def write_shards(
    folder: str | Path,
    mixture: Mixture,
    count: int,
    *,
    per_shard: int = 64,
    depth: bool = True,
    flow: bool = False,
    workers: int = 0,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> list[Path]:
    """Render `count` samples of a mixture into `shard-00000.tar` and so on, each written atomically.

    Sample i is the mixture's sample 0 of step i, with its views forwards. Shards that are there and whole are kept,
    so a run that was stopped goes on, and a larger count adds to a smaller one. What a killed run was writing is
    removed first, so two runs must not write one folder at a time.

    Args:
        depth: also store the exact depth of worlds; video models do not need it.
        flow: also store, with the depth, the instances and their motion, which exact flow needs.
        workers: processes that write shards side by side, all on `device`; 0 writes them here. They change nothing
            in the samples.

    Raises:
        InputError: fewer than one sample asked for, flow without depth, the folder cannot be written, or it holds
            shards of another mixture.
    """
    if count < 1 or per_shard < 1 or workers < 0:
        raise InputError(
            f"shards need at least 1 sample in all and in each, and workers cannot be negative; got {count}, "
            f"{per_shard} and {workers}"
        )
    if flow and not depth:
        raise InputError("exact flow is computed from depth; store depth too")
    folder = Path(folder)
    _claim(folder, mixture, per_shard, depth, flow)
    remove_leftovers(folder)
    firsts = range(0, count, per_shard)
    shards = {
        folder / f"shard-{first // per_shard:05d}.tar": range(first, min(first + per_shard, count)) for first in firsts
    }
    missing = {shard: numbers for shard, numbers in shards.items() if not _is_whole(shard, numbers)}
    done = count - sum(map(len, missing.values()))
    jobs = [
        _ShardJob(path=shard, numbers=numbers, mixture=mixture, depth=depth, flow=flow, device=str(device))
        for shard, numbers in missing.items()
    ]
    for samples in _side_by_side(jobs, workers) if workers and jobs else map(_write_shard, jobs):
        done += samples
        progress(done, count)
    return list(shards)


@dataclass(frozen=True, kw_only=True)
class _ShardJob:
    path: Path
    numbers: range
    mixture: Mixture
    depth: bool
    flow: bool
    device: str


def _write_shard(job: _ShardJob) -> int:
    """Write one shard; how many samples it holds."""
    with atomic_file(job.path) as partial, tarfile.open(partial, "w") as archive:
        for first in job.numbers[::RENDERED_TOGETHER]:
            numbers = range(first, min(first + RENDERED_TOGETHER, job.numbers.stop))
            drafts = [replace(job.mixture.draft(number, 0), reverse=False) for number in numbers]
            for number, sample in zip(numbers, job.mixture.render(drafts, job.device), strict=True):
                for name, content in _members(_stored_part(sample, job)).items():
                    info = tarfile.TarInfo(f"{number:06d}.{name}")
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
    return len(job.numbers)


def _stored_part(sample: TrainingGrid, job: _ShardJob) -> TrainingGrid:
    if job.flow and sample.depth is not None:
        return sample
    return replace(sample, depth=sample.depth if job.depth else None, instance_ids=None, instance_motion=None)


def _side_by_side(jobs: list[_ShardJob], workers: int) -> Iterator[int]:
    """The jobs' sample counts as they get done; when stopped, no process and no half-written file is left."""
    pool = multiprocessing.get_context("spawn").Pool(min(workers, len(jobs)), initializer=_as_worker)
    try:
        yield from pool.imap_unordered(_write_shard, jobs)
        pool.close()
    except BaseException:
        pool.terminate()
        raise
    finally:
        pool.join()
        for job in jobs:
            for half in job.path.parent.glob(f".{job.path.stem}.*.partial.tar"):
                half.unlink()


def _as_worker() -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the parent, which then ends its workers


def _is_whole(shard: Path, numbers: range) -> bool:
    """Whether a shard holds just these samples and has a tar file's end: blocks of zeros."""
    try:
        with tarfile.open(shard) as archive:
            names = archive.getnames()
        with shard.open("rb") as file:
            file.seek(-2 * tarfile.BLOCKSIZE, io.SEEK_END)
            ended = not any(file.read())
    except (tarfile.TarError, OSError):
        return False
    keys = [name.removesuffix(".json") for name in names if name.endswith(".json")]
    return ended and keys == [f"{number:06d}" for number in numbers]


def _claim(folder: Path, mixture: Mixture, per_shard: int, depth: bool, flow: bool) -> None:
    """Write the mixture into the folder, or check that it is the one written there."""
    assert is_dataclass(mixture)
    assert not isinstance(mixture, type)
    wanted = {"mixture": type(mixture).__name__, **to_dict(mixture), "per_shard": per_shard, "depth": depth}
    if flow:  # left out otherwise, so that folders written before there was a choice can be added to
        wanted["flow"] = True
    record = folder / RECORD
    if record.exists():
        if _current(read_json(record)) != wanted:
            raise InputError(
                f"{folder} holds shards of another mixture (see {RECORD} in it); choose another folder or remove it"
            )
        return
    if any(_shards_in(folder)):
        raise InputError(f"{folder} holds shards but no {RECORD} that says of what; choose another folder")
    with atomic_file(record) as partial:
        partial.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")


def _current(record: Any) -> Any:
    """A record of an older version in today's keys."""
    record = with_shape_keys(rename_keys(record, {"casting": "kind_sampling"}))
    if isinstance(record, dict) and isinstance(config := record.get("config"), dict):
        record["config"] = {"warp": "homography"} | config
    return record


def _shards_in(folder: Path) -> list[Path]:
    """Its shards in order, without what a killed writer left half-written."""
    return sorted(path for path in folder.glob("*.tar") if not path.name.startswith("."))


@dataclass(frozen=True)
class ShardDraft:
    """Where a sample lies and how it is shown."""

    shard: Path
    key: str
    pattern: KnownPattern
    reverse: bool


@dataclass(frozen=True)
class ShardMixture:
    """Samples from shards, each drawn uniformly; references and reversal by the mixture's config.

    With a curriculum, its first step draws from the first fifth alone, and from its last step on all are drawn from.

    Raises:
        InputError: the folder holds no shards, or one is damaged or of another size than the config's.
    """

    folder: Path
    config: MixtureConfig

    @cached_property
    def keys(self) -> list[tuple[Path, str, Any]]:
        """Shard, name and description of every sample."""
        found = []
        for shard in _shards_in(Path(self.folder)):
            for key, places in _places(shard).items():
                if "json" in places:
                    with reading(shard, "samples in a tar shard"):
                        record = _record(_contents(shard, {"json": places["json"]})["json"])
                    found.append((shard, key, record))
        if not found:
            raise InputError(f"{self.folder} holds no shards (*.tar) with samples; write some with `fourreal synth`")
        return found

    def draft(self, step: int, index: int) -> ShardDraft:
        rng = stream(self.config.seed, step, index, "shard")
        shard, key, description = self.keys[int(rng.integers(self._reach(step)))]
        pattern, reverse = draw_references(self.config, description["kind"], step, index)
        return ShardDraft(shard, key, pattern, reverse)

    def _reach(self, step: int) -> int:
        """How many samples there are to draw from: shards are as ordered as the curriculum that wrote them."""
        if self.config.curriculum_steps <= 0:
            return len(self.keys)
        share = FIRST_SHARE + (1 - FIRST_SHARE) * min(step / self.config.curriculum_steps, 1.0)
        return max(1, round(share * len(self.keys)))

    def render(self, drafts: Sequence[ShardDraft], device: torch.device | str = "cpu") -> list[TrainingGrid]:
        return [with_references(self._read(draft, device), draft.pattern, draft.reverse) for draft in drafts]

    def _read(self, draft: ShardDraft, device: torch.device | str) -> TrainingGrid:
        sample = read_sample(draft.shard, draft.key)
        worlds = self.config.worlds
        wanted = (worlds.views, worlds.frames, *worlds.image_size)
        got = (sample.grid.num_views, sample.grid.num_times, *sample.grid.image_size)
        if got != wanted:
            raise InputError(
                f"{draft.shard} holds grids of (views, times, height, width) {got}; the recipe trains on {wanted}"
            )
        geometry = {name: getattr(sample, name) for name in ("depth", "instance_ids", "instance_motion")}
        there = {name: values.to(device) for name, values in geometry.items() if values is not None}
        return replace(sample, grid=sample.grid.to(device), **there)


def _places(shard: Path) -> dict[str, Places]:
    """Of every sample of a shard by its key: offset and length of its members' contents by the rest of their name.

    A shard is a tar file without compression or holes, so contents lie in it as they are. They are searched for once,
    as long as the file does not change.
    """
    try:
        changed = shard.stat().st_mtime_ns
    except OSError as error:
        raise InputError(f"{shard} is no tar shard of samples or is damaged ({plain(error, 80)})") from error
    return _searched(shard, changed)


@cache
def _searched(shard: Path, changed: int) -> dict[str, Places]:
    found: dict[str, Places] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                if not member.isreg() or member.issparse() or member.size > shard.stat().st_size:
                    raise InputError(f"{shard}: '{plain(member.name, 80)}' is not a plain file; it is no tar shard")
                key, _, name = member.name.partition(".")
                found.setdefault(key, {})[name] = (member.offset_data, member.size)
    except (tarfile.TarError, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{shard} is no tar shard of samples or is damaged ({plain(error, 80)})") from error
    return found


def _contents(shard: Path, places: Places) -> dict[str, bytes]:
    with shard.open("rb") as file:
        return {name: _read_at(file, *place) for name, place in places.items()}


def _read_at(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _record(content: bytes) -> dict[str, Any]:
    """What a sample's `.json` says."""
    record = json.loads(content)
    for key in ("kind", "caption", "source", "licence"):
        if not isinstance(record[key], str):
            raise ValueError(f"'{key}' is no text")
    return record


def read_sample(shard: Path, key: str) -> TrainingGrid:
    """One sample of a shard, views forwards and nothing given.

    Raises:
        InputError: the shard is damaged, or the sample is not in it.
    """
    places = _places(shard).get(key, {})
    with reading(f"{shard}: sample {key}"):
        return _sample(_contents(shard, places), f"{shard}: sample {key}")


def _sample(contents: dict[str, bytes], where: str) -> TrainingGrid:
    from safetensors.torch import load

    record = _record(contents["json"])
    seconds = torch.tensor(record["seconds"], dtype=torch.float32)
    strips = [contents[name] for name in sorted(contents) if name.endswith(".png")]
    views = [torch.from_numpy(np.array(decode_image(io.BytesIO(strip), where))) for strip in strips]
    frames = rearrange(torch.stack(views), "v (t h) w c -> v t c h w", t=len(seconds)).float() / 255
    cameras = None
    if record["cameras"] is not None:
        poses, intrinsics = (torch.tensor(record["cameras"][name]) for name in ("world_to_cam", "intrinsics"))
        cameras = Cameras(poses.float(), intrinsics.float(), (frames.shape[-2], frames.shape[-1]))
    grid = VideoGrid.complete(frames.contiguous(), seconds, cameras).validated()
    depth = load(contents["depth.safetensors"])["depth"].float() if "depth.safetensors" in contents else None
    nothing = known_pattern("none", grid.num_views, grid.num_times)
    read = TrainingGrid(
        kind=record["kind"],
        grid=grid,
        references=nothing,
        caption=record["caption"],
        source=record["source"],
        licence=record["licence"],
        depth=depth,
    )
    if "flow.safetensors" not in contents:
        return read
    stored_flow = load(contents["flow.safetensors"])
    return replace(
        read, instance_ids=stored_flow["instance_ids"].short(), instance_motion=stored_flow["instance_motion"]
    )


def _members(sample: TrainingGrid) -> dict[str, bytes]:
    from PIL import Image
    from safetensors.torch import save

    grid, cameras = sample.grid, sample.grid.cameras
    record = {
        "kind": sample.kind,
        "caption": sample.caption,
        "source": sample.source,
        "licence": sample.licence,
        "seconds": grid.seconds.tolist(),
        "cameras": None if cameras is None else _plain(cameras),
    }
    members = {"json": json.dumps(record).encode()}
    for view, frames in enumerate(grid.frames):
        buffer = io.BytesIO()
        Image.fromarray(rearrange(to_uint8(frames), "t h w c -> (t h) w c")).save(buffer, "PNG")
        members[f"v{view:02d}.png"] = buffer.getvalue()
    if sample.depth is not None:
        members["depth.safetensors"] = save({"depth": sample.depth.half().cpu().contiguous()})
    if sample.instance_ids is not None and sample.instance_motion is not None:
        small = torch.uint8 if sample.instance_motion.shape[1] <= 256 else torch.int16
        ids, motion = sample.instance_ids.to(small).cpu(), sample.instance_motion.cpu()
        members["flow.safetensors"] = save({"instance_ids": ids.contiguous(), "instance_motion": motion.contiguous()})
    return members


def _plain(cameras: Cameras) -> dict[str, Any]:
    def values(tensor: Tensor) -> Any:
        return tensor.cpu().tolist()

    return {"world_to_cam": values(cameras.world_to_cam), "intrinsics": values(cameras.intrinsics)}
