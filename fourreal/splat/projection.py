"""3D Gaussians to 2D Gaussians on the image (EWA splatting), in plain torch.

Autograd gives all gradients, those of poses and intrinsics included. What cannot be seen is
masked before any division or product that could overflow, so gradients stay finite.

Source: 3D Gaussian Splatting (Kerbl et al. 2023), section 4 and appendix A; the opacity-aware
radius is of StopThePop (Radl et al. 2024), appendix B.2; the opacity compensation is of
Mip-Splatting (Yu et al. 2024), section 4.2, with gsplat's constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians
from fourreal.core.rotations import quat_to_matrix

ALPHA_SKIP = 1 / 255
"""Fainter contributions to a pixel are left out."""
REACH_SIGMAS = 3.33
"""Beyond this many standard deviations even an opaque Gaussian is below `ALPHA_SKIP`."""
LARGEST_SIGMA_PX = 1e8
"""Wider footprints would overflow float32 and are not drawn."""
LARGEST_TANGENT = 1e6
"""A centre further off the optical axis is not drawn, for the same reason."""


@dataclass(frozen=True)
class RasterOptions:
    """How to render; the defaults are gsplat's.

    Attributes:
        near, far: centres at a z-depth outside are not drawn, world units.
        eps2d: variance in square pixels added to every footprint (a blur of about half a pixel).
        mode: `classic` as in 3DGS; `antialiased` lowers the opacity of small Gaussians by what the
            blur widened them, so that brightness does not depend on the resolution.
        sh_degree: evaluate the harmonics up to this degree; None for all there are.

    Raises:
        InputError: a value out of range.
    """

    near: float = 0.01
    far: float = 1e10
    eps2d: float = 0.3
    mode: Literal["classic", "antialiased"] = "classic"
    sh_degree: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.near < self.far:
            raise InputError(f"0 < near < far expected; got near {self.near} and far {self.far}")
        if not self.eps2d > 0:
            raise InputError(f"eps2d must be positive (square pixels); got {self.eps2d}")
        if self.mode not in ("classic", "antialiased"):
            raise InputError(f"mode must be 'classic' or 'antialiased'; got {self.mode!r}")
        if self.sh_degree is not None and not 0 <= self.sh_degree <= 3:
            raise InputError(f"sh_degree must be 0 to 3, or None for all; got {self.sh_degree}")


DEFAULT_OPTIONS = RasterOptions()


@dataclass(frozen=True)
class ScreenGaussians:
    """The Gaussians as each camera sees them. Where nothing is drawn, all entries are 0.

    Attributes:
        means2d: centres (x, y), pixels. Call `means2d.retain_grad()` before `backward()` to get
            the screen-space gradients that densification looks at.
        depths: z-depth of the centres, world units.
        conics: (xx, xy, yy) of the inverse 2D covariance, 1 / square pixels.
        radii: half sizes (x, y) of the box a Gaussian can touch, whole pixels; 0 when not drawn.
        opacities: as drawn, that is with the antialiased mode's compensation.
    """

    means2d: Float[Tensor, "*batch N 2"]
    depths: Float[Tensor, "*batch N"]
    conics: Float[Tensor, "*batch N 3"]
    radii: Int[Tensor, "*batch N 2"]
    opacities: Float[Tensor, "*batch N"]

    @property
    def drawn(self) -> Tensor:
        """Bool [*batch N]: which Gaussians reach the image."""
        return self.radii[..., 0] > 0


def project(gaussians: Gaussians, cameras: Cameras, options: RasterOptions) -> ScreenGaussians:
    """Project every Gaussian into every camera; differentiable except for `radii`."""
    world_to_cam, intrinsics = cameras.world_to_cam, cameras.intrinsics
    in_camera = gaussians.means @ world_to_cam[..., :3, :3].mT + world_to_cam[..., None, :3, 3]
    x, y, z = in_camera.unbind(-1)
    placed = (z >= options.near) & (z <= options.far)
    placed &= torch.maximum(x.abs(), y.abs()) <= LARGEST_TANGENT * z
    z = torch.where(placed, z, 1)
    x, y = (torch.where(placed, axis, 0) / z for axis in (x, y))
    fx, skew, cx = (intrinsics[..., 0, column, None] for column in range(3))
    fy, cy = intrinsics[..., 1, 1, None], intrinsics[..., 1, 2, None]
    means2d = torch.stack([fx * x + skew * y + cx, fy * y + cy], -1)

    rows = _footprint_rows(gaussians, cameras, (x, y, z))
    sane = placed & (torch.maximum(*(row.detach().abs().amax(-2) for row in rows)) < LARGEST_SIGMA_PX)
    row_x, row_y = (torch.where(sane[..., None, :], row, 0) for row in rows)
    xx, xy, yy = (row_x * row_x).sum(-2), (row_x * row_y).sum(-2), (row_y * row_y).sum(-2)
    # By the cross product, because xx * yy - xy * xy loses all digits of a thin Gaussian in float32.
    thickness = torch.linalg.cross(row_x, row_y, dim=-2).square().sum(-2)
    det = thickness + options.eps2d * (xx + yy) + options.eps2d**2
    xx, yy = xx + options.eps2d, yy + options.eps2d
    conics = torch.stack([yy, -xy, xx], -1) / det[..., None]
    opacities = gaussians.opacities.expand_as(det)
    if options.mode == "antialiased":
        # A flat Gaussian has thickness 0, where the square root has no slope: it is not drawn.
        flat = thickness <= 0
        opacities = opacities * torch.where(flat, 0, torch.sqrt(torch.where(flat, 1, thickness) / det))
    radii = _radii(sane, means2d, torch.stack([xx, yy], -1), opacities, cameras.image_size)
    drawn = radii[..., 0] > 0
    return ScreenGaussians(
        means2d=torch.where(drawn[..., None], means2d, 0),
        depths=torch.where(drawn, z, 0),
        conics=torch.where(drawn[..., None], conics, 0),
        radii=radii,
        opacities=torch.where(drawn, opacities, 0),
    )


def _footprint_rows(
    gaussians: Gaussians, cameras: Cameras, position: tuple[Tensor, Tensor, Tensor]
) -> tuple[Float[Tensor, "*batch 3 N"], Float[Tensor, "*batch 3 N"]]:
    """The two rows of `J W R S`, whose outer product with itself is the 2D covariance.

    `position` is (x / z, y / z, z). The Jacobian J of the perspective is taken at the centre, or
    where the centre is far outside the image, at the nearest direction 15 % of the image outside:
    the linearisation means nothing further out.
    """
    x, y, z = (axis[..., None, :] for axis in position)
    intrinsics, (height, width) = cameras.intrinsics[..., None, None], cameras.image_size
    fx, skew, cx = (intrinsics[..., 0, column, :, :] for column in range(3))
    fy, cy = intrinsics[..., 1, 1, :, :], intrinsics[..., 1, 2, :, :]
    x = torch.clamp(x, -(cx + 0.15 * width) / fx, (1.15 * width - cx) / fx)
    y = torch.clamp(y, -(cy + 0.15 * height) / fy, (1.15 * height - cy) / fy)
    axes = rearrange(quat_to_matrix(gaussians.quats_wxyz) * gaussians.scales[:, None], "n k j -> k (j n)")
    in_camera = rearrange(cameras.world_to_cam[..., :3, :3] @ axes, "... k (j n) -> ... k j n", j=3)
    along_x, along_y, along_z = in_camera.unbind(-3)
    row_x = (fx * along_x + skew * along_y - (fx * x + skew * y) * along_z) / z
    row_y = (fy * along_y - fy * y * along_z) / z
    return row_x, row_y


@torch.no_grad()
def _radii(
    sane: Tensor, means2d: Tensor, variances: Tensor, opacities: Tensor, image_size: tuple[int, int]
) -> Int[Tensor, "*batch N 2"]:
    """Whole pixels to the last one that can reach `ALPHA_SKIP`; 0 when none does or none is in the image."""
    visible = opacities / ALPHA_SKIP
    reach = torch.sqrt(2 * torch.log(visible.clamp(min=1))).clamp(max=REACH_SIGMAS)
    radii = torch.ceil(reach[..., None] * torch.sqrt(variances))
    size = means2d.new_tensor([image_size[1], image_size[0]])
    inside = ((means2d + radii > 0) & (means2d - radii < size)).all(-1)
    drawn = sane & inside & (visible >= 1) & (radii > 0).all(-1)
    return torch.where(drawn[..., None], radii, 0).to(torch.int32)
