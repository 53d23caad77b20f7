"""Whatever stands in cameras.json, scene.json, transforms.json or a config: it loads, or an InputError says why not."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fourreal.core.camera_paths import orbit
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.configs import from_dict, load_config
from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians, GaussianSequence
from fourreal.core.grid import VideoGrid
from fourreal.data.captures.colmap import read_colmap_model
from fourreal.files.colmap import write_colmap
from fourreal.files.grid_folder import GridRecord, StoredGrid, load_grid, save_grid
from fourreal.files.scene_folder import load_scene, save_scene

fuzz = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 70_000),
    st.sampled_from([10**40, -(10**400), 1e308, -1e39, 1e-320, 0.1, 2**63]),
    st.floats(allow_nan=False),  # infinity is written as Infinity, which is no JSON
    st.text(max_size=8),
    st.sampled_from(
        ["", ".", "..", "/", "rgb/v000/t000.png", "rgb", "\0", "\ud800", "a" * 300, "view", "cell", "video"]
    ),
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=6), inner, max_size=5),
    max_leaves=12,
)


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """Paths of all values inside a JSON value."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += places(inner, (*path, index))
    return found


@st.composite
def mutations(draw: st.DrawFn, manifest: dict) -> dict:
    """The manifest with up to three values replaced, removed, doubled or swapped with another."""
    changed = copy.deepcopy(manifest)
    for _ in range(draw(st.integers(1, 3))):
        # Few paths lead to the keys at the top and many to matrix entries: choose the depth first.
        everywhere = places(changed)
        depth = draw(st.sampled_from(sorted({len(path) for path in everywhere})))
        path = draw(st.sampled_from([path for path in everywhere if len(path) == depth]))
        holder = changed
        for key in path[:-1]:
            holder = holder[key]
        action = draw(st.sampled_from(["replace", "replace", "remove", "double", "copy"]))
        if action == "replace":
            holder[path[-1]] = draw(json_values)
        elif action == "remove":
            del holder[path[-1]]
        elif action == "double" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[path[-1]]))
        elif action == "copy":
            source = changed
            for key in draw(st.sampled_from(everywhere)):
                inside = isinstance(source, dict) and key in source
                inside = inside or (isinstance(source, list) and isinstance(key, int) and key < len(source))
                source = source[key] if inside else source
            holder[path[-1]] = copy.deepcopy(source)
    return changed


def rig(count: int) -> Cameras:
    size = (6, 8)
    poses = orbit(torch.zeros(3), 3.0, torch.linspace(0, 40, count), 10.0)
    return Cameras(poses, intrinsics_from_fov(50.0, size).expand(count, 3, 3), size)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid folder, a scene folder and a COLMAP model, all good."""
    folder = tmp_path_factory.mktemp("fuzz")
    grid = VideoGrid.complete(torch.rand(2, 2, 3, 6, 8), torch.tensor([0.0, 0.5]), rig(2)).with_known("row")
    save_grid(folder / "grid", grid, storage="png", record=GridRecord(depth=torch.ones(2, 2, 6, 8), caption="a"))
    quats = torch.tensor([[1.0, 0, 0, 0]]).expand(2, 4)
    step = Gaussians(torch.zeros(2, 3), quats, torch.ones(2, 3), torch.ones(2), torch.zeros(2, 1, 3))
    save_scene(folder / "scene", GaussianSequence((step, step), torch.tensor([0.0, 1.0]), rig(2)))
    write_colmap(folder / "colmap", rig(2), ["a", "b"])
    return folder


def loads_or_says_why(load, path: Path, kind: type) -> bool:
    try:
        loaded = load(path)
    except InputError as error:
        assert str(error)
        assert "\n" not in str(error)
        return False
    assert isinstance(loaded, kind)
    return True


READERS = [
    ("grid/cameras.json", lambda path: load_grid(path.parent), StoredGrid),
    ("scene/scene.json", lambda path: load_scene(path.parent), GaussianSequence),
]


@pytest.mark.parametrize(("name", "load", "kind"), READERS, ids=["grid", "scene"])
def test_any_mutation_of_a_good_file(folders: Path, name: str, load, kind: type) -> None:
    path = folders / name
    text = path.read_text()
    good = json.loads(text)
    refused = []

    @fuzz
    @given(mutations(good))
    def check(manifest: dict) -> None:
        path.write_text(json.dumps(manifest))
        refused.append(not loads_or_says_why(load, path, kind))

    try:
        assert loads_or_says_why(load, path, kind)
        path.write_text(json.dumps(good | {"a_key_of_another_program": [1]}))
        assert loads_or_says_why(load, path, kind), "what other programs add does no harm"
        check()
    finally:
        path.write_text(text)
    assert any(refused), "no mutation was noticed"


@pytest.mark.parametrize(("name", "load", "kind"), READERS, ids=["grid", "scene"])
def test_any_json_and_any_bytes(folders: Path, name: str, load, kind: type) -> None:
    path = folders / name
    text = path.read_bytes()

    @fuzz
    @given(st.one_of(json_values.map(lambda value: json.dumps(value).encode()), st.binary(max_size=60)))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        assert not loads_or_says_why(load, path, kind)

    try:
        check()
        for deep in (b"[" * 200_000, b'{"a":' * 5000 + b"1" + b"}" * 5000):
            path.write_bytes(deep)
            assert not loads_or_says_why(load, path, kind)
    finally:
        path.write_bytes(text)


@pytest.mark.parametrize("name", ["cameras.txt", "images.txt"])
def test_any_mutation_of_colmap_text(folders: Path, name: str) -> None:
    path = folders / "colmap" / name
    text = path.read_text()
    words = text.split(" ")
    word = st.sampled_from(
        ["", "1", "-1", "nan", "inf", "1e999", "x", "#", "\n", "PINHOLE", "SIMPLE_PINHOLE", "0x1", "1_0"]
    )

    @fuzz
    @given(st.lists(st.tuples(st.integers(0, len(words) - 1), word), min_size=1, max_size=3))
    def check(changes: list[tuple[int, str]]) -> None:
        changed = list(words)
        for index, new in changes:
            changed[index] = new
        path.write_text(" ".join(changed))
        loads_or_says_why(read_colmap_model, path.parent, tuple)

    try:
        check()
    finally:
        path.write_text(text)


# ---- configs ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Inner:
    mode: Literal["slow", "fast"] = "slow"
    rates: tuple[float, ...] = (0.5,)


@dataclass(frozen=True)
class Example:
    count: int
    name: str = "x"
    size: tuple[int, int] = (4, 6)
    inner: Inner = field(default_factory=Inner)
    limit: float | None = None
    table: dict[str, float] = field(default_factory=dict)
    folder: Path = Path()


GOOD_CONFIG = {
    "count": 3,
    "name": "y",
    "size": [1, 2],
    "inner": {"mode": "fast", "rates": [1, 2.5]},
    "limit": 0.5,
    "table": {"a": 1.0},
    "folder": "here",
}


@fuzz
@given(st.one_of(json_values, mutations(GOOD_CONFIG)))
def test_any_config(values: Any) -> None:
    loads_or_says_why(lambda _: from_dict(Example, values), Path(), Example)


def test_keys_that_would_break_the_message() -> None:
    for values in ({"count": 1, "a\nb" * 30: 2}, {"count": 1, "table": {"\n": "x"}}):
        assert not loads_or_says_why(lambda _, values=values: from_dict(Example, values), Path(), Example)


def test_a_config_nested_beyond_reason(tmp_path: Path) -> None:
    """Up to the depth the JSON reader lets through: describing the value in the message must not fail either."""
    path = tmp_path / "config.json"
    for depth in (100, 500, *range(850, 1000, 4), 5000):
        path.write_text('{"count": ' + "[" * depth + "]" * depth + "}")
        assert not loads_or_says_why(lambda path: load_config(path, Example), path, Example)
