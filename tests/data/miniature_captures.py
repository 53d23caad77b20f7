"""Every data set that can be read, as a few little pictures in its own layout."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch

from fourreal.core.camera_paths import orbit
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.media import write_image, write_video
from fourreal.files.colmap import write_colmap

HEIGHT, WIDTH, VIEWS, FRAMES = 16, 20, 3, 4
POSES = orbit(torch.zeros(3), 3.0, torch.linspace(0, 40, VIEWS), 10.0)
CAMERAS = Cameras(POSES, intrinsics_from_fov(50.0, (HEIGHT, WIDTH)).expand(VIEWS, 3, 3), (HEIGHT, WIDTH))


def picture(path: Path, seed: int = 0) -> None:
    write_image(path, torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed)))


def video(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = torch.rand(FRAMES, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))
    write_video(path, frames, 8)


def opengl() -> np.ndarray:
    return np.linalg.inv(POSES.double().numpy()) @ np.diag([1.0, -1.0, -1.0, 1.0])


def poses_bounds(path: Path) -> None:
    rows = []
    for right_up_back in opengl():
        right, up, back, centre = right_up_back[:3].T
        matrix = np.stack([-up, right, back, centre, [HEIGHT, WIDTH, 20.0]], 1)
        rows.append([*matrix.ravel(), 0.5, 9.0])
    np.save(path, np.array(rows))


def neural_3d_video(root: Path) -> Path:
    for view in range(VIEWS):
        video(root / f"cam{view:02d}.mp4", view)
    poses_bounds(root / "poses_bounds.npy")
    return root


def llff(root: Path) -> Path:
    for view in range(VIEWS):
        picture(root / "images" / f"{view}.png", view)
    poses_bounds(root / "poses_bounds.npy")
    return root


def nvidia_dynamic(root: Path) -> Path:
    for view in range(VIEWS):
        for frame in range(FRAMES):
            picture(root / "mv_images" / f"{frame:05d}" / f"cam{view + 1:02d}.png", view + frame)
    poses_bounds(root / "poses_bounds.npy")
    return root


def nerfstudio(root: Path) -> Path:
    frames = []
    for view, pose in enumerate(opengl()):
        picture(root / "images" / f"{view}.png", view)
        frames.append({"file_path": f"images/{view}.png", "transform_matrix": pose.tolist()})
    document = {"fl_x": 20.0, "w": WIDTH, "h": HEIGHT, "k1": 0.01, "camera_model": "OPENCV", "frames": frames}
    (root / "transforms.json").write_text(json.dumps(document))
    return root


def colmap(root: Path) -> Path:
    names = tuple(f"{view}.png" for view in range(VIEWS))
    for view, name in enumerate(names):
        picture(root / "images" / name, view)
    write_colmap(root / "sparse" / "0", CAMERAS, names, points=torch.rand(4, 3))
    return root


def realestate10k(root: Path) -> Path:
    lines = ["https://example.org"]
    for view, pose in enumerate(POSES):
        picture(root / "clip" / f"{1000 + view}.png", view)
        lines.append(" ".join(map(str, [1000 + view, 1.0, 1.2, 0.5, 0.5, 0, 0, *pose[:3].flatten().tolist()])))
    (root / "clip.txt").write_text("\n".join(lines) + "\n")
    return root / "clip.txt"


def view_folders(root: Path) -> Path:
    for view in range(VIEWS):
        for frame in range(FRAMES):
            picture(root / f"eval_{view}" / f"{frame}.png", view + frame)
    return root


def diffusion4d(root: Path) -> Path:
    for view, pose in enumerate(opengl()):
        picture(root / f"multi_static_frame{view}.png", view)
        camera = {"matrix_world": pose.tolist(), "x_fov": 2 * math.atan(0.5), "y_fov": 2 * math.atan(0.4)}
        (root / f"static{view}.json").write_text(json.dumps(camera))
    (root / "front.json").write_bytes((root / "static0.json").read_bytes())
    for frame in range(FRAMES):
        picture(root / f"front_frame{frame}.png", frame)
    return root


def davis(root: Path) -> Path:
    for frame in range(FRAMES):
        picture(root / "JPEGImages" / "480p" / "bear" / f"{frame:05d}.jpg", frame)
        picture(root / "Annotations" / "480p" / "bear" / f"{frame:05d}.png", frame)
    return root / "JPEGImages" / "480p" / "bear"


def pose2sim(root: Path) -> Path:
    cameras = []
    for view in range(VIEWS):
        video(root / "videos" / f"cam{view}.mp4", view)
        turned = np.diag([1.0, -1.0, -1.0]) @ POSES[view, :3, :3].double().numpy()
        cells = " ".join(f'r{i + 1}{j + 1}="{float(turned[i, j])}"' for i in range(3) for j in range(3))
        cameras.append(
            f'<camera serial="c{view}"><fov_video left="0" top="0" right="{WIDTH - 1}" bottom="{HEIGHT - 1}"/>'
            f'<transform {cells} x="1000" y="0" z="0"/><intrinsic focalLengthU="1280" focalLengthV="1280" '
            'centerPointU="640" centerPointV="512" radialDistortion1="0.01" radialDistortion2="0" '
            'tangentalDistortion1="0" tangentalDistortion2="0"/></camera>'
        )
    (root / "calibration").mkdir()
    (root / "calibration" / "a.qca.txt").write_text(f"<c><cameras>{''.join(cameras)}</cameras></c>")
    return root


# Name in `READERS` -> what writes it, and how many views and frames come out.
MINIATURES = {
    "neural-3d-video": (neural_3d_video, (VIEWS, FRAMES)),
    "llff": (llff, (VIEWS, 1)),
    "nvidia-dynamic": (nvidia_dynamic, (VIEWS, FRAMES)),
    "transforms-json": (nerfstudio, (VIEWS, 1)),
    "colmap": (colmap, (VIEWS, 1)),
    "realestate10k": (realestate10k, (VIEWS, 1)),
    "view-folders": (view_folders, (VIEWS, FRAMES)),
    "diffusion4d": (diffusion4d, (VIEWS, FRAMES)),
    "davis": (davis, (1, FRAMES)),
    "pose2sim": (pose2sim, (VIEWS, FRAMES)),
}
