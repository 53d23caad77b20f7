"""The peer of `benchmarks/rasterize.py`: tiles in plain torch, as good as they get without a kernel.

Same tiles, rules and projection as `fourreal.splat`. What makes it decent: one gather and one
scatter for all (tile, Gaussian) pairs, dense blocks of Gaussians by pixels inside a tile, an end
when every pixel of a tile is finished, and recomputation in the backward pass instead of memory.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from fourreal.splat.projection import ALPHA_SKIP, ScreenGaussians

TILE = 16
BLOCK = 4096  # Gaussians at a time; smaller blocks end sooner but cost more in the backward pass


def render_tiles(screen: ScreenGaussians, channels: Tensor, image_size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """As `fourreal.splat.numba_tiles.render_tiles`."""
    images, count, depth = channels.shape
    parameters = torch.cat(
        [
            screen.means2d.reshape(images, count, 2),
            screen.conics.reshape(images, count, 3),
            screen.opacities.reshape(images, count, 1),
            channels,
        ],
        -1,
    )
    radii, depths = screen.radii.reshape(images, count, 2), screen.depths.reshape(images, count)
    joined = torch.stack([_render_image(*image, image_size) for image in zip(parameters, radii, depths, strict=True)])
    return joined[:, :depth], joined[:, depth]


def _render_image(parameters: Tensor, radii: Tensor, depths: Tensor, image_size: tuple[int, int]) -> Tensor:
    height, width = image_size
    down, across = -(-height // TILE), -(-width // TILE)
    members, lengths = _members(parameters[:, :2].detach(), radii, depths.detach(), (down, across))
    tiles = []
    for index, part in enumerate(parameters[members].split(lengths)):
        corner = (index % across * TILE, index // across * TILE)
        tiles.append(_render_tile(part, corner))
    picture = torch.stack(tiles).reshape(down, across, -1, TILE, TILE)
    return picture.permute(2, 0, 3, 1, 4).reshape(-1, down * TILE, across * TILE)[:, :height, :width]


@torch.no_grad()
def _members(means2d: Tensor, radii: Tensor, depths: Tensor, tiles: tuple[int, int]) -> tuple[Tensor, list[int]]:
    """Gaussians of all tiles, row by row and front to back, and how many each tile has."""
    drawn = (radii[:, 0] > 0).nonzero()[:, 0]
    drawn = drawn[depths[drawn].argsort(stable=True)]
    limits = torch.tensor([tiles[1], tiles[0]])
    low = ((means2d[drawn] - radii[drawn]) / TILE).floor().long().clamp(min=0)
    high = torch.minimum(((means2d[drawn] + radii[drawn]) / TILE).ceil().long(), limits)
    spans = (high - low).clamp(min=0)
    areas = spans.prod(-1)
    owner = torch.repeat_interleave(torch.arange(len(drawn)), areas)
    within = torch.arange(len(owner)) - (areas.cumsum(0) - areas)[owner]
    column = low[owner, 0] + within % spans[owner, 0]
    row = low[owner, 1] + within // spans[owner, 0]
    tile = row * tiles[1] + column
    order = tile.argsort(stable=True)
    return drawn[owner[order]], torch.bincount(tile, minlength=tiles[0] * tiles[1]).tolist()


def _render_tile(parameters: Tensor, corner: tuple[int, int]) -> Tensor:
    """[channels + light, 16, 16] of one tile."""
    depth = parameters.shape[1] - 6
    center = torch.tensor([corner[0] + TILE / 2, corner[1] + TILE / 2])
    light, is_open = torch.ones(TILE * TILE), torch.ones(TILE * TILE, dtype=torch.bool)
    blended = torch.zeros(depth, TILE * TILE)
    for block in parameters.split(BLOCK):
        if len(block) == 0 or not is_open.any():
            break
        added, light, is_open = checkpoint(
            _blend_block, block, center, light, is_open, use_reentrant=False, preserve_rng_state=False
        )
        blended = blended + added
    return torch.cat([blended, light[None]]).reshape(depth + 1, TILE, TILE)


def _blend_block(block: Tensor, center: Tensor, light: Tensor, is_open: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    (x, y), (xx, xy, yy), opacity = (block[:, :2] - center).T, block[:, 2:5].T, block[:, 5]
    # The exponent is a quadratic form in the pixel: one matrix product instead of ten passes over the block.
    along_x, along_y = xx * x + xy * y, xy * x + yy * y
    constant = torch.log(opacity) - 0.5 * (along_x * x + along_y * y)
    form = torch.stack([-0.5 * xx, -xy, -0.5 * yy, along_x, along_y, constant], -1)
    alpha = torch.exp(form @ _MONOMIALS)
    alpha = torch.where(alpha >= ALPHA_SKIP, alpha.clamp(max=0.999), 0)
    after = light * torch.cumprod(1 - alpha, 0)
    goes_on = is_open & (after > 1e-4)
    before = torch.cat([light[None], after[:-1]])
    weight = torch.where(goes_on, alpha * before, 0)
    return block[:, 6:].T @ weight, light - weight.sum(0), goes_on[-1]


def _monomials() -> Tensor:
    y, x = torch.meshgrid(torch.arange(TILE) + 0.5 - TILE / 2, torch.arange(TILE) + 0.5 - TILE / 2, indexing="ij")
    x, y = x.flatten(), y.flatten()
    return torch.stack([x * x, x * y, y * y, x, y, torch.ones_like(x)])


_MONOMIALS = _monomials()
