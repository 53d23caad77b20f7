"""Scene folders keep every bit, and a damaged one is refused with one sentence."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fourreal.core.camera_paths import orbit
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians, GaussianSequence
from fourreal.core.grid import VideoGrid
from fourreal.files import scene_folder
from fourreal.files.grid_folder import StoredGrid, save_grid
from fourreal.files.open_any import folder_kind, open_any
from fourreal.files.scene_folder import SceneRecord, load_scene, load_scene_record, save_scene

FIELDS = ("means", "quats_wxyz", "scales", "opacities", "sh")


def random_gaussians(count: int, degree: int = 1) -> Gaussians:
    return Gaussians(
        torch.randn(count, 3),
        torch.nn.functional.normalize(torch.randn(count, 4), dim=-1),
        torch.rand(count, 3) * 0.1,
        torch.rand(count),
        torch.randn(count, (degree + 1) ** 2, 3) * 0.3,
    )


def example_scene(counts: tuple[int, ...] = (5, 0, 7), degree: int = 1) -> GaussianSequence:
    size = (20, 30)
    poses = orbit(torch.zeros(3), 3.0, torch.tensor([0.0, 45.0]), 20.0)
    cameras = Cameras(poses, intrinsics_from_fov(40.0, size).expand(2, 3, 3), size)
    seconds = torch.arange(len(counts)) / 3
    return GaussianSequence(tuple(random_gaussians(count, degree) for count in counts), seconds, cameras)


def assert_same(a: Gaussians, b: Gaussians) -> None:
    for name in FIELDS:
        assert torch.equal(getattr(a, name), getattr(b, name)), name


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_a_scene_comes_back_bit_for_bit(tmp_path: Path, degree: int) -> None:
    scene = example_scene(degree=degree)
    save_scene(tmp_path / "scene", scene, caption="two", source="us", licence="CC0")
    back = load_scene(tmp_path / "scene")
    for mine, theirs in zip(scene.steps, back.steps, strict=True):
        assert_same(mine, theirs)
    assert torch.equal(back.seconds, scene.seconds)
    assert torch.equal(back.cameras.world_to_cam, scene.cameras.world_to_cam)
    assert torch.equal(back.cameras.intrinsics, scene.cameras.intrinsics)
    assert back.cameras.image_size == scene.cameras.image_size
    assert load_scene_record(tmp_path / "scene") == SceneRecord("two", "us", "CC0")


def test_a_second_reader_needs_only_safetensors_and_json(tmp_path: Path) -> None:
    scene = example_scene()
    save_scene(tmp_path / "scene", scene)
    manifest = json.loads((tmp_path / "scene" / "scene.json").read_text())
    for entry, step in zip(manifest["steps"], scene.steps, strict=True):
        tensors = load_file(tmp_path / "scene" / entry["file_path"])
        assert set(tensors) == set(FIELDS)
        assert torch.equal(tensors["means"], step.means)
        assert entry["gaussians"] == len(step)
    assert manifest["cameras"][1]["world_to_cam"] == scene.cameras.world_to_cam[1].tolist()


def test_gradients_and_double_precision_do_not_stand_in_the_way(tmp_path: Path) -> None:
    scene = example_scene((4,))
    step = scene.steps[0]
    double = Gaussians(*(getattr(step, name).double().requires_grad_() for name in FIELDS))
    save_scene(tmp_path / "scene", GaussianSequence((double,), scene.seconds, scene.cameras))
    assert_same(load_scene(tmp_path / "scene").steps[0], step)


def test_a_scene_without_cameras(tmp_path: Path) -> None:
    scene = example_scene()
    save_scene(tmp_path / "scene", GaussianSequence(scene.steps, scene.seconds, scene.cameras[:0]))
    assert load_scene(tmp_path / "scene").cameras.batch_shape == (0,)


def test_some_steps_only(tmp_path: Path) -> None:
    scene = example_scene()
    save_scene(tmp_path / "scene", scene)
    (tmp_path / "scene" / "steps" / "t001.safetensors").unlink()
    back = load_scene(tmp_path / "scene", times=[0, 2])
    assert_same(back.steps[1], scene.steps[2])
    assert torch.equal(back.seconds, scene.seconds[[0, 2]])
    with pytest.raises(InputError, match="steps 0 to 2; step 3"):
        load_scene(tmp_path / "scene", times=[3])
    with pytest.raises(InputError, match="at least one time"):
        load_scene(tmp_path / "scene", times=[])
    with pytest.raises(InputError, match="strictly increasing"):
        load_scene(tmp_path / "scene", times=[2, 0])


# ---- bad input --------------------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    save_scene(tmp_path / "scene", example_scene())
    return tmp_path / "scene"


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("format",), "fourreal-grid", "format: expected one of 'fourreal-scene'"),
        (("format_version",), 1.0, r"reads format_version 1, the file has 1\.0"),
        (("w",), None, "w: expected a whole number"),
        (("cameras",), 3, "cameras: expected a list"),
        (("cameras", 0, "world_to_cam"), torch.zeros(4, 4).tolist(), "rotation"),
        (("cameras", 0, "world_to_cam"), [[1, 2]], "expected 4 rows of 4 numbers"),
        (("cameras", 0, "world_to_cam", 0, 0), None, r"world_to_cam\[0\]\[0\]: expected a finite number, got None"),
        (("cameras", 1, "intrinsics"), torch.eye(3).mul(3).tolist(), r"cameras\[1\].intrinsics: expected \[fx skew"),
        (("cameras", 1, "intrinsics", 0, 0), 0, "focal lengths must be positive"),
        (("steps",), [], "at least one time"),
        (("steps", 1, "seconds"), 0, "strictly increasing"),
        (("steps", 1, "seconds"), "1", "expected a finite number"),
        (("steps", 1, "gaussians"), 3, r"t001.safetensors: expected 3 Gaussians as scene\.json says, got 0"),
        (("steps", 1, "gaussians"), -1, "expected a whole number"),
        (("steps", 1, "file_path"), "../scene/steps/t001.safetensors", "inside"),
        (("steps", 1, "file_path"), "scene.json", "cannot be read .*safetensors"),
        (("license",), 4, "license: expected a text"),
    ],
)
def test_a_wrong_manifest_is_refused(broken: Path, path, value, says: str) -> None:
    manifest = holder = json.loads((broken / "scene.json").read_text())
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    (broken / "scene.json").write_text(json.dumps(manifest))
    read = load_scene_record if path == ("license",) else load_scene
    with pytest.raises(InputError, match=says):
        read(broken)


def test_a_missing_or_damaged_step_is_refused(broken: Path) -> None:
    step = broken / "steps" / "t002.safetensors"
    whole = step.read_bytes()
    for cut in (0, 6, 50, len(whole) - 1):
        step.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"t002\.safetensors cannot be read"):
            load_scene(broken)
    step.write_bytes(b"\xff" * len(whole))
    with pytest.raises(InputError, match=r"t002\.safetensors cannot be read"):
        load_scene(broken)
    step.unlink()
    with pytest.raises(InputError, match=r"the file 'steps/t002\.safetensors' is missing"):
        load_scene(broken)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"means": torch.zeros(7, 3, dtype=torch.float16)}, "expected a float32 tensor 'means', got torch.float16"),
        ({"means": torch.full((7, 3), float("nan"))}, "means hold NaN"),
        ({"scales": torch.full((7, 3), -1.0)}, "cannot be negative"),
        ({"opacities": torch.full((7,), 1.5)}, r"must lie in \[0, 1\]"),
        ({"quats_wxyz": torch.zeros(7, 4)}, "must be unit"),
        ({"sh": None}, "expected a float32 tensor 'sh', got none"),
    ],
)
def test_impossible_gaussians_are_refused(broken: Path, change, says: str) -> None:
    path = broken / "steps" / "t002.safetensors"
    tensors = {name: value for name, value in (load_file(path) | change).items() if value is not None}
    save_file(tensors, path)
    with pytest.raises(InputError, match=r"t002\.safetensors: .*" + says):
        load_scene(broken)


def test_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = example_scene()
    save_scene(tmp_path / "scene", scene)
    with pytest.raises(InputError, match="already exists"):
        save_scene(tmp_path / "scene", scene)
    write_step = scene_folder._write_step

    def second_fails(path: Path, step: Gaussians) -> None:
        if path.stem == "t001":
            raise OSError(errno.ENOSPC, "No space left on device")
        write_step(path, step)

    monkeypatch.setattr(scene_folder, "_write_step", second_fails)
    for target in (tmp_path / "scene", tmp_path / "new"):
        with pytest.raises(InputError, match="no space left on the disk"):
            save_scene(target, scene, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["scene"]
    assert len(load_scene(tmp_path / "scene").steps) == 3


def test_open_any_tells_a_grid_from_a_scene(tmp_path: Path) -> None:
    save_scene(tmp_path / "scene", example_scene())
    save_grid(tmp_path / "grid", VideoGrid.complete(torch.rand(1, 1, 3, 8, 8), torch.zeros(1)), storage="png")
    assert isinstance(open_any(tmp_path / "scene"), GaussianSequence)
    assert isinstance(open_any(tmp_path / "grid"), StoredGrid)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"neither .* a grid folder has a cameras\.json, a scene folder a scene\.json"):
        open_any(tmp_path / "empty")
    with pytest.raises(InputError, match="does not exist"):
        folder_kind(tmp_path / "nowhere")
    shutil.copy(tmp_path / "grid" / "cameras.json", tmp_path / "scene")
    with pytest.raises(InputError, match="both a grid and a scene"):
        folder_kind(tmp_path / "scene")
