"""Rendering on CUDA by gsplat: projection and tiles, from its public building blocks.

`gsplat.rasterization` itself is not called, because it joins projection and tiles in one step:
then `means2d` could not have our batch dimensions and still receive gradients, and intrinsics
would get none. The calls below are the ones it makes.

Source: gsplat 1.5.3, the functions of the same names.
"""

from __future__ import annotations

from types import ModuleType

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians
from fourreal.splat.projection import RasterOptions, ScreenGaussians, project

TILE = 16
CHANNELS_AT_ONCE = 32
"""gsplat keeps all channels of a pixel in registers; more at once are slower than several passes."""


def project_by_gsplat(gaussians: Gaussians, cameras: Cameras, options: RasterOptions) -> ScreenGaussians:
    """As `projection.project`, by gsplat's fused kernel where that can do it.

    The kernel knows no skew and gives intrinsics no gradient; cameras that need either are
    projected in torch.
    """
    gsplat, intrinsics = _gsplat(), cameras.intrinsics
    batch, (height, width), count = cameras.batch_shape, cameras.image_size, len(gaussians)
    nothing = count * intrinsics.numel() == 0
    if nothing or intrinsics.requires_grad or bool((intrinsics[..., 0, 1] != 0).any()):
        return project(gaussians, cameras, options)
    radii, means2d, depths, conics, compensations = gsplat.fully_fused_projection(
        gaussians.means,
        None,
        gaussians.quats_wxyz,
        gaussians.scales,
        cameras.world_to_cam.reshape(-1, 4, 4),
        intrinsics.reshape(-1, 3, 3),
        width,
        height,
        eps2d=options.eps2d,
        near_plane=options.near,
        far_plane=options.far,
        packed=False,
        calc_compensations=options.mode == "antialiased",
        opacities=gaussians.opacities,
    )
    opacities = gaussians.opacities.expand_as(depths)
    if compensations is not None:
        opacities = opacities * compensations
    drawn = (radii > 0).all(-1)  # the kernel leaves the other entries uninitialised
    return ScreenGaussians(
        means2d=torch.where(drawn[..., None], means2d, 0).reshape(*batch, count, 2),
        depths=torch.where(drawn, depths, 0).reshape(*batch, count),
        conics=torch.where(drawn[..., None], conics, 0).reshape(*batch, count, 3),
        radii=torch.where(drawn[..., None], radii, 0).reshape(*batch, count, 2),
        opacities=torch.where(drawn, opacities, 0).reshape(*batch, count),
    )


def render_tiles(
    screen: ScreenGaussians, channels: Float[Tensor, "I N D"], image_size: tuple[int, int]
) -> tuple[Float[Tensor, "I D H W"], Float[Tensor, "I H W"]]:
    """As `numba_tiles.render_tiles`, by gsplat's kernels."""
    gsplat = _gsplat()
    images, count, depth = channels.shape
    height, width = image_size
    if images == 0 or count == 0:  # gsplat cannot launch on nothing; the sum keeps the graph whole
        nothing = channels.sum() * 0
        return nothing.expand(images, depth, height, width), nothing.expand(images, height, width) + 1
    means2d, conics = screen.means2d.reshape(images, count, 2), screen.conics.reshape(images, count, 3)
    depths, radii = screen.depths.reshape(images, count), screen.radii.reshape(images, count, 2)
    across, down = -(-width // TILE), -(-height // TILE)
    _, ids, members = gsplat.isect_tiles(means2d.detach(), radii, depths.detach(), TILE, across, down)
    offsets = gsplat.isect_offset_encode(ids, images, across, down)
    opacities = screen.opacities.reshape(images, count)
    parts = [
        gsplat.rasterize_to_pixels(means2d, conics, part, opacities, width, height, TILE, offsets, members)
        for part in channels.split(CHANNELS_AT_ONCE, dim=-1)
    ]
    blended = torch.cat([part for part, _ in parts], -1)
    return rearrange(blended, "i h w d -> i d h w"), 1 - parts[0][1].squeeze(-1)


def _gsplat() -> ModuleType:
    try:
        import gsplat  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            "rendering on CUDA needs gsplat; install it with `pip install 'fourreal[cuda]'` or render on the CPU"
        ) from error
    return gsplat
