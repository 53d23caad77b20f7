"""Broken benchmark folders are refused with one sentence that names the file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fourreal.core.errors import InputError
from fourreal.core.media import write_image
from fourreal.data.captures.capture import Selection
from fourreal.data.captures.colmap import read_colmap, read_colmap_model
from fourreal.data.captures.llff import read_llff, read_poses_bounds
from fourreal.data.captures.qualisys import read_pose2sim, read_qualisys
from fourreal.data.captures.realestate10k import read_pose_lines, read_realestate10k
from fourreal.data.captures.transforms_json import read_transforms
from fourreal.data.captures.view_folders import read_view_folders

POSE = [[0.0, 1.0, 0.0, 0.0, 12.0], [1.0, 0.0, 0.0, 0.0, 16.0], [0.0, 0.0, -1.0, 0.0, 20.0]]


def write_pictures(folder: Path, count: int, size: tuple[int, int] = (12, 16)) -> None:
    for index in range(count):
        write_image(folder / f"{index}.png", torch.rand(3, *size))


def write_poses(folder: Path, count: int) -> None:
    np.save(folder / "poses_bounds.npy", np.tile(np.concatenate([np.ravel(POSE), [1.0, 5.0]]), (count, 1)))


def test_poses_bounds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"poses_bounds.npy cannot be read"):
        read_poses_bounds(tmp_path / "poses_bounds.npy")
    (tmp_path / "poses_bounds.npy").write_bytes(b"\x93NUMPY broken")
    with pytest.raises(InputError, match="NumPy array"):
        read_poses_bounds(tmp_path / "poses_bounds.npy")
    for wrong in (np.zeros((4, 16)), np.full((2, 17), np.nan)):
        np.save(tmp_path / "poses_bounds.npy", wrong)
        with pytest.raises(InputError, match=r"\[N, 17\]"):
            read_poses_bounds(tmp_path / "poses_bounds.npy")


def test_counts_and_proportions_must_match(tmp_path: Path) -> None:
    write_pictures(tmp_path / "images", 3)
    write_poses(tmp_path, 2)
    with pytest.raises(InputError, match="3 images but the calibration has 2"):
        read_llff(tmp_path)
    write_poses(tmp_path, 3)
    assert read_llff(tmp_path).grid.num_views == 3
    write_pictures(tmp_path / "images", 3, size=(12, 24))
    with pytest.raises(InputError, match="cropped after calibration"):
        read_llff(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        read_llff(tmp_path / "absent")


def test_selections_must_be_there(tmp_path: Path) -> None:
    for view in range(2):
        write_pictures(tmp_path / f"v{view}", 4)
    chosen = read_view_folders(tmp_path, Selection(views=(1,), times=(0, 3)))
    assert chosen.grid.frames.shape[:2] == (1, 2)
    for selection, says in (
        (Selection(views=(2,)), "has 2 views; there is no view 2"),
        (Selection(times=(0, 4)), "has 4 times; there is no time 4"),
        (Selection(times=(3, 1)), "must increase"),
        (Selection(views=()), "at least one view"),
    ):
        with pytest.raises(InputError, match=says):
            read_view_folders(tmp_path, selection)
    write_pictures(tmp_path / "v1", 4, size=(10, 16))
    with pytest.raises(InputError, match="give a size"):
        read_view_folders(tmp_path)
    assert read_view_folders(tmp_path, Selection(size=(8, 8))).grid.image_size == (8, 8)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no folder with images"):
        read_view_folders(tmp_path / "empty")


def test_transforms(tmp_path: Path) -> None:
    path = tmp_path / "transforms.json"
    with pytest.raises(InputError, match=r"transforms.json cannot be read"):
        read_transforms(tmp_path)
    write_pictures(tmp_path / "images", 1)
    good = {"file_path": "images/0.png", "transform_matrix": np.eye(4).tolist(), "fl_x": 20, "w": 16, "h": 12}
    for change, says in (
        ({"file_path": None}, "file_path"),
        ({"file_path": "images/7.png"}, "does not exist"),
        ({"fl_x": "wide"}, "expected a finite number"),
        ({"transform_matrix": [[1, 2], [3, 4]]}, "4 rows of 4 numbers"),
        ({"transform_matrix": np.full((4, 4), np.inf).tolist()}, "not valid JSON"),
    ):
        path.write_text(json.dumps({"frames": [good | change]}))
        with pytest.raises(InputError, match=says):
            read_transforms(tmp_path)
    without_focal = {key: value for key, value in good.items() if key != "fl_x"}
    path.write_text(json.dumps({"frames": [without_focal]}))
    with pytest.raises(InputError, match="camera_angle_x"):
        read_transforms(tmp_path)
    path.write_text(json.dumps({"frames": [good]}))
    assert read_transforms(tmp_path).grid.num_views == 1


@pytest.mark.parametrize("kept", [0, 4, 20, 40])
def test_truncated_colmap_binaries(tmp_path: Path, kept: int) -> None:
    import struct

    cameras = struct.pack("<QiiQQ4d", 1, 1, 1, 16, 12, 20.0, 20.0, 8.0, 6.0)
    images = struct.pack("<Qi7di", 1, 1, 1, 0, 0, 0, 0, 0, 0, 1) + b"a.png\0" + struct.pack("<Q", 0)
    (tmp_path / "images.bin").write_bytes(images)
    (tmp_path / "cameras.bin").write_bytes(cameras)
    assert [name for name, _ in read_colmap_model(tmp_path)[0]] == ["a.png"]
    (tmp_path / "cameras.bin").write_bytes(cameras[:kept])
    with pytest.raises(InputError, match="damaged or truncated"):
        read_colmap_model(tmp_path)
    (tmp_path / "cameras.bin").write_bytes(cameras)
    (tmp_path / "images.bin").write_bytes(images[: kept + 30])
    with pytest.raises(InputError, match="truncated"):
        read_colmap_model(tmp_path)


def test_colmap_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cameras.txt does not exist"):
        read_colmap_model(tmp_path)
    (tmp_path / "images.txt").write_text("1 1 0 0 0 0 0 0 1 a.png\n\n")
    for line, says in (
        ("1 THIN_PRISM_FISHEYE 16 12 1 2 3", "not supported"),
        ("1 PINHOLE 16 12 20 20 8", "has 4 parameters; got 3"),
        ("1 PINHOLE 16 twelve 20 20 8 6", "damaged"),
        ("2 PINHOLE 16 12 20 20 8 6", "damaged"),
        ("1 PINHOLE 16 1000000000 20 20 8 6", "sides from 1 to"),
        ("1 PINHOLE 16 12 nan 20 8 6", "NaN or infinity"),
    ):
        (tmp_path / "cameras.txt").write_text(line + "\n")
        with pytest.raises(InputError, match=says):
            read_colmap_model(tmp_path)
    (tmp_path / "cameras.txt").write_text("1 PINHOLE 16 12 20 20 8 6\n")
    (tmp_path / "images.txt").write_text("1 0 0 0 0 0 0 0 1 a.png\n\n")
    with pytest.raises(InputError, match="quaternion is not unit"):
        read_colmap_model(tmp_path)


@pytest.mark.parametrize("name", ["../secret.png", "/secret.png", "link.png"])
def test_pictures_outside_the_scene_are_not_read(tmp_path: Path, name: str) -> None:
    write_pictures(tmp_path, 1)
    (tmp_path / "0.png").rename(tmp_path / "secret.png")
    scene = tmp_path / "scene"
    (scene / "images").mkdir(parents=True)
    for folder in (scene, scene / "images"):
        (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (scene / "sparse" / "0").mkdir(parents=True)
    (scene / "sparse" / "0" / "cameras.txt").write_text("1 PINHOLE 16 12 20 20 8 6\n")
    (scene / "sparse" / "0" / "images.txt").write_text(f"1 1 0 0 0 0 0 0 1 {name}\n\n")
    frame = {"file_path": name, "transform_matrix": np.eye(4).tolist(), "fl_x": 20, "w": 16, "h": 12}
    (scene / "transforms.json").write_text(json.dumps({"frames": [frame]}))
    for read in (read_colmap, read_transforms):
        with pytest.raises(InputError, match=r"outside|expected a file inside"):
            read(scene)
        if name == "link.png":
            assert read(scene, follow_links=True).grid.num_views == 1
        else:
            with pytest.raises(InputError, match="expected a file inside"):
                read(scene, follow_links=True)


def test_realestate_text(tmp_path: Path) -> None:
    path = tmp_path / "clip.txt"
    path.write_text("https://example.org\n")
    with pytest.raises(InputError, match="19 columns"):
        read_pose_lines(path)
    pose = "0.9 0.9 0.5 0.5 0 0 1 0 0 0 0 1 0 0 0 0 1 0"
    path.write_text(f"https://example.org\n100 {pose}\n200 {pose} 7\n")
    with pytest.raises(InputError, match="20 columns"):
        read_pose_lines(path)
    path.write_text(f"# three\n# header\n# lines\n100 {pose}\n")
    (tmp_path / "frames").mkdir()
    with pytest.raises(InputError, match="none of the 1 frames"):
        read_realestate10k(path, frames=tmp_path / "frames")
    write_image(tmp_path / "frames" / "300.png", torch.rand(3, 8, 8))
    with pytest.raises(InputError, match="frame 300 has no line"):
        read_realestate10k(path, frames=tmp_path / "frames")


def test_qualisys(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which is XML"):
        read_qualisys(tmp_path / "absent.qca.txt")
    (tmp_path / "a.qca.txt").write_text("<calibration/>")
    with pytest.raises(InputError, match="lists no cameras"):
        read_qualisys(tmp_path / "a.qca.txt")
    (tmp_path / "a.qca.txt").write_text(
        '<c><cameras><camera serial="left"><fov_video left="x"/></camera></cameras></c>'
    )
    with pytest.raises(InputError, match=r"camera left: <fov_video left> cannot be read .*expected a number"):
        read_qualisys(tmp_path / "a.qca.txt")
    with pytest.raises(InputError, match=r"holds 0 .qca.txt files"):
        read_pose2sim(tmp_path)
