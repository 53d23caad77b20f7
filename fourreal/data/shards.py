"""Samples on disk as plain tar shards in webdataset's layout: files of one sample share their name's first part.

    000123.json                 kind, caption, source, licence, seconds, cameras
    000123.v00.png ...          one picture a view, its times below each other, lossless
    000123.depth.safetensors    z-depth, float16, where there is one

Any tar reader opens them. What the model is given, and the order of views, are drawn when a sample is read,
so one shard serves many epochs.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from fourreal.core.atomic import atomic_file
from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.grid import KnownPattern, VideoGrid, known_pattern
from fourreal.core.media import to_uint8
from fourreal.core.progress import Progress, silent
from fourreal.data.mixture import MixtureConfig, draw_dressing, dressed
from fourreal.data.training_grid import Mixture, TrainingGrid, stream


def write_shards(
    folder: str | Path,
    mixture: Mixture,
    count: int,
    *,
    per_shard: int = 64,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> list[Path]:
    """Render `count` samples of a mixture into `shard-00000.tar` and so on, each written atomically.

    Sample i is the mixture's sample 0 of step i, with its views forwards.

    Raises:
        InputError: fewer than one sample asked for, or the folder cannot be written.
    """
    if count < 1 or per_shard < 1:
        raise InputError(f"shards need at least 1 sample in all and in each; got {count} and {per_shard}")
    written = []
    for first in range(0, count, per_shard):
        path = Path(folder) / f"shard-{first // per_shard:05d}.tar"
        with atomic_file(path) as partial, tarfile.open(partial, "w") as archive:
            for number in range(first, min(first + per_shard, count)):
                sample = mixture.render([replace(mixture.draft(number, 0), reverse=False)], device)[0]
                for name, content in _members(sample).items():
                    info = tarfile.TarInfo(f"{number:06d}.{name}")
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
                progress(number + 1, count)
        written.append(path)
    return written


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

    Raises:
        InputError: the folder holds no shards, or one is damaged or of another size than the config's.
    """

    folder: Path
    config: MixtureConfig

    @cached_property
    def keys(self) -> list[tuple[Path, str, Any]]:
        """Shard, name and description of every sample."""
        found = []
        for shard in sorted(Path(self.folder).glob("*.tar")):
            try:
                with tarfile.open(shard) as archive:
                    for member in archive:
                        if member.name.endswith(".json"):
                            stored = archive.extractfile(member)
                            assert stored is not None
                            found.append((shard, member.name.removesuffix(".json"), json.loads(stored.read())))
            except (tarfile.TarError, OSError, json.JSONDecodeError) as error:
                raise InputError(f"{shard} is no tar shard of samples or is damaged ({error})") from error
        if not found:
            raise InputError(f"{self.folder} holds no shards (*.tar) with samples; write some with `fourreal synth`")
        return found

    def draft(self, step: int, index: int) -> ShardDraft:
        rng = stream(self.config.seed, step, index, "shard")
        shard, key, description = self.keys[int(rng.integers(len(self.keys)))]
        pattern, reverse = draw_dressing(self.config, description["kind"], step, index)
        return ShardDraft(shard, key, pattern, reverse)

    def render(self, drafts: Sequence[ShardDraft], device: torch.device | str = "cpu") -> list[TrainingGrid]:
        return [dressed(self._read(draft, device), draft.pattern, draft.reverse) for draft in drafts]

    def _read(self, draft: ShardDraft, device: torch.device | str) -> TrainingGrid:
        sample = read_sample(draft.shard, draft.key)
        worlds = self.config.worlds
        wanted = (worlds.views, worlds.times, *worlds.image_size)
        got = (sample.grid.num_views, sample.grid.num_times, *sample.grid.image_size)
        if got != wanted:
            raise InputError(
                f"{draft.shard} holds grids of (views, times, height, width) {got}; the recipe trains on {wanted}"
            )
        depth = None if sample.depth is None else sample.depth.to(device)
        return replace(sample, grid=sample.grid.to(device), depth=depth)


def read_sample(shard: Path, key: str) -> TrainingGrid:
    """One sample of a shard, views forwards and nothing given."""
    from PIL import Image
    from safetensors.torch import load

    contents: dict[str, bytes] = {}
    with tarfile.open(shard) as archive:
        for member in archive:
            if member.name.startswith(key + "."):
                stored = archive.extractfile(member)
                assert stored is not None
                contents[member.name.removeprefix(key + ".")] = stored.read()
    said = json.loads(contents["json"])
    seconds = torch.tensor(said["seconds"])
    strips = [contents[name] for name in sorted(contents) if name.endswith(".png")]
    views = [torch.from_numpy(np.array(Image.open(io.BytesIO(strip)))) for strip in strips]
    frames = rearrange(torch.stack(views), "v (t h) w c -> v t c h w", t=len(seconds)).float() / 255
    cameras = None
    if said["cameras"] is not None:
        poses, intrinsics = (torch.tensor(said["cameras"][name]) for name in ("world_to_cam", "intrinsics"))
        cameras = Cameras(poses, intrinsics, (frames.shape[-2], frames.shape[-1]))
    grid = VideoGrid.complete(frames.contiguous(), seconds, cameras)
    depth = load(contents["depth.safetensors"])["depth"].float() if "depth.safetensors" in contents else None
    nothing = known_pattern("none", grid.num_views, grid.num_times)
    return TrainingGrid(said["kind"], grid, nothing, said["caption"], said["source"], said["licence"], depth)


def _members(sample: TrainingGrid) -> dict[str, bytes]:
    from PIL import Image
    from safetensors.torch import save

    grid, cameras = sample.grid, sample.grid.cameras
    said = {
        "kind": sample.kind,
        "caption": sample.caption,
        "source": sample.source,
        "licence": sample.licence,
        "seconds": grid.seconds.tolist(),
        "cameras": None if cameras is None else _plain(cameras),
    }
    members = {"json": json.dumps(said).encode()}
    for view, frames in enumerate(grid.frames):
        buffer = io.BytesIO()
        Image.fromarray(rearrange(to_uint8(frames), "t h w c -> (t h) w c")).save(buffer, "PNG")
        members[f"v{view:02d}.png"] = buffer.getvalue()
    if sample.depth is not None:
        members["depth.safetensors"] = save({"depth": sample.depth.half().cpu().contiguous()})
    return members


def _plain(cameras: Cameras) -> dict[str, Any]:
    def values(tensor: Tensor) -> Any:
        return tensor.cpu().tolist()

    return {"world_to_cam": values(cameras.world_to_cam), "intrinsics": values(cameras.intrinsics)}
