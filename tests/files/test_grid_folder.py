"""Grid folders: what is written comes back, and a damaged folder is refused with one sentence."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from fourreal.core.camera_paths import orbit
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.media import read_image, write_video
from fourreal.files import grid_folder
from fourreal.files.grid_folder import GridRecord, load_grid, save_grid

VIEWS, TIMES, SIZE = 3, 4, (16, 24)


def rig(views: int = VIEWS, size: tuple[int, int] = SIZE) -> Cameras:
    poses = orbit(torch.tensor([0.3, -0.2, 0.5]), 4.0, torch.linspace(10, 80, views), 15.0)
    return Cameras(poses, intrinsics_from_fov(50.0, size).expand(views, 3, 3), size)


def moving_rig() -> Cameras:
    poses = orbit(torch.zeros(3), 3.0, torch.linspace(0, 90, VIEWS * TIMES), 20.0).reshape(VIEWS, TIMES, 4, 4)
    intrinsics = torch.stack([intrinsics_from_fov(float(40 + i), SIZE) for i in range(VIEWS * TIMES)])
    return Cameras(poses, intrinsics.reshape(VIEWS, TIMES, 3, 3), SIZE)


def smooth_frames(views: int = VIEWS, times: int = TIMES, size: tuple[int, int] = SIZE) -> torch.Tensor:
    """Soft colour gradients that H.264 keeps well, rounded to what 8 bits can say."""
    coarse = torch.rand(views * times, 3, 3, 3)
    frames = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear", align_corners=True)
    return (frames.reshape(views, times, 3, *size) * 255).round() / 255


def example_grid(known: str = "all", cameras: Cameras | None = None) -> VideoGrid:
    seconds = torch.tensor([0.0, 0.1, 0.25, 0.7])  # columns need not be evenly spaced
    return VideoGrid.complete(smooth_frames(), seconds, cameras).with_known(known)  # type: ignore[arg-type]


def edit(folder: Path, change) -> None:
    manifest = json.loads((folder / "cameras.json").read_text())
    change(manifest)
    (folder / "cameras.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("known", ["none", "row", "column", "cross", "all"])
@pytest.mark.parametrize("storage", ["video", "png"])
def test_every_kind_of_grid_comes_back(tmp_path: Path, known: str, storage) -> None:
    grid = example_grid(known, rig())
    save_grid(tmp_path / "grid", grid, storage=storage)
    back = load_grid(tmp_path / "grid").grid
    assert torch.equal(back.known, grid.known)
    assert torch.equal(back.seconds, grid.seconds)
    assert not back.frames[~back.known].any()
    if storage == "png":
        assert torch.equal(back.frames, grid.frames)
    elif known == "all":
        mean_square = (back.frames - grid.frames).square().mean()
        assert -10 * torch.log10(mean_square) > 35  # dB; 4:2:0 video would stay near 30
    assert back.cameras is not None
    torch.testing.assert_close(back.cameras.world_to_cam, rig().world_to_cam, atol=1e-7, rtol=0)
    torch.testing.assert_close(back.cameras.intrinsics, rig().intrinsics, atol=0, rtol=0)


def test_cameras_of_every_kind_come_back(tmp_path: Path) -> None:
    for name, cameras in (("none", None), ("view", rig()), ("cell", moving_rig())):
        save_grid(tmp_path / name, example_grid("cross", cameras))
        back = load_grid(tmp_path / name).grid.cameras
        if cameras is None:
            assert back is None
            continue
        assert back is not None
        assert back.batch_shape == cameras.batch_shape
        torch.testing.assert_close(back.world_to_cam, cameras.world_to_cam, atol=1e-6, rtol=0)
        assert torch.equal(back.intrinsics, cameras.intrinsics)


def test_the_record_comes_back(tmp_path: Path) -> None:
    depth = torch.rand(VIEWS, TIMES, *SIZE) * 20
    depth[0, 0, 0, 0], depth[0, 0, 0, 1] = float("inf"), 0.0
    record = GridRecord(depth=depth, caption="a fox läuft 🦊", source="us", licence="CC0", metres_per_unit=0.5)
    save_grid(tmp_path / "grid", example_grid(), record=record)
    back = load_grid(tmp_path / "grid").record
    assert back.depth is not None
    torch.testing.assert_close(back.depth, depth, rtol=2**-11, atol=1e-7)
    assert (back.caption, back.source, back.licence, back.metres_per_unit) == (
        record.caption, "us", "CC0", 0.5,
    )  # fmt: skip
    with pytest.raises(InputError, match="depth must have shape"):
        save_grid(tmp_path / "other", example_grid(), record=GridRecord(depth=depth[:1]))
    with pytest.raises(InputError, match="negative or NaN"):
        GridRecord(depth=-depth)


def test_the_json_is_what_nerfstudio_reads(tmp_path: Path) -> None:
    """A second reader, written from nerfstudio's documentation alone."""
    grid = example_grid("all", rig())
    save_grid(tmp_path / "grid", grid, storage="png")
    meta = json.loads((tmp_path / "grid" / "cameras.json").read_text())
    points = torch.rand(20, 3, dtype=torch.float64) - 0.5
    for frame in meta["frames"]:
        view, time = frame["view_index"], frame["time_index"]
        assert torch.equal(read_image(tmp_path / "grid" / frame["file_path"]), grid.frames[view, time])
        cam_to_world = np.array(frame["transform_matrix"])
        local = (points.numpy() - cam_to_world[:3, 3]) @ cam_to_world[:3, :3]  # +y up, looking along -z
        x = meta["cx"] + meta["fl_x"] * local[:, 0] / -local[:, 2]
        y = meta["cy"] - meta["fl_y"] * local[:, 1] / -local[:, 2]
        pixels, depth = rig()[view].project(points.float())
        np.testing.assert_allclose(np.stack([x, y], -1), pixels.numpy(), atol=1e-3)
        np.testing.assert_allclose(-local[:, 2], depth.numpy(), atol=1e-5)
    assert (meta["w"], meta["h"]) == (SIZE[1], SIZE[0])


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 31)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    grid = VideoGrid.complete(torch.full((1, 2, 3, *size), 0.5), torch.tensor([0.0, 1e-5]))
    for storage in ("video", "png"):
        save_grid(tmp_path / storage, grid, storage=storage)
        torch.testing.assert_close(load_grid(tmp_path / storage).grid.frames, grid.frames, atol=0.02, rtol=0)


# ---- bad input --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files") / "grid"
    depth = torch.ones(VIEWS, TIMES, *SIZE)
    save_grid(folder, example_grid("all", rig()), record=GridRecord(depth=depth))
    return folder


@pytest.fixture
def broken(good: Path, tmp_path: Path) -> Path:
    """A copy of a good grid folder, to be damaged."""
    return Path(shutil.copytree(good, tmp_path / "grid"))


def set_at(*path, value):
    def change(manifest) -> None:
        for key in path[:-1]:
            manifest = manifest[key]
        manifest[path[-1]] = value

    return change


MIRRORED = [[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
SCALED = [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (set_at("format", value="nerf"), "format: expected one of 'fourreal-grid'"),
        (set_at("format_version", value=2), "reads format_version 1, the file has 2"),
        (lambda m: m.pop("frames"), "'frames' is missing"),
        (lambda m: m.pop("w"), "'w' is missing"),
        (lambda m: m.pop("fl_x"), "'fl_x' is missing"),
        (set_at("h", value=0), "h: expected a whole number from 1"),
        (set_at("h", value=18), "frames of"),
        (set_at("views", value=4), "4 views x 4 times = 16 cells"),
        (set_at("frames", value={}), "frames: expected a list"),
        (set_at("frames", 3, value=7), r"frames\[3\]: expected an object"),
        (set_at("frames", 3, "view_index", value=3), r"frames\[3\].view_index: expected a whole number from 0 to 2"),
        (set_at("frames", 3, "view_index", value=True), "expected a whole number"),
        (set_at("frames", 3, "time_index", value=0), "listed twice"),
        (set_at("frames", 5, "seconds", value=9.0), "share the time of a column"),
        (set_at("frames", 5, "seconds", value="now"), 'expected a finite number, got str "now"'),
        (set_at("frames", 1, "transform_matrix", value=MIRRORED), "mirrored"),
        (set_at("frames", 1, "transform_matrix", value=SCALED), "rotation"),
        (set_at("frames", 1, "transform_matrix", value=[[1]]), "expected 4 rows of 4"),
        (set_at("frames", 1, "transform_matrix", 3, 0, value=1), "last row"),
        (set_at("frames", 1, "transform_matrix", 0, 3, value=3.0), "cameras_per is 'view', but the poses of view 0"),
        (set_at("frames", 1, "fl_x", value=3.0), "cameras_per is 'view', but the intrinsics"),
        (set_at("fl_x", value=-3.0), "focal lengths must be positive"),
        (set_at("fl_x", value=10**400), "expected a finite number"),
        (set_at("k1", value=0.1), "distortion"),
        (set_at("frames", 0, "file_path", value="../x.mp4"), "inside"),
        (set_at("frames", 0, "file_path", value="/etc/hostname"), "inside"),
        (set_at("frames", 0, "file_path", value="C:\\x.mp4"), "inside"),
        (set_at("frames", 0, "file_path", value=""), "inside"),
        (set_at("frames", 0, "file_path", value="rgb"), "missing"),
        (set_at("frames", 0, "file_path", value="x" * 5000), "missing"),
        (set_at("frames", 0, "file_path", value="\ud800\0"), "missing"),
        (set_at("frames", 0, "file_path", value="cameras.json"), "video"),
        (set_at("depth", value=[]), "expected 3 files, one per view"),
        (set_at("depth", 0, "file_path", value="rgb/v000.mp4"), "v000.mp4 cannot be read .*expected depth"),
        (set_at("caption", value=3), "caption: expected a text"),
        (set_at("metres_per_unit", value=-1), "metres_per_unit must be positive"),
    ],
)
def test_a_wrong_manifest_is_refused(broken: Path, change, says: str) -> None:
    edit(broken, change)
    with pytest.raises(InputError, match=says):
        load_grid(broken)


def test_seconds_must_increase(broken: Path) -> None:
    def change(manifest) -> None:
        for frame in manifest["frames"]:
            frame["seconds"] = 1.0

    edit(broken, change)
    with pytest.raises(InputError, match=r"cameras.json: seconds must be finite and strictly increasing"):
        load_grid(broken)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": NaN}', '{"format": "fourreal-grid"}', "[" * 100_000]
)
def test_a_manifest_that_is_no_manifest_is_refused(broken: Path, text: str) -> None:
    (broken / "cameras.json").write_text(text)
    with pytest.raises(InputError, match=r"cameras\.json"):
        load_grid(broken)


def test_missing_folders_and_files_are_refused(broken: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name, says in (("nowhere", "does not exist"), ("empty", r"holds no cameras\.json"), ("file", "it is a file")):
        with pytest.raises(InputError, match=says):
            load_grid(tmp_path / name)
    (broken / "rgb" / "v001.mp4").unlink()
    with pytest.raises(InputError, match=r"the file 'rgb/v001\.mp4' is missing"):
        load_grid(broken)


def test_damaged_videos_are_refused(broken: Path) -> None:
    video = broken / "rgb" / "v001.mp4"
    whole = video.read_bytes()
    for cut in (0, 100, len(whole) // 2, len(whole) - 10):
        video.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"v001\.mp4"):
            load_grid(broken)
    write_video(video, torch.rand(TIMES + 1, 3, *SIZE), 24)
    with pytest.raises(InputError, match=r"v001\.mp4: expected 4 frames, one per time, got 5"):
        load_grid(broken)
    write_video(video, torch.rand(TIMES, 3, 32, 32), 24)
    with pytest.raises(InputError, match=r"v001\.mp4: expected frames of \(height, width\) \(16, 24\)"):
        load_grid(broken)


def test_damaged_depth_is_refused(broken: Path) -> None:
    depth = broken / "depth" / "v002.npz"
    whole = depth.read_bytes()
    for cut in (0, 40, len(whole) // 2, len(whole) - 10):
        depth.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"v002\.npz"):
            load_grid(broken)
    for values in (np.zeros((1, 2, 3), np.float16), np.zeros((TIMES, *SIZE), np.int64)):
        np.savez(depth, z=values)
        with pytest.raises(InputError, match=r"expected floating point depth|expected an array"):
            load_grid(broken)
    np.savez(depth, z=np.full((TIMES, *SIZE), np.nan, np.float16))
    with pytest.raises(InputError, match="NaN"):
        load_grid(broken)


def test_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "grid"
    save_grid(target, example_grid("row"))
    with pytest.raises(InputError, match="already exists and is not empty"):
        save_grid(target, example_grid("all"))
    save_grid(target, example_grid("all"), overwrite=True)
    assert load_grid(target).grid.known.all()

    def full_disk(*_) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(grid_folder, "write_depth", full_disk)
    record = GridRecord(depth=torch.ones(VIEWS, TIMES, *SIZE))
    for overwrite in (target, tmp_path / "new"):
        with pytest.raises(InputError, match="no space left on the disk"):
            save_grid(overwrite, example_grid("row"), record=record, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["grid"]
    assert load_grid(target).grid.known.all()


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for target in (tmp_path / "file", tmp_path / "file" / "grid"):
        with pytest.raises(InputError, match="file"):
            save_grid(target, example_grid("row"))


def test_frames_beyond_memory_are_refused(tmp_path: Path) -> None:
    save_grid(tmp_path / "grid", example_grid("none"))
    edit(tmp_path / "grid", lambda m: m.update(w=32768, h=32768))
    with pytest.raises(InputError, match="GiB"):
        load_grid(tmp_path / "grid")
