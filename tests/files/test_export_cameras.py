"""Cameras for nerfstudio and COLMAP, read back by our readers and by parsers written from the documentation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from fourreal.core.camera_paths import orbit
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians, GaussianSequence
from fourreal.core.grid import VideoGrid
from fourreal.core.media import read_image
from fourreal.files.colmap import read_colmap, write_colmap
from fourreal.files.export_cameras import export_cameras
from fourreal.files.grid_folder import save_grid
from fourreal.files.nerfstudio import read_nerfstudio, write_nerfstudio
from fourreal.files.posed_images import PosedImages

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


def test_nerfstudio_and_colmap_read_back(tmp_path: Path) -> None:
    for zoom in (False, True):
        posed = PosedImages(rig(4, zoom=zoom), ("a.png", "b.png", "sub/c d.png", "ü.png"))
        write_nerfstudio(tmp_path / "transforms.json", posed)
        write_colmap(tmp_path / "sparse", posed, overwrite=True)
        for came in (read_nerfstudio(tmp_path / "transforms.json"), read_colmap(tmp_path / "sparse")):
            assert came.names == posed.names
            assert_same_cameras(came.cameras, posed.cameras)


def test_colmap_by_a_second_reader(tmp_path: Path) -> None:
    cameras = rig(5, zoom=True)
    write_colmap(tmp_path / "sparse", PosedImages(cameras, tuple("abcde")))
    for index, (pose, lens) in enumerate(colmap_by_hand(tmp_path / "sparse").values()):
        np.testing.assert_allclose(pose, cameras.world_to_cam[index, :3], atol=1e-6)
        expected = cameras.intrinsics[index, [0, 1, 0, 1], [0, 1, 2, 2]]
        np.testing.assert_allclose(lens, expected, rtol=1e-7)


def test_a_grid_with_its_images(tmp_path: Path) -> None:
    given = grid("cross")
    export_cameras(given, tmp_path / "ns", "nerfstudio")
    export_cameras(given, tmp_path / "cm", "colmap", time=0)
    posed = read_nerfstudio(tmp_path / "ns" / "transforms.json")
    assert posed.names == tuple(f"images/v{v:03d}_t{t:03d}.png" for v, t in ((0, 0), (0, 1), (1, 0), (2, 0)))
    assert torch.equal(read_image(tmp_path / "ns" / posed.names[1]), given.frames[0, 1])
    assert_same_cameras(posed.cameras, rig()[[0, 0, 1, 2]])
    images = colmap_by_hand(tmp_path / "cm" / "sparse" / "0")
    assert sorted(images) == sorted(path.name for path in (tmp_path / "cm" / "images").iterdir())
    assert list(images) == ["v000_t000.png", "v001_t000.png", "v002_t000.png"]


def test_cameras_json_of_a_grid_opens_as_nerfstudio(tmp_path: Path) -> None:
    save_grid(tmp_path / "grid", grid(), storage="png")
    posed = read_nerfstudio(tmp_path / "grid" / "cameras.json")
    assert_same_cameras(posed.cameras, rig()[[0, 0, 1, 1, 2, 2]])
    assert all((tmp_path / "grid" / name).is_file() for name in posed.names)


def test_a_scene_gives_its_views_and_points(tmp_path: Path) -> None:
    quats = torch.tensor([[1.0, 0, 0, 0]]).expand(2, 4)
    colors = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 2.0]])
    step = Gaussians.from_colors(torch.rand(2, 3), quats, torch.ones(2, 3), torch.ones(2), colors)
    scene = GaussianSequence((step,), torch.zeros(1), rig())
    export_cameras(scene, tmp_path / "cm", "colmap")
    assert_same_cameras(read_colmap(tmp_path / "cm" / "sparse" / "0").cameras, rig())
    points = np.loadtxt(tmp_path / "cm" / "sparse" / "0" / "points3D.txt")
    np.testing.assert_allclose(points[:, 1:4], step.means, atol=1e-7)
    assert points[:, 4:7].tolist() == [[255, 0, 128], [0, 255, 255]]
    export_cameras(scene, tmp_path / "ns", "nerfstudio")
    names = read_nerfstudio(tmp_path / "ns" / "transforms.json").names
    assert names == tuple(f"images/v{view:03d}.png" for view in range(3))


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


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("cameras.txt", "PINHOLE", "FISHEYE", "expected a camera of model"),
        ("cameras.txt", "PINHOLE 18", "PINHOLE wide", "expected numbers"),
        ("cameras.txt", "PINHOLE 18", "PINHOLE 18.5", "expected a width and height"),
        ("cameras.txt", "PINHOLE 18", "PINHOLE 1e9", "expected a width and height"),
        ("cameras.txt", "PINHOLE 18 12", "OPENCV 18 12 1", "distortion"),
        ("cameras.txt", "PINHOLE 18 12", "PINHOLE 18 12 -4", "distortion"),
        ("cameras.txt", "1 PINHOLE", "9 PINHOLE", r"the camera '1' is not in cameras\.txt"),
        ("cameras.txt", None, "1 PINHOLE 18 12 3 3", "has more parameters than 2"),
        ("cameras.txt", None, "1 PINHOLE 18 12 nan 3 3 3", "finite numbers"),
        ("cameras.txt", None, "1 PINHOLE 18 12 -3 3 3 3", "focal lengths must be positive"),
        ("images.txt", None, "", "lists no images"),
        ("images.txt", None, "1 1 0 0 0 0 0 0 1", "expected IMAGE_ID"),
        ("images.txt", None, "1 0 0 0 0 0 0 0 1 a.png", "quaternion is not unit"),
        ("images.txt", None, "1 1 0 0 0 x 0 0 1 a.png", "expected numbers"),
        ("images.txt", None, "1 1 0 0 0 inf 0 0 1 a.png", "finite numbers"),
    ],
)
def test_a_wrong_colmap_model_is_refused(tmp_path: Path, file: str, old: str | None, new: str, says: str) -> None:
    model = tmp_path / "sparse"
    write_colmap(model, PosedImages(rig(), tuple("abc")))
    text = (model / file).read_text()
    (model / file).write_text(new if old is None else text.replace(old, new))
    with pytest.raises(InputError, match=says):
        read_colmap(model)
    (model / file).unlink()
    with pytest.raises(InputError, match=f"{file} cannot be read"):
        read_colmap(model)


def test_colmap_cameras_of_several_sizes_are_refused(tmp_path: Path) -> None:
    write_colmap(tmp_path / "sparse", PosedImages(rig(zoom=True), tuple("abc")))
    path = tmp_path / "sparse" / "cameras.txt"
    path.write_text(path.read_text().replace("2 PINHOLE 18", "2 PINHOLE 20"))
    with pytest.raises(InputError, match=r"images of one \(height, width\)"):
        read_colmap(tmp_path / "sparse")


def test_other_camera_models_without_distortion_are_read(tmp_path: Path) -> None:
    (tmp_path / "images.txt").write_text("# x\n1 1 0 0 0 0 0 0 1 a.png\n1.0 2.0 -1\n2 1 0 0 0 0 0 1 2 b.png\n\n")
    (tmp_path / "cameras.txt").write_text("1 SIMPLE_RADIAL 18 12 20 9 6 0\n\n2 OPENCV 18 12 20 21 9 6 0 0 0 0\n")
    came = read_colmap(tmp_path)
    assert came.names == ("a.png", "b.png")
    assert came.cameras.intrinsics[:, [0, 1, 0, 1], [0, 1, 2, 2]].tolist() == [[20, 20, 9, 6], [20, 21, 9, 6]]


def test_a_wrong_transforms_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "transforms.json"
    write_nerfstudio(path, PosedImages(rig(), tuple("abc")))
    good = json.loads(path.read_text())
    for key, value, says in (
        ("frames", [], r"transforms\.json"),
        ("frames", "all", "expected a list"),
        ("fl_x", None, "expected a finite number"),
        ("k1", 0.2, "distortion"),
    ):
        path.write_text(json.dumps(good | {key: value}))
        with pytest.raises(InputError, match=says):
            read_nerfstudio(path)
