"""`Cameras`: pinhole cameras in the OpenCV convention, any number of leading dimensions.

World to camera; +x right, +y down, +z forward; intrinsics in pixels with the centre of the
top-left pixel at (0.5, 0.5); image sizes are (height, width). Other conventions are converted
where they enter (`files/`, `view/`, `data/captures.py`), never here. See `docs/conventions.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.rotations import rigid_inverse


@dataclass(frozen=True)
class Cameras:
    """A batch of pinhole cameras.

    Attributes:
        world_to_cam: rigid motions, metres or whatever unit the world has.
        intrinsics: pixels, `[[fx, skew, cx], [0, fy, cy], [0, 0, 1]]`.
        image_size: (height, width).

    Raises:
        InputError: shapes do not fit. `validated` checks the values.
    """

    world_to_cam: Float[Tensor, "*batch 4 4"]
    intrinsics: Float[Tensor, "*batch 3 3"]
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        world_to_cam, intrinsics = self.world_to_cam, self.intrinsics
        if world_to_cam.shape[-2:] != (4, 4) or intrinsics.shape[-2:] != (3, 3):
            raise InputError(
                "cameras need world_to_cam [..., 4, 4] and intrinsics [..., 3, 3]; "
                f"got {list(world_to_cam.shape)} and {list(intrinsics.shape)}"
            )
        if world_to_cam.shape[:-2] != intrinsics.shape[:-2]:
            raise InputError(
                f"as many intrinsics as poses expected; got {list(world_to_cam.shape[:-2])} poses "
                f"and {list(intrinsics.shape[:-2])} intrinsics"
            )
        if min(self.image_size) < 1:
            raise InputError(f"image_size is (height, width) in pixels, at least 1; got {self.image_size}")

    def validated(self) -> Cameras:
        """Itself, values checked.

        Raises:
            InputError: a matrix is not rigid, a focal length not positive, a value not finite.
        """
        world_to_cam, intrinsics = self.world_to_cam.detach(), self.intrinsics.detach()
        if not (torch.isfinite(world_to_cam).all() and torch.isfinite(intrinsics).all()):
            raise InputError("cameras hold NaN or infinity")
        if intrinsics.numel() and not bool((intrinsics.diagonal(dim1=-2, dim2=-1)[..., :2] > 0).all()):
            raise InputError("focal lengths must be positive (pixels)")
        rotation = world_to_cam[..., :3, :3]
        identity = torch.eye(3, dtype=rotation.dtype, device=rotation.device)
        if rotation.numel():
            off = (rotation @ rotation.mT - identity).abs().max()
            # `not <=` refuses NaN too, which the product of absurdly large entries is.
            if not off <= 1e-3 or bool((torch.linalg.det(rotation) < 0).any()):
                raise InputError(
                    f"world_to_cam must be a rotation and a translation; the rotation part is off by {off:.3g} "
                    "or mirrored (is it camera-to-world of another convention, or scaled?)"
                )
            bottom = world_to_cam.new_tensor([0.0, 0.0, 0.0, 1.0])
            if not torch.allclose(world_to_cam[..., 3, :], bottom.expand_as(world_to_cam[..., 3, :]), atol=1e-6):
                raise InputError("the last row of world_to_cam must be 0 0 0 1")
        return self

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return tuple(self.world_to_cam.shape[:-2])

    @property
    def cam_to_world(self) -> Float[Tensor, "*batch 4 4"]:
        return rigid_inverse(self.world_to_cam)

    @property
    def centers(self) -> Float[Tensor, "*batch 3"]:
        """Camera positions in the world."""
        return self.cam_to_world[..., :3, 3]

    def __len__(self) -> int:
        if not self.batch_shape:
            raise TypeError("a single camera has no length")
        return self.batch_shape[0]

    def __getitem__(self, index: Any) -> Cameras:
        """Index the leading dimensions as a tensor would be."""
        index = index if isinstance(index, tuple) else (index,)
        if len(index) > len(self.batch_shape):
            raise IndexError(f"cameras of shape {list(self.batch_shape)} cannot be indexed by {index}")
        return Cameras(self.world_to_cam[index], self.intrinsics[index], self.image_size)

    def reshape(self, *batch: int) -> Cameras:
        return Cameras(self.world_to_cam.reshape(*batch, 4, 4), self.intrinsics.reshape(*batch, 3, 3), self.image_size)

    def expand(self, *batch: int) -> Cameras:
        return Cameras(self.world_to_cam.expand(*batch, 4, 4), self.intrinsics.expand(*batch, 3, 3), self.image_size)

    def to(self, device: torch.device | str) -> Cameras:
        return Cameras(self.world_to_cam.to(device), self.intrinsics.to(device), self.image_size)

    # ---- pixels, rays and points -------------------------------------------------------------

    def pixel_centers(self) -> Float[Tensor, "H W 2"]:
        """(x, y) of every pixel's centre; the top-left one is (0.5, 0.5)."""
        height, width = self.image_size
        like = {"dtype": self.intrinsics.dtype, "device": self.intrinsics.device}
        y, x = torch.meshgrid(torch.arange(height, **like) + 0.5, torch.arange(width, **like) + 0.5, indexing="ij")
        return torch.stack([x, y], -1)

    def ray_directions(self, pixels: Float[Tensor, "*batch N 2"] | None = None) -> Float[Tensor, "*batch N 3"]:
        """World directions through `pixels` (all centres, row by row, when left out).

        Not unit: scaled so that the camera-space z is 1, hence `center + depth * direction` is the
        point at z-depth `depth`.
        """
        if pixels is None:
            pixels = self.pixel_centers().reshape(-1, 2).expand(*self.batch_shape, -1, 2)
        homogeneous = torch.cat([pixels, torch.ones_like(pixels[..., :1])], -1)
        in_camera = homogeneous @ torch.linalg.inv(self.intrinsics).mT
        return in_camera @ self.world_to_cam[..., :3, :3]

    def project(
        self, points: Float[Tensor, "*batch N 3"]
    ) -> tuple[Float[Tensor, "*batch N 2"], Float[Tensor, "*batch N"]]:
        """Pixel positions (x, y) and z-depths of world points.

        A point behind the camera (depth <= 0) has no image: its pixel is meaningless, test the depth.
        """
        in_camera = points @ self.world_to_cam[..., :3, :3].mT + self.world_to_cam[..., None, :3, 3]
        homogeneous = in_camera @ self.intrinsics.mT
        depth = in_camera[..., 2]
        safe = torch.where(depth.abs() < 1e-12, torch.full_like(depth, 1e-12), depth)
        return homogeneous[..., :2] / safe[..., None], depth

    def unproject(
        self, pixels: Float[Tensor, "*batch N 2"], depth: Float[Tensor, "*batch N"]
    ) -> Float[Tensor, "*batch N 3"]:
        """World points at z-depth `depth` on the rays through `pixels`; the inverse of `project`."""
        return self.centers[..., None, :] + depth[..., None] * self.ray_directions(pixels)

    # ---- changes of image that keep the intrinsics true --------------------------------------

    def resized(self, size: tuple[int, int]) -> Cameras:
        """The same view on a (height, width) image; pixels need not stay square."""
        factors = (size[1] / self.image_size[1], size[0] / self.image_size[0], 1.0)
        intrinsics = self.intrinsics * self.intrinsics.new_tensor(factors)[:, None]
        return Cameras(self.world_to_cam, intrinsics, size)

    def cropped(self, top: int, left: int, size: tuple[int, int]) -> Cameras:
        """The view through a window of (height, width) whose corner is pixel (`top`, `left`).

        The window may reach outside the image (padding).
        """
        shift = torch.zeros_like(self.intrinsics)
        shift[..., 0, 2], shift[..., 1, 2] = left, top
        return Cameras(self.world_to_cam, self.intrinsics - shift, size)

    def moved(self, world_change: Float[Tensor, "4 4"], scale: float | Tensor = 1.0) -> Cameras:
        """The cameras in a new world: `x_new = scale * (world_change @ x)`, `world_change` rigid."""
        moved = self.world_to_cam @ rigid_inverse(world_change)
        scaled = torch.cat([moved[..., :3, :3], moved[..., :3, 3:] * scale], -1)
        return replace(self, world_to_cam=torch.cat([scaled, moved[..., 3:, :]], -2))


def stack(cameras: list[Cameras]) -> Cameras:
    """Cameras of one image size as a batch with a new leading dimension."""
    sizes = {camera.image_size for camera in cameras}
    if len(sizes) != 1:
        raise InputError(f"cameras of one image size expected; got (height, width) {sorted(sizes)}")
    return Cameras(
        torch.stack([camera.world_to_cam for camera in cameras]),
        torch.stack([camera.intrinsics for camera in cameras]),
        sizes.pop(),
    )


def intrinsics_from_fov(
    fov_y_deg: float | Float[Tensor, "*batch"], image_size: tuple[int, int]
) -> Float[Tensor, "*batch 3 3"]:
    """Square pixels, principal point in the middle, vertical field of view in degrees."""
    height, width = image_size
    fov_y_deg = torch.as_tensor(fov_y_deg, dtype=torch.get_default_dtype())
    focal = height / 2 / torch.tan(torch.deg2rad(fov_y_deg) / 2)
    zero, one = torch.zeros_like(focal), torch.ones_like(focal)
    rows = ((focal, zero, one * width / 2), (zero, focal, one * height / 2), (zero, zero, one))
    return torch.stack([torch.stack(row, -1) for row in rows], -2)
