"""Damaged and hostile files: every reader reads them or raises one InputError, and allocates nothing insane."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import struct
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from miniature_captures import CAMERAS, MINIATURES

from fourreal.core.configs import from_dict, read_json
from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians, GaussianSequence
from fourreal.core.grid import VideoGrid
from fourreal.core.media import read_clip, read_image, write_image, write_video
from fourreal.data.captures import READERS, Selection, read_benchmark
from fourreal.data.mixture import GridMixture, MixtureConfig
from fourreal.data.shards import ShardMixture, read_sample, write_shards
from fourreal.data.worlds import WorldConfig
from fourreal.files import GridRecord, load_grid, load_scene, read_ply, read_spz, save_grid, save_scene, write_ply
from fourreal.files.packed import write_spz
from fourreal.recon.config import tiny
from fourreal.recon.model import ReconModel
from fourreal.recon.weights import find_model, save_model
from fourreal.train.log import RunLog, read_log

MUTATIONS = 14
WORLDS = WorldConfig(views=2, frames=2, height=16, width=16, background="white")
PICTURES = {".png", ".jpg", ".mp4"}


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Content with a few bytes flipped, cut, repeated, or replaced by what breaks parsers."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        place, length = rng.randrange(len(changed) + 1), rng.choice([1, 4, 8, 40])
        action = rng.choice(["flip", "cut", "drop", "repeat", "insert"])
        if action == "flip" and place < len(changed):
            changed[place] ^= 1 << rng.randrange(8)
        elif action == "cut":
            del changed[place:]
        elif action == "drop":
            del changed[place : place + length]
        elif action == "repeat":
            changed[place:place] = changed[place : place + length]
        else:
            words = [b"\xff", b"\x00" * 8, b"nan", b"1e999", b"-1", b"null", b"[]", b"{}", b'"', b"../", b"\xff" * 8]
            changed[place : place + rng.choice([0, 4])] = rng.choice(words)
    return bytes(changed)


def gaussians() -> Gaussians:
    quats = torch.tensor([[1.0, 0, 0, 0]]).expand(6, 4)
    return Gaussians(torch.rand(6, 3), quats, torch.rand(6, 3) + 0.1, torch.rand(6), torch.rand(6, 4, 3))


def grid_folder(root: Path) -> Callable[[], Any]:
    grid = VideoGrid.complete(torch.rand(3, 2, 3, 16, 20), torch.tensor([0.0, 0.5]), CAMERAS)
    save_grid(root / "grid", grid, record=GridRecord(depth=torch.ones(3, 2, 16, 20)), storage="png")
    return lambda: load_grid(root / "grid")


def scene_folder(root: Path) -> Callable[[], Any]:
    save_scene(root / "scene", GaussianSequence((gaussians(),) * 2, torch.tensor([0.0, 1.0]), CAMERAS))
    return lambda: load_scene(root / "scene")


def ply(root: Path) -> Callable[[], Any]:
    write_ply(root / "a.ply", gaussians())
    return lambda: read_ply(root / "a.ply")


def spz(root: Path) -> Callable[[], Any]:
    write_spz(root / "a.spz", gaussians())
    return lambda: read_spz(root / "a.spz")


def shards(root: Path) -> Callable[[], Any]:
    write_shards(root, GridMixture(MixtureConfig(worlds=WORLDS)), 1)

    def read() -> None:
        for shard, key, _ in ShardMixture(root, MixtureConfig(worlds=WORLDS)).keys:
            read_sample(shard, key)

    return read


def image(root: Path) -> Callable[[], Any]:
    write_image(root / "a.png", torch.rand(3, 9, 7))
    return lambda: read_image(root / "a.png")


def clip(root: Path) -> Callable[[], Any]:
    write_video(root / "a.mp4", torch.rand(4, 3, 16, 16), 8)
    return lambda: read_clip(root / "a.mp4")


def training_log(root: Path) -> Callable[[], Any]:
    log = RunLog(root)
    for step in range(4):
        log.write(step, "base", {"loss": 0.5})
    return lambda: (read_log(root), RunLog(root, 3))


def model_folder(root: Path) -> Callable[[], Any]:
    with torch.random.fork_rng():
        save_model(root / "model", ReconModel(tiny()), 1)
    (root / "model" / "model.safetensors").unlink()

    def read() -> None:
        with pytest.raises(InputError):
            find_model(str(root / "model"))

    return read


def config(root: Path) -> Callable[[], Any]:
    (root / "c.json").write_text(json.dumps({"views": 2, "frames": 2, "background": "white", "arc_deg": [1.0, 2.0]}))
    return lambda: from_dict(WorldConfig, read_json(root / "c.json"))


def benchmark(name: str) -> Callable[[Path], Callable[[], Any]]:
    def prepare(root: Path) -> Callable[[], Any]:
        path = MINIATURES[name][0](root)
        return lambda: read_benchmark(name, path, Selection(size=(8, 8)))

    return prepare


FORMATS: dict[str, Callable[[Path], Callable[[], Any]]] = {
    function.__name__: function
    for function in (grid_folder, scene_folder, ply, spz, shards, image, clip, training_log, model_folder, config)
} | {name: benchmark(name) for name in READERS}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.filterwarnings("ignore")
def test_damage_is_read_or_refused_with_one_sentence(tmp_path: Path, name: str) -> None:
    read = FORMATS[name](tmp_path)
    if name != "model_folder":
        read()
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file() and path.name[0] != ".")
    described = [path for path in files if path.suffix not in PICTURES] or files
    rng, refused = random.Random(name), 0
    for _ in range(MUTATIONS):
        path = rng.choice(described)
        good = path.read_bytes()
        path.write_bytes(mutated(good, rng))
        try:
            read()
        except InputError as error:
            refused += 1
            assert str(error)
            assert "\n" not in str(error)
        finally:
            path.write_bytes(good)
    assert refused or name in ("training_log", "model_folder", "view-folders")


# ---- files that unpack to more than they are worth ---------------------------------------------


def png_bomb(path: Path) -> None:
    """12,000 x 12,000 white pixels in a few kB: 1.7 GB as float32, and less than Pillow itself refuses."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    side = 12_000
    row = b"\0" + b"\xff" * (side // 8)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row * 1000) for _ in range(side // 1000)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def spz_bomb(path: Path) -> None:
    """100 million Gaussians of zeros, 2 GB of payload, in about 2 MB (its first tenth is written)."""
    with gzip.open(path, "wb") as file:
        file.write(struct.pack("<4sIIBBBB", b"NGSP", 3, 100_000_000, 0, 12, 0, 0))
        for _ in range(200):
            file.write(bytes(1 << 20))


def spz_with_more_than_it_declares(path: Path) -> None:
    with gzip.open(path, "wb") as file:
        file.write(struct.pack("<4sIIBBBB", b"NGSP", 3, 1, 0, 12, 0, 0))
        for _ in range(200):
            file.write(bytes(1 << 20))


def ply_bomb(path: Path) -> None:
    names = [*"xyz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", *(f"scale_{i}" for i in range(3))]
    names += [f"rot_{i}" for i in range(4)]
    lines = ["ply", "format binary_little_endian 1.0", "element vertex 2000000000"]
    text = "\n".join([*lines, *(f"property float {name}" for name in names), "end_header", ""])
    path.write_bytes(text.encode() + bytes(56))


def tar_bomb(path: Path) -> None:
    """A sparse member: 6 GiB by its header, nothing in the file."""
    block = bytearray(tarfile.TarInfo("000000.json").tobuf(tarfile.GNU_FORMAT))
    block[156:157] = tarfile.GNUTYPE_SPARSE
    block[386:410] = b"00000000000\0" * 2  # where its one piece of data lies, and how long that is
    block[483:495] = b"60000000000\0"  # its length, octal
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    path.write_bytes(bytes(block) + bytes(1024))


def depth_bomb(folder: Path) -> None:
    grid_folder(folder)()
    stream = io.BytesIO()
    np.savez_compressed(stream, z=np.zeros((1, 1 << 12, 1 << 12), np.float32))
    (folder / "grid" / "depth" / "v000.npz").write_bytes(stream.getvalue())


BOMBS = {
    "a.png": (png_bomb, "fourreal.core.media:read_image", "million are read"),
    "a.spz": (spz_bomb, "fourreal.files.packed:read_spz", "more than .* bytes can hold"),
    "b.spz": (spz_with_more_than_it_declares, "fourreal.files.packed:read_spz", "more follows"),
    "a.ply": (ply_bomb, "fourreal.files.ply:read_ply", "declares more"),
    "shards/a.tar": (tar_bomb, "test_fuzz_readers:shard_keys", "not a plain file"),
    "depth": (depth_bomb, "test_fuzz_readers:grid_in", "declares"),
}
CHILD = """
import importlib, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
module, _, name = sys.argv[2].partition(":")
read = getattr(importlib.import_module(module), name)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try: read(Path(sys.argv[3]))
except ValueError as error: print(type(error).__name__, error)
print("grew", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def shard_keys(path: Path) -> Any:
    return ShardMixture(path.parent, MixtureConfig(worlds=WORLDS)).keys


def grid_in(path: Path) -> Any:
    return load_grid(path / "grid")


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, name: str) -> None:
    write, reader, says = BOMBS[name]
    path = tmp_path / name
    (path if name == "depth" else path.parent).mkdir(exist_ok=True)
    write(path)
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, here, reader, str(path)], capture_output=True, text=True, check=True
    )
    first, grew = done.stdout.strip().splitlines()
    assert first.startswith("InputError")
    assert re.search(says, first), first
    assert int(grew.split()[1]) < 400, "megabytes"
