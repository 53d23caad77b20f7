"""`rasterize`: Gaussians and cameras to pictures, differentiable, on CPU and CUDA.

Source: 3D Gaussian Splatting (Kerbl et al. 2023), section 4 (projection) and equations 2-3 (blending).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians
from fourreal.splat import projection
from fourreal.splat.projection import DEFAULT_OPTIONS, RasterOptions, ScreenGaussians
from fourreal.splat.sh import view_colors

Projector = Callable[[Gaussians, Cameras, RasterOptions], ScreenGaussians]
TileRenderer = Callable[[ScreenGaussians, Tensor, tuple[int, int]], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Rendering:
    """What the cameras see.

    Attributes:
        color: sRGB over the background; not clipped, harmonics may overshoot 1.
        alpha: how much of the background is hidden, in [0, 1].
        depth: expected z-depth (blended depth divided by alpha), world units; 0 where alpha is 0.
        features: the blended features, on zeros; not divided by alpha. None when none were given.
        screen: the projected Gaussians.
    """

    color: Float[Tensor, "*batch 3 H W"]
    alpha: Float[Tensor, "*batch H W"]
    depth: Float[Tensor, "*batch H W"]
    features: Float[Tensor, "*batch F H W"] | None
    screen: ScreenGaussians


def rasterize(
    gaussians: Gaussians,
    cameras: Cameras,
    *,
    features: Float[Tensor, "N F"] | None = None,
    background: Float[Tensor, "*#batch 3"] | None = None,
    options: RasterOptions = DEFAULT_OPTIONS,
) -> Rendering:
    """Render Gaussians into any batch of cameras (or a single one), by gsplat's conventions.

    Pixel centres at +0.5; contributions below 1/255 are skipped and a pixel is finished when less
    than 1e-4 of the light passes; Gaussians are sorted by the z-depth of their centres. Gradients
    flow to every field of `gaussians`, to `features`, `background`, `cameras.world_to_cam` and
    `cameras.intrinsics`. On the CPU the pixel arithmetic is float32 whatever the input; the first
    call ever on a machine compiles for about half a minute.

    Args:
        features: any further quantities per Gaussian, blended like colours.
        background: sRGB, one for all cameras or one each; black when left out.

    Raises:
        InputError: shapes or devices do not match, or CUDA is used without the extra `cuda`.
    """
    _check(gaussians, cameras, features, background, options)
    with torch.autocast(gaussians.means.device.type, enabled=False):
        return _render(*_in_one_dtype(gaussians, cameras, features, background), options)


def _render(
    gaussians: Gaussians, cameras: Cameras, features: Tensor | None, background: Tensor | None, options: RasterOptions
) -> Rendering:
    project, render_tiles = _backend(gaussians.means.device.type)
    screen = project(gaussians, cameras, options)
    batch, count = cameras.batch_shape, len(gaussians)
    degree = gaussians.sh_degree if options.sh_degree is None else options.sh_degree
    channels = [view_colors(gaussians.sh, gaussians.means, cameras.centers, degree), screen.depths[..., None]]
    if features is not None:
        channels.append(features.expand(*batch, *features.shape))
    flat = torch.cat(channels, -1)
    flat = flat.reshape(math.prod(batch), count, flat.shape[-1])
    blended, light = render_tiles(screen, flat, cameras.image_size)
    blended, light = blended.reshape(*batch, *blended.shape[1:]), light.reshape(*batch, *light.shape[1:])

    alpha = 1 - light
    color = blended[..., :3, :, :]
    if background is not None:
        color = color + background[..., None, None] * light[..., None, :, :]
    covered = alpha > 0
    depth = torch.where(covered, blended[..., 3, :, :] / torch.where(covered, alpha, 1), 0)
    return Rendering(color, alpha, depth, None if features is None else blended[..., 4:, :, :], screen)


def _backend(device_type: str) -> tuple[Projector, TileRenderer]:
    if device_type == "cuda":
        from fourreal.splat import gsplat_tiles

        return gsplat_tiles.project_by_gsplat, gsplat_tiles.render_tiles
    from fourreal.splat import numba_tiles

    return projection.project, numba_tiles.render_tiles


def _check(
    gaussians: Gaussians, cameras: Cameras, features: Tensor | None, background: Tensor | None, options: RasterOptions
) -> None:
    device = gaussians.means.device
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"Gaussians can be rendered on cpu and cuda; got {device}; move them with .to('cpu')")
    others = {"cameras": cameras.world_to_cam, "features": features, "background": background}
    for name, tensor in others.items():
        if tensor is not None and tensor.device != device:
            raise InputError(f"{name} must be on {device} as the Gaussians are; got {tensor.device}")
    if features is not None and (features.ndim != 2 or len(features) != len(gaussians)):
        raise InputError(f"features must have shape [{len(gaussians)}, F]; got {list(features.shape)}")
    if background is not None and not _broadcasts(background, (*cameras.batch_shape, 3)):
        raise InputError(f"background must have shape {[*cameras.batch_shape, 3]} or [3]; got {list(background.shape)}")
    if options.sh_degree is not None and options.sh_degree > gaussians.sh_degree:
        raise InputError(
            f"sh_degree {options.sh_degree} was asked for; the Gaussians have degree {gaussians.sh_degree}"
        )


def _broadcasts(tensor: Tensor, shape: tuple[int, ...]) -> bool:
    try:
        return tensor.shape[-1:] == (3,) and torch.broadcast_shapes(tensor.shape, shape) == shape
    except RuntimeError:
        return False


def _in_one_dtype(
    gaussians: Gaussians, cameras: Cameras, features: Tensor | None, background: Tensor | None
) -> tuple[Gaussians, Cameras, Tensor | None, Tensor | None]:
    """Everything in float32, or in float64 when the Gaussians are."""
    dtype = torch.float64 if gaussians.means.dtype == torch.float64 else torch.float32
    fields = ("means", "quats_wxyz", "scales", "opacities", "sh")
    if any(getattr(gaussians, name).dtype != dtype for name in fields):
        gaussians = Gaussians(*(getattr(gaussians, name).to(dtype) for name in fields))
    if cameras.world_to_cam.dtype != dtype or cameras.intrinsics.dtype != dtype:
        cameras = replace(cameras, world_to_cam=cameras.world_to_cam.to(dtype), intrinsics=cameras.intrinsics.to(dtype))
    features = None if features is None else features.to(dtype)
    background = None if background is None else background.to(dtype)
    return gaussians, cameras, features, background
