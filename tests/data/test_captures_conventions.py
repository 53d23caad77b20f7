"""Every reader lands known 3D points where they were drawn: conventions proven by re-projection.

Each test films a handful of coloured dots with known OpenCV cameras, writes the pictures and the
cameras in the benchmark's own layout with code of its own, reads them back, and finds every dot's
centre of mass at the place the read camera projects it to, at the stored size and at another.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from fourreal.cli.__main__ import main
from fourreal.core.camera_paths import look_at, orbit
from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.media import write_image, write_video
from fourreal.data.captures.capture import Capture, Selection
from fourreal.data.captures.colmap import read_colmap
from fourreal.data.captures.davis import read_davis
from fourreal.data.captures.diffusion4d import read_diffusion4d
from fourreal.data.captures.lens import Lens
from fourreal.data.captures.llff import read_llff, read_neural_3d_video
from fourreal.data.captures.nvidia_dynamic import read_nvidia_dynamic
from fourreal.data.captures.qualisys import read_pose2sim
from fourreal.data.captures.readers import READERS, read_benchmark
from fourreal.data.captures.realestate10k import read_realestate10k
from fourreal.data.captures.transforms_json import read_transforms
from fourreal.data.captures.view_folders import OrbitRig, read_view_folders
from fourreal.files.grid_folder import load_grid

HEIGHT, WIDTH, FOCAL = 96, 128, 110.0
COLOURS = torch.eye(3)
# Three dots of one primary colour each, in no symmetric arrangement.
POINTS = torch.tensor([[0.35, 0.1, 0.3], [-0.3, 0.25, -0.1], [0.0, -0.35, 0.15]], dtype=torch.float64)
DRIFT = torch.tensor([0.02, -0.03, 0.025], dtype=torch.float64)
SIZES = [None, (48, 48)]


def rig(views: int = 3, cx: float = WIDTH / 2, cy: float = HEIGHT / 2, fy: float = FOCAL) -> Cameras:
    """Cameras at no special place, no two alike, each rolled: a swapped axis cannot hide."""
    eyes = torch.stack([torch.tensor([2.0, -0.9 + 0.6 * v, 0.7 + 0.3 * v]) for v in range(views)]).double()
    target = torch.tensor([0.05, -0.02, 0.03]).double().expand_as(eyes)
    poses = look_at(eyes, target, up=torch.tensor([0.1, 0.2, 1.0]).double())
    intrinsics = torch.tensor([[FOCAL, 0, cx], [0, fy, cy], [0, 0, 1]]).double().expand(views, 3, 3)
    return Cameras(poses, intrinsics, (HEIGHT, WIDTH))


def bent_by_hand(camera: Cameras, u: float, v: float, lens: Lens) -> tuple[float, float]:
    """OpenCV's documented polynomials, written out for one point."""
    fx, fy, cx, cy = (float(camera.intrinsics[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    x, y = (u - cx) / fx, (v - cy) / fy
    r2 = x**2 + y**2
    if lens.fisheye:
        angle = math.atan(math.sqrt(r2))
        scale = angle * (1 + sum(k * angle ** (2 * i) for i, k in enumerate(lens.radial, 1))) / math.sqrt(r2)
        return fx * x * scale + cx, fy * y * scale + cy
    (k1, k2), (p1, p2) = (*lens.radial, 0.0, 0.0)[:2], lens.tangential
    radial = 1 + k1 * r2 + k2 * r2**2
    bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
    bent_y = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
    return fx * bent_x + cx, fy * bent_y + cy


def film(camera: Cameras, time: int = 0, lens: Lens | None = None) -> torch.Tensor:
    """Soft dots on black at the points' projections (through `lens` when given)."""
    pixels, depth = camera.project(POINTS + time * DRIFT)
    assert bool((depth > 0).all())
    if lens is not None:
        pixels = torch.tensor([bent_by_hand(camera, x, y, lens) for x, y in pixels.tolist()], dtype=torch.float64)
    distance = (camera.pixel_centers()[:, :, None] - pixels).square().sum(-1)
    return (torch.exp(-distance / (2 * 2.5**2)) @ COLOURS.double()).permute(2, 0, 1).float().clamp(0, 1)


def assert_points_land(capture: Capture, times: list[int], tolerance: float = 0.25) -> None:
    grid = capture.grid
    assert grid.cameras is not None
    centres = grid.cameras[0].pixel_centers().reshape(-1, 2)
    cameras = grid.cameras
    for view in range(grid.num_views):
        for column, time in enumerate(times):
            if not grid.known[view, column]:
                continue
            expected, depth = cameras[view].project((POINTS + time * DRIFT).float())
            assert bool((depth > 0).all())
            for colour in range(3):
                weight = (grid.frames[view, column, colour].flatten() - 0.15).clamp(min=0)
                found = (weight[:, None] * centres).sum(0) / weight.sum()
                error = float((found - expected[colour]).norm())
                assert error < tolerance, f"view {view}, time {time}, dot {colour}: {error:.2f} px"


def opengl(cameras: Cameras) -> np.ndarray:
    """Camera-to-world with y up and z backwards, by inverting the 4 x 4 and negating two columns."""
    cam_to_world = np.linalg.inv(cameras.world_to_cam.numpy())
    return cam_to_world @ np.diag([1.0, -1.0, -1.0, 1.0])


def write_poses_bounds(path: Path, cameras: Cameras) -> None:
    """LLFF's own recipe: OpenGL columns (right, up, back) reordered to (down, right, back)."""
    rows = []
    for pose in opengl(cameras):
        right, up, back = pose[:3, 0], pose[:3, 1], pose[:3, 2]
        hwf = np.array([HEIGHT, WIDTH, FOCAL])
        matrix = np.stack([-up, right, back, pose[:3, 3], hwf], 1)
        rows.append(np.concatenate([matrix.ravel(), [0.5, 9.0]]))
    np.save(path, np.array(rows))


@pytest.mark.parametrize("size", SIZES)
def test_llff(tmp_path: Path, size) -> None:
    cameras = rig()
    for view in range(3):
        write_image(tmp_path / "fern" / "images" / f"IMG_{view:04d}.png", film(cameras[view]))
    write_poses_bounds(tmp_path / "fern" / "poses_bounds.npy", cameras)
    capture = read_llff(tmp_path / "fern", Selection(size=size))
    assert capture.grid.frames.shape[:2] == (3, 1)
    assert capture.near_far is not None
    assert capture.near_far.tolist() == [[0.5, 9.0]] * 3
    assert_points_land(capture, [0])
    if size is None:
        torch.testing.assert_close(capture.grid.cameras.world_to_cam, cameras.world_to_cam.float())


@pytest.mark.parametrize("size", SIZES)
def test_neural_3d_video(tmp_path: Path, size) -> None:
    cameras = rig()
    tmp_path.joinpath("coffee").mkdir()
    # Numbers are missing in the real scenes, too.
    for view, name in enumerate(("cam00", "cam03", "cam11")):
        write_video(tmp_path / "coffee" / f"{name}.mp4", torch.stack([film(cameras[view], t) for t in range(6)]), 30)
    write_poses_bounds(tmp_path / "coffee" / "poses_bounds.npy", cameras)
    capture = read_neural_3d_video(tmp_path / "coffee", Selection(views=(2, 0), times=(1, 4), size=size))
    assert capture.view_names == ("cam11", "cam00")
    torch.testing.assert_close(capture.grid.seconds, torch.tensor([0.0, 0.1]), atol=1e-4, rtol=0)
    assert_points_land(capture, [1, 4])


@pytest.mark.parametrize("dense", [True, False])
def test_nvidia_dynamic_scenes(tmp_path: Path, dense: bool) -> None:
    cameras = rig()
    scene = tmp_path / "Balloon1"
    inside = scene / "dense" if dense else scene
    for time in range(4):
        for view in range(3):
            write_image(inside / "mv_images" / f"{time:05d}" / f"cam{view + 1:02d}.png", film(cameras[view], time))
    # DynIBaR's file repeats the cameras round robin, one row a frame.
    rows = cameras if not dense else Cameras(*(x[[0, 1, 2, 0]] for x in (cameras.world_to_cam, cameras.intrinsics)), (HEIGHT, WIDTH))  # fmt: skip # noqa: E501
    write_poses_bounds(inside / ("poses_bounds_cvd.npy" if dense else "poses_bounds.npy"), rows)
    capture = read_nvidia_dynamic(scene, Selection(times=(0, 2, 3)), fps=10)
    assert capture.view_names == ("cam01", "cam02", "cam03")
    torch.testing.assert_close(capture.grid.seconds, torch.tensor([0.0, 0.2, 0.3]))
    assert_points_land(capture, [0, 2, 3])
    (inside / "mv_images" / "00002" / "cam02.png").unlink()
    with pytest.raises(InputError, match=r"lacks 00002/cam02.png \(1 files missing\)"):
        read_nvidia_dynamic(scene)


@pytest.mark.parametrize("size", SIZES)
def test_nerfstudio_with_images_stored_smaller(tmp_path: Path, size) -> None:
    cameras = rig(cx=60.0, cy=50.0, fy=104.0)
    frames = []
    for view, pose in enumerate(opengl(cameras)):
        half = torch.nn.functional.avg_pool2d(film(cameras[view])[None], 2)[0]
        write_image(tmp_path / "images_2" / f"frame_{view:05d}.png", half)
        frames.append({"file_path": f"images/frame_{view:05d}.png", "transform_matrix": pose.tolist()})
    document = {"fl_x": FOCAL, "fl_y": 104.0, "cx": 60.0, "cy": 50.0, "w": WIDTH, "h": HEIGHT, "frames": frames}
    (tmp_path / "transforms.json").write_text(json.dumps(document))
    capture = read_transforms(tmp_path, Selection(size=size), images="images_2", source="DL3DV")
    assert capture.grid.image_size == (size or (HEIGHT // 2, WIDTH // 2))
    assert_points_land(capture, [0])


def test_blender_style_transforms_with_a_field_of_view_only(tmp_path: Path) -> None:
    cameras = rig()
    frames = []
    for view, pose in enumerate(opengl(cameras)):
        write_image(tmp_path / "train" / f"r_{view}.png", film(cameras[view]))
        frames.append({"file_path": f"./train/r_{view}", "transform_matrix": pose.tolist()})
    document = {"camera_angle_x": 2 * math.atan(WIDTH / 2 / FOCAL), "frames": frames}
    (tmp_path / "transforms.json").write_text(json.dumps(document))
    assert_points_land(read_transforms(tmp_path), [0])


LENSES = {
    "PINHOLE": (Lens(), (FOCAL, 104.0, 60.0, 50.0)),
    "SIMPLE_PINHOLE": (Lens(), (FOCAL, 64.0, 48.0)),
    "SIMPLE_RADIAL": (Lens((-1.5,)), (FOCAL, 64.0, 48.0, -1.5)),
    "OPENCV": (Lens((-1.5, 2.0), (0.075, -0.06)), (FOCAL, 104.0, 60.0, 50.0, -1.5, 2.0, 0.075, -0.06)),
    "OPENCV_FISHEYE": (
        Lens((-1.0, 0.5, 0.0, 0.0), fisheye=True),
        (FOCAL, 104.0, 60.0, 50.0, -1.0, 0.5, 0.0, 0.0),
    ),
}
MODEL_NUMBERS = {"SIMPLE_PINHOLE": 0, "PINHOLE": 1, "SIMPLE_RADIAL": 2, "OPENCV": 4, "OPENCV_FISHEYE": 5}


def write_colmap(folder: Path, model: str, parameters: tuple[float, ...], poses: np.ndarray, binary: bool) -> None:
    from scipy.spatial.transform import Rotation

    folder.mkdir(parents=True)
    quats = Rotation.from_matrix(poses[:, :3, :3]).as_quat()[:, [3, 0, 1, 2]]
    # Written last name first: the reader must sort.
    entries = [(i + 1, quats[i], poses[i, :3, 3], f"v{i}.png") for i in reversed(range(len(poses)))]
    if not binary:
        numbers = " ".join(map(repr, parameters))
        (folder / "cameras.txt").write_text(f"# Camera list\n7 {model} {WIDTH} {HEIGHT} {numbers}\n")
        lines = ["# Image list"]
        for number, quat, shift, name in entries:
            lines += [f"{number} {' '.join(map(str, [*quat, *shift]))} 7 {name}", "1.5 2.5 -1" if number == 2 else ""]
        (folder / "images.txt").write_text("\n".join(lines) + "\n")
        points = [f"{i} {x} {y} {z} 255 0 0 0.5 1 0" for i, (x, y, z) in enumerate(POINTS.tolist())]
        (folder / "points3D.txt").write_text("# 3D points\n" + "\n".join(points) + "\n")
        return
    packed = struct.pack("<QiiQQ", 1, 7, MODEL_NUMBERS[model], WIDTH, HEIGHT)
    (folder / "cameras.bin").write_bytes(packed + struct.pack(f"<{len(parameters)}d", *parameters))
    blob = struct.pack("<Q", len(entries))
    for number, quat, shift, name in entries:
        blob += struct.pack("<i7di", number, *quat, *shift, 7) + name.encode() + b"\0"
        blob += struct.pack("<Q", 1) + struct.pack("<ddq", 1.5, 2.5, -1)
    (folder / "images.bin").write_bytes(blob)
    blob = struct.pack("<Q", len(POINTS))
    for i, (x, y, z) in enumerate(POINTS.tolist()):
        blob += struct.pack("<Q3d3Bd", i, x, y, z, 255, 0, 0, 0.5) + struct.pack("<Qii", 1, 1, 0)
    (folder / "points3D.bin").write_bytes(blob)


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "text"])
@pytest.mark.parametrize("model", LENSES)
def test_colmap(tmp_path: Path, model: str, binary: bool) -> None:
    lens, parameters = LENSES[model]
    cameras = rig() if model.startswith("SIMPLE") else rig(cx=60.0, cy=50.0, fy=104.0)
    for view in range(3):
        write_image(tmp_path / "images" / f"v{view}.png", film(cameras[view], lens=lens))
    write_colmap(tmp_path / "sparse" / "0", model, parameters, cameras.world_to_cam.numpy(), binary)
    capture = read_colmap(tmp_path)
    assert capture.view_names == ("v0.png", "v1.png", "v2.png")
    torch.testing.assert_close(capture.points, POINTS.float())
    assert_points_land(capture, [0])
    if lens != Lens():
        straight = cameras[1].project(POINTS)[0].tolist()
        moved = max(math.dist((x, y), bent_by_hand(cameras[1], x, y, lens)) for x, y in straight)
        assert moved > 0.5, "the lens must move a dot by more than the tolerance, or this proves nothing"


@pytest.mark.parametrize("size", SIZES)
def test_realestate10k(tmp_path: Path, size) -> None:
    cameras = rig(cx=60.0, cy=50.0, fy=104.0)
    lines = ["https://example.org/watch?v=clip"]
    for view in range(3):
        stamp = 1_000_000 + 33_367 * view
        if view != 1:
            write_image(tmp_path / "frames" / f"{stamp}.png", film(cameras[view]))
        numbers = [FOCAL / WIDTH, 104.0 / HEIGHT, 60.0 / WIDTH, 50.0 / HEIGHT, 0, 0]
        numbers += cameras.world_to_cam[view, :3].flatten().tolist()
        lines.append(" ".join([str(stamp), *map(repr, numbers)]))
    (tmp_path / "clip.txt").write_text("\n".join(lines) + "\n")
    capture = read_realestate10k(tmp_path / "clip.txt", Selection(size=size), frames=tmp_path / "frames")
    assert capture.view_names == ("1000000", "1066734")
    assert_points_land(capture, [0])


def test_per_view_folders_with_an_orbit(tmp_path: Path) -> None:
    azimuths, elevations = [-75.0, 15.0, 105.0, 195.0], [0.0, 10.0, -5.0, 20.0]
    poses = orbit(torch.zeros(3).double(), 2.0, torch.tensor(azimuths).double(), torch.tensor(elevations).double())
    fov = 2 * math.degrees(math.atan(HEIGHT / 2 / FOCAL))
    cameras = Cameras(poses, rig(4).intrinsics, (HEIGHT, WIDTH))
    for view in range(4):
        for time in range(11):
            write_image(tmp_path / "rose" / f"eval_{view}" / f"{time}.png", film(cameras[view], time))
    capture = read_view_folders(
        tmp_path / "rose", Selection(times=(2, 10)), rig=OrbitRig(azimuths, elevations, 2.0, fov)
    )
    assert capture.view_names == ("eval_0", "eval_1", "eval_2", "eval_3")
    assert_points_land(capture, [2, 10])
    assert read_view_folders(tmp_path / "rose").grid.cameras is None
    with pytest.raises(InputError, match="4 views but the rig has 2 azimuths"):
        read_view_folders(tmp_path / "rose", rig=OrbitRig([0.0, 90.0]))
    (tmp_path / "rose" / "eval_2" / "7.png").unlink()
    with pytest.raises(InputError, match="10 frames but eval_0 has 11"):
        read_view_folders(tmp_path / "rose")


def test_diffusion4d_gives_row_column_and_diagonal(tmp_path: Path) -> None:
    cameras = rig(4)
    matrices = opengl(cameras)
    fovs = {"x_fov": 2 * math.atan(WIDTH / 2 / FOCAL), "y_fov": 2 * math.atan(HEIGHT / 2 / FOCAL)}
    for view in range(4):
        write_image(tmp_path / f"multi_static_frame{view}.png", film(cameras[view]))
        text = json.dumps({"matrix_world": matrices[view].tolist()} | fovs)
        (tmp_path / f"static{view}.json").write_text(text)
        if view == 0:
            (tmp_path / "front.json").write_text(text)
        write_image(tmp_path / f"front_frame{view}.png", film(cameras[0], view))
        write_image(tmp_path / f"multi_frame{view}.png", film(cameras[view], view))
    capture = read_diffusion4d(tmp_path)
    expected = torch.eye(4, dtype=torch.bool)
    expected[0] = expected[:, 0] = True
    assert torch.equal(capture.grid.known, expected)
    assert_points_land(capture, [0, 1, 2, 3])
    (tmp_path / "front.json").write_text(json.dumps({"matrix_world": matrices[1].tolist()} | fovs))
    with pytest.raises(InputError, match="not the first static one"):
        read_diffusion4d(tmp_path)


def write_qualisys(path: Path, cameras: Cameras, lens: Lens) -> None:
    """The numbers a Qualisys file holds for these cameras: rows x, -y, -z; millimetres; 64ths of a pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = []
    for view in range(len(cameras)):
        rotation = np.diag([1.0, -1.0, -1.0]) @ cameras.world_to_cam[view, :3, :3].numpy()
        centre = -cameras.world_to_cam[view, :3, :3].numpy().T @ cameras.world_to_cam[view, :3, 3].numpy() * 1000
        cells = " ".join(
            f'r{i + 1}{j + 1}="{rotation[i, j]!r}"'.replace("np.float64(", "").replace(")", "")
            for i in range(3)
            for j in range(3)
        )
        k = cameras.intrinsics[view].numpy() * 64
        entries.append(
            f'<camera serial="cam{view}"><fov_video bottom="{HEIGHT - 1}" left="0" right="{WIDTH - 1}" top="0"/>'
            f'<transform {cells} x="{float(centre[0])}" y="{float(centre[1])}" z="{float(centre[2])}"/>'
            f'<intrinsic centerPointU="{float(k[0, 2])}" centerPointV="{float(k[1, 2])}" '
            f'focalLengthU="{float(k[0, 0])}" focalLengthV="{float(k[1, 1])}" '
            f'radialDistortion1="{lens.radial[0]}" radialDistortion2="{lens.radial[1]}" '
            f'tangentalDistortion1="{lens.tangential[0]}" tangentalDistortion2="{lens.tangential[1]}"/></camera>'
        )
    path.write_text(f"<?xml version='1.0'?><calibration><cameras>{''.join(entries)}</cameras></calibration>")


def test_pose2sim_with_a_bent_lens_and_a_narrower_video(tmp_path: Path) -> None:
    cameras, lens = rig(cx=60.0, cy=50.0), Lens((-1.5, 2.0), (0.075, -0.06))
    (tmp_path / "videos").mkdir()
    for view in range(3):
        video = torch.stack([film(cameras[view], t, lens) for t in range(4)])
        write_video(tmp_path / "videos" / f"cam{view}.mp4", video if view else video[..., : WIDTH - 8], 60)
    write_qualisys(tmp_path / "calibration" / "Calib.qca.txt", cameras, lens)
    capture = read_pose2sim(tmp_path, Selection(times=(0, 3), size=(HEIGHT, WIDTH - 8)))
    # Video compression adds to the dots' stretching by the lens.
    assert_points_land(capture, [0, 3], tolerance=0.4)


def test_davis_has_a_foreground_and_no_camera(tmp_path: Path) -> None:
    camera = rig()[0]
    for time in range(5):
        image = film(camera, time)
        write_image(tmp_path / "JPEGImages" / "480p" / "bear" / f"{time:05d}.jpg", image)
        marked = (image.sum(0) > 0.3).float()[None] * torch.tensor([0.5, 0.0, 0.0])[:, None, None]
        write_image(tmp_path / "Annotations" / "480p" / "bear" / f"{time:05d}.png", marked)
    capture = read_davis(tmp_path / "JPEGImages/480p/bear", Selection(times=(1, 3), size=(48, 64)))
    assert capture.grid.frames.shape == (1, 2, 3, 48, 64)
    assert capture.grid.cameras is None
    assert capture.foreground is not None
    inside = capture.grid.frames.sum(2)[capture.foreground].mean()
    assert float(inside) > 0.3 > 0.1 > float(capture.grid.frames.sum(2)[~capture.foreground].mean())
    (tmp_path / "Annotations" / "480p" / "bear" / "00004.png").unlink()
    with pytest.raises(InputError, match="4 annotations"):
        read_davis(tmp_path / "JPEGImages/480p/bear")
    with pytest.raises(InputError, match="is not a folder"):
        read_davis(tmp_path / "JPEGImages/480p/lion")


@pytest.mark.parametrize("name", READERS)
def test_every_reader_says_what_it_expects(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        read_benchmark(name, tmp_path / "absent", Selection())


def test_a_benchmark_is_imported_as_a_grid(tmp_path: Path) -> None:
    for time in range(3):
        write_image(tmp_path / "JPEGImages" / "480p" / "bear" / f"{time:05d}.jpg", film(rig()[0], time))
    for view in range(2):
        for time in range(3):
            write_image(tmp_path / "rose" / f"eval_{view}" / f"{time}.png", film(rig()[view], time))
    for name, path, shape in (
        ("davis", "JPEGImages/480p/bear", (1, 2)),
        ("view-folders", "rose", (1, 2)),
    ):
        benchmark = ["--benchmark", name, str(tmp_path / path), "--frames", "2", "--views", "1", "--size", "48", "64"]
        main(["import", *benchmark, "--out", str(tmp_path / name)])
        stored = load_grid(tmp_path / name)
        assert stored.grid.frames.shape == (*shape, 3, 48, 64)
        assert stored.record.source
    with pytest.raises(SystemExit):
        main(["import", "--benchmark", "unknown", str(tmp_path), "--out", str(tmp_path / "out")])
