"""Cameras for nerfstudio and COLMAP, read back by our readers and by parsers written from the documentation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from fourreal.core.camera_paths import orbit
from fourreal.core.cameras import Cameras, intrinsics_from_fov, stack
from fourreal.core.configs import read_json
from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians, GaussianSequence
from fourreal.core.grid import VideoGrid
from fourreal.core.media import read_image
from fourreal.data.captures.colmap import read_colmap_model
from fourreal.files.camera_entries import from_entries
from fourreal.files.colmap import write_colmap
from fourreal.files.export_cameras import export_cameras
from fourreal.files.grid_folder import save_grid
from fourreal.files.manifest import Fields
from fourreal.files.nerfstudio import write_nerfstudio

SIZE = (12, 18)


def rig(count: int = 3, *, zoom: bool = False) -> Cameras:
    poses = orbit(torch.tensor([1.0, 0.2, 0.3]), 3.0, torch.linspace(0, 330, count), 25.0)
    intrinsics = torch.stack([intrinsics_from_fov(50.0 + 5 * i * zoom, SIZE) for i in range(count)])
    return Cameras(poses, intrinsics, SIZE)


def grid(known: str = "all", cameras: Cameras | None = None) -> VideoGrid:
    frames = (torch.rand(3, 2, 3, *SIZE) * 255).round() / 255
    return VideoGrid.complete(frames, torch.arange(2.0), rig() if cameras is None else cameras).with_known(known)  # type: ignore[arg-type]


def assert_same_cameras(came: Cameras, expected: Cameras) -> None:
    torch.testing.assert_close(came.world_to_cam, expected.world_to_cam, atol=2e-6, rtol=0)
    torch.testing.assert_close(came.intrinsics, expected.intrinsics, atol=0, rtol=1e-7)
    assert came.image_size == expected.image_size


def colmap_by_hand(model: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """name -> (world-to-camera 3x4, [fx, fy, cx, cy]), from COLMAP's description of its text files."""
    lines = [line for line in (model / "cameras.txt").read_text().splitlines() if not line.startswith("#")]
    lenses = {line.split()[0]: line.split() for line in lines}
    rows = [line for line in (model / "images.txt").read_text().splitlines() if not line.startswith("#")]
    images = {}
    for row in rows[0::2]:
        _, qw, qx, qy, qz, tx, ty, tz, camera, name = row.split()
        assert lenses[camera][1:4] == ["PINHOLE", str(SIZE[1]), str(SIZE[0])]
        rotation = Rotation.from_quat([float(qx), float(qy), float(qz), float(qw)]).as_matrix()
        pose = np.concatenate([rotation, np.array([[float(tx)], [float(ty)], [float(tz)]])], 1)
        images[name] = pose, np.array(lenses[camera][4:], float)
    assert all(not row for row in rows[1::2])
    return images


def nerfstudio(path: Path) -> tuple[Cameras, list[str]]:
    shared = Fields.of(read_json(path), str(path))
    frames = shared.objects("frames")
    return from_entries(shared, frames), [frame.text("file_path") for frame in frames]


def colmap(model: Path) -> tuple[Cameras, list[str]]:
    images, _ = read_colmap_model(model)
    return stack([view.camera() for _, view in images]), [name for name, _ in images]


def test_nerfstudio_and_colmap_read_back(tmp_path: Path) -> None:
    for zoom in (False, True):
        cameras, names = rig(4, zoom=zoom), ["a.png", "b.png", "sub/c d.png", "ü.png"]
        write_nerfstudio(tmp_path / "transforms.json", cameras, names)
        write_colmap(tmp_path / "sparse", cameras, names, overwrite=True)
        for came, came_names in (nerfstudio(tmp_path / "transforms.json"), colmap(tmp_path / "sparse")):
            assert came_names == names
            assert_same_cameras(came, cameras)


def test_colmap_by_a_second_reader(tmp_path: Path) -> None:
    cameras = rig(5, zoom=True)
    write_colmap(tmp_path / "sparse", cameras, list("abcde"))
    for index, (pose, lens) in enumerate(colmap_by_hand(tmp_path / "sparse").values()):
        np.testing.assert_allclose(pose, cameras.world_to_cam[index, :3], atol=1e-6)
        expected = cameras.intrinsics[index, [0, 1, 0, 1], [0, 1, 2, 2]]
        np.testing.assert_allclose(lens, expected, rtol=1e-7)


def test_a_grid_with_its_images(tmp_path: Path) -> None:
    given = grid("cross")
    export_cameras(given, tmp_path / "ns", "nerfstudio")
    export_cameras(given, tmp_path / "cm", "colmap", time=0)
    cameras, names = nerfstudio(tmp_path / "ns" / "transforms.json")
    assert names == [f"images/v{v:03d}_t{t:03d}.png" for v, t in ((0, 0), (0, 1), (1, 0), (2, 0))]
    assert torch.equal(read_image(tmp_path / "ns" / names[1]), given.frames[0, 1])
    assert_same_cameras(cameras, rig()[[0, 0, 1, 2]])
    images = colmap_by_hand(tmp_path / "cm" / "sparse" / "0")
    assert sorted(images) == sorted(path.name for path in (tmp_path / "cm" / "images").iterdir())
    assert list(images) == ["v000_t000.png", "v001_t000.png", "v002_t000.png"]


def test_cameras_json_of_a_grid_opens_as_nerfstudio(tmp_path: Path) -> None:
    save_grid(tmp_path / "grid", grid(), storage="png")
    cameras, names = nerfstudio(tmp_path / "grid" / "cameras.json")
    assert_same_cameras(cameras, rig()[[0, 0, 1, 1, 2, 2]])
    assert all((tmp_path / "grid" / name).is_file() for name in names)


def test_a_scene_gives_its_views_and_points(tmp_path: Path) -> None:
    quats = torch.tensor([[1.0, 0, 0, 0]]).expand(2, 4)
    colors = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 2.0]])
    step = Gaussians.from_colors(torch.rand(2, 3), quats, torch.ones(2, 3), torch.ones(2), colors)
    scene = GaussianSequence((step,), torch.zeros(1), rig())
    export_cameras(scene, tmp_path / "cm", "colmap")
    assert_same_cameras(colmap(tmp_path / "cm" / "sparse" / "0")[0], rig())
    points = np.loadtxt(tmp_path / "cm" / "sparse" / "0" / "points3D.txt")
    np.testing.assert_allclose(points[:, 1:4], step.means, atol=1e-7)
    assert points[:, 4:7].tolist() == [[255, 0, 128], [0, 255, 255]]
    export_cameras(scene, tmp_path / "ns", "nerfstudio")
    _, names = nerfstudio(tmp_path / "ns" / "transforms.json")
    assert names == [f"images/v{view:03d}.png" for view in range(3)]


# ---- bad input --------------------------------------------------------------------------------


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    skewed = rig()
    skewed.intrinsics[0, 0, 1] = 2.0
    no_cameras = VideoGrid.complete(torch.rand(1, 1, 3, *SIZE), torch.zeros(1))
    empty = Gaussians(*(torch.zeros(0, *rest) for rest in ((3,), (4,), (3,), (), (1, 3))))
    no_views = GaussianSequence((empty,), torch.zeros(1), rig()[:0])
    for source, time, says in (
        (no_cameras, None, "no cameras to export"),
        (no_views, None, "at least one camera"),
        (grid("none"), None, "no cell of this grid is known"),
        (grid(), 2, "time 2 was asked for; there are times 0 to 1"),
        (grid(cameras=skewed), None, "has no skew"),
    ):
        for format in ("nerfstudio", "colmap"):
            with pytest.raises(InputError, match=says):
                export_cameras(source, tmp_path / "out", format, time=time)
    assert list(tmp_path.iterdir()) == []
    export_cameras(grid(), tmp_path / "out", "colmap")
    with pytest.raises(InputError, match="already exists"):
        export_cameras(grid(), tmp_path / "out", "colmap")


def test_a_wrong_transforms_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "transforms.json"
    write_nerfstudio(path, rig(), list("abc"))
    good = json.loads(path.read_text())
    for key, value, says in (
        ("frames", [], r"transforms\.json"),
        ("frames", "all", "expected a list"),
        ("fl_x", None, "expected a finite number"),
        ("k1", 0.2, "distortion"),
    ):
        path.write_text(json.dumps(good | {key: value}))
        with pytest.raises(InputError, match=says):
            nerfstudio(path)
