"""The viewer's own world, and the conversion of scenes and cameras into it.

A browser viewer keeps covariances in half precision and measures its controls in its own units,
while a reconstructed scene may be millimetres or kilometres large and have y pointing down. So
everything shown is moved into a frame of the viewer's: the point the cameras look at becomes the origin and
the distance to it `FRAME_DISTANCE`. Axes keep their directions; which one is up is part of that frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from fourreal.core.camera_paths import focus_point
from fourreal.core.cameras import Cameras
from fourreal.core.gaussians import DynamicScene, Gaussians
from fourreal.core.rotations import matrix_to_quat, quat_to_matrix
from fourreal.splat.sh import view_colors
from fourreal.view.settings import UpAxis

FRAME_DISTANCE = 10.0
STEP_FORWARD, STEP_BACK = 0.8, 2.2
SNAP_TO_AXIS_DEG = 40.0

# Covariances are sent as float16: below the first its steps are too coarse for a shape (and the splat
# is far below a pixel), beyond the second they overflow.
SMALLEST_STD, LARGEST_STD = 1e-3, 240.0


@dataclass(frozen=True, kw_only=True)
class ViewerFrame:
    """Transform from a scene's world to the viewer's: `x_viewer = scale * (x - origin)`.

    Attributes:
        origin: world point that becomes the viewer frame's origin, what the cameras look at.
        scale: viewer units per world unit.
        up: unit direction, the same in both worlds.
        eye: first position of the viewer, viewer units; it looks at the origin.
        fov_y_deg: its vertical field of view.
    """

    origin: Float[Tensor, "3"]
    scale: float
    up: Float[Tensor, "3"]
    eye: Float[Tensor, "3"]
    fov_y_deg: float

    @classmethod
    def of(cls, scene: DynamicScene | None, cameras: Cameras | None, up: UpAxis = "automatic") -> ViewerFrame:
        """The viewer frame of a scene, of cameras, or of both; `up` overrules the up of the cameras.

        With cameras alone the viewer is behind and above them. With nothing at all it looks along +y.
        """
        if cameras is not None:
            viewer_frame = cls.for_cameras(cameras)
            viewer_frame = viewer_frame if up == "automatic" else replace(viewer_frame, up=axis_direction(up))
            behind = viewer_frame.eye * STEP_BACK + viewer_frame.up * 0.5 * FRAME_DISTANCE
            return viewer_frame if scene is not None else replace(viewer_frame, eye=behind, fov_y_deg=60.0)
        eye, z_up = torch.tensor([0.0, -FRAME_DISTANCE, 0.0]), axis_direction("z")
        viewer_frame = cls(origin=torch.zeros(3), scale=1.0, up=z_up, eye=eye, fov_y_deg=60.0)
        if scene is not None:
            viewer_frame = cls.for_gaussians(scene.at(float(scene.seconds[0])))
        if up == "automatic":
            return viewer_frame
        chosen = axis_direction(up)
        right = chosen.roll(1).abs()
        upright = torch.stack([right, torch.linalg.cross(chosen, right), chosen], -1)
        return replace(viewer_frame, up=chosen, eye=upright @ viewer_frame.eye)

    @classmethod
    def for_cameras(cls, cameras: Cameras) -> ViewerFrame:
        """The viewer frame of a captured or rendered rig.

        The viewer starts at the middle camera but `STEP_FORWARD` closer, so that it sees about what that camera saw
        and not the frames drawn in front of the cameras.
        """
        flat = cameras.to("cpu").reshape(-1)
        origin = focus_point(flat)
        distances = (flat.centers - origin).norm(dim=-1)
        scale = FRAME_DISTANCE / max(float(distances.median()), 1e-9)
        middle = flat[int((flat.centers - flat.centers.mean(0)).norm(dim=-1).argmin())]
        return cls(
            origin=origin,
            scale=scale,
            up=world_up(flat),
            eye=STEP_FORWARD * scale * (middle.centers - origin),
            fov_y_deg=fov_y_deg(middle),
        )

    @classmethod
    def for_gaussians(cls, gaussians: Gaussians) -> ViewerFrame:
        """The viewer frame of a scene without cameras: z up, all but the outermost tenth within view."""
        means = gaussians.means.detach().cpu()
        origin = means.median(0).values if len(means) else torch.zeros(3)
        radius = float((means - origin).norm(dim=-1).quantile(0.9)) if len(means) else 1.0
        eye = torch.nn.functional.normalize(torch.tensor([1.0, -1.0, 0.6]), dim=0) * FRAME_DISTANCE
        scale = FRAME_DISTANCE / max(2 * radius, 1e-9)
        return cls(origin=origin, scale=scale, up=axis_direction("z"), eye=eye, fov_y_deg=60.0)

    def points(self, points: Float[Tensor, "N 3"]) -> Float32[np.ndarray, "N 3"]:
        """World points in the viewer frame."""
        return ((points.detach().cpu() - self.origin) * self.scale).float().numpy()

    def poses(self, cameras: Cameras) -> tuple[Float32[np.ndarray, "V 4"], Float32[np.ndarray, "V 3"]]:
        """Camera orientations (wxyz, camera to world) and positions in the viewer frame."""
        cameras = cameras.to("cpu")
        quats = matrix_to_quat(cameras.cam_to_world[..., :3, :3]).float().numpy()
        return quats, self.points(cameras.centers)


@dataclass(frozen=True)
class ViewerSplats:
    """Gaussians in the viewer's format."""

    centers: Float32[np.ndarray, "N 3"]
    covariances: Float32[np.ndarray, "N 3 3"]
    rgbs: UInt8[np.ndarray, "N 3"]
    opacities: UInt8[np.ndarray, "N 1"]


def to_viewer_frame(gaussians: Gaussians, viewer_frame: ViewerFrame) -> ViewerSplats:
    """Gaussians in a viewer frame.

    The viewer has one colour per splat; view-dependent ones are those of the first look's direction.
    """
    gaussians = gaussians.detach().to("cpu")
    viewpoint = viewer_frame.origin + viewer_frame.eye / viewer_frame.scale
    colors = view_colors(gaussians.sh, gaussians.means, viewpoint, gaussians.sh_degree)
    stds = (gaussians.scales * viewer_frame.scale).clamp(SMALLEST_STD, LARGEST_STD)
    axes = quat_to_matrix(gaussians.quats_wxyz) * stds[:, None, :]
    return ViewerSplats(
        viewer_frame.points(gaussians.means),
        (axes @ axes.mT).float().numpy(),
        _bytes(colors),
        _bytes(gaussians.opacities[:, None]),
    )


def _bytes(values: Float[Tensor, "N C"]) -> UInt8[np.ndarray, "N C"]:
    """[0, 1] to 0..255, rounded; the viewer itself would truncate."""
    return (values.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def axis_direction(axis: str) -> Float[Tensor, "3"]:
    """The unit direction of an axis such as "y" or "-y"."""
    return torch.eye(3)["xyz".index(axis[-1])] * (-1.0 if axis[0] == "-" else 1.0)


def world_up(cameras: Cameras) -> Float[Tensor, "3"]:
    """The direction that is up for a rig of upright cameras.

    The mean of the cameras' own ups, and when that is near a world axis, that axis: cameras that
    look down on a z-up world lean by their elevation, and a reconstruction in its first camera's frame is
    y-down exactly.
    """
    ups = -cameras.reshape(-1).cam_to_world[:, :3, 1]
    mean = ups.mean(0)
    if float(mean.norm()) < 1e-3:
        return mean.new_tensor([0.0, 0.0, 1.0])
    mean = torch.nn.functional.normalize(mean, dim=0)
    axis = int(mean.abs().argmax())
    if float(mean[axis].abs()) >= np.cos(np.deg2rad(SNAP_TO_AXIS_DEG)):
        snapped = torch.zeros_like(mean)
        snapped[axis] = torch.sign(mean[axis])
        return snapped
    return mean


def fov_y_deg(camera: Cameras) -> float:
    """Vertical field of view of one camera, degrees."""
    return float(torch.rad2deg(2 * torch.atan(camera.image_size[0] / 2 / camera.intrinsics[1, 1])))
