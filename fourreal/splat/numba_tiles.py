"""Tiles on the CPU: 2D Gaussians to pixels and back, compiled by Numba.

The image is cut into 16 x 16 tiles. Each tile walks through its Gaussians from front to back, and
each Gaussian touches only the pixels of the tile inside its box, row by row, which LLVM turns into
vector instructions. Tiles run in parallel and share nothing: the backward pass writes one row of
gradients per (tile, Gaussian) pair, and the rows are summed afterwards in a fixed order. So there
are no atomics, and the same input gives the same bits whatever the threads do.

The numbers are float32, as on a GPU; the rules (thresholds, pixel centres, order) are gsplat's.

Source: 3D Gaussian Splatting (Kerbl et al. 2023), section 6 and appendix C.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.compiled import compiled, inlined, kernels
from fourreal.splat.projection import ALPHA_SKIP, ScreenGaussians

TILE = 16
_ALPHA_SKIP = np.float32(ALPHA_SKIP)
_ALPHA_MAX = np.float32(0.999)
_LIGHT_STOP = np.float32(1e-4)
_CHECK_EVERY = 8  # Gaussians between two looks at whether a tile is finished
_GEOMETRY = 6  # gradient columns before the channels: mean x, y; conic xx, xy, yy; opacity


def render_tiles(
    screen: ScreenGaussians, channels: Float[Tensor, "I N D"], image_size: tuple[int, int]
) -> tuple[Float[Tensor, "I D H W"], Float[Tensor, "I H W"]]:
    """Blend `channels` of I images of projected Gaussians, front to back.

    Returns the blended channels on black, and the light that passes all Gaussians (1 - alpha).
    Differentiable once in the means, conics, opacities and channels.
    """
    images, count, _ = channels.shape
    differentiable = (
        screen.means2d.reshape(images, count, 2),
        screen.conics.reshape(images, count, 3),
        screen.opacities.reshape(images, count),
        channels,
    )
    radii, depths = screen.radii.reshape(images, count, 2), screen.depths.detach().reshape(images, count)
    blended, light = _Tiles.apply(*(tensor.float() for tensor in differentiable), radii, depths, image_size)
    return blended.to(channels.dtype), light.to(channels.dtype)


class _Tiles(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, means2d, conics, opacities, channels, radii, depths, image_size):
        scene = tuple(_array(tensor) for tensor in (means2d, conics, opacities, channels))
        images, _, depth = channels.shape
        order = torch.where(radii[..., 0] > 0, depths, torch.inf).sort(dim=-1, stable=True).indices
        blended = np.empty((images, depth, *image_size), np.float32)
        light = np.empty((images, *image_size), np.float32)
        last = np.empty((images, *image_size), np.int64)
        with kernels():
            bins = _bin(scene[0], _array(radii), _array(order), image_size)
            _blend(scene, bins, blended, light, last)
        ctx.save_for_backward(means2d, conics, opacities, channels)
        ctx.bins, ctx.light, ctx.last = bins, light, last
        return torch.from_numpy(blended), torch.from_numpy(light)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        scene = tuple(_array(tensor) for tensor in ctx.saved_tensors)
        _, starts, members = ctx.bins
        rows = np.zeros((len(members), _GEOMETRY + scene[3].shape[-1]), np.float32)
        summed = np.zeros((*scene[2].shape, rows.shape[-1]), np.float32)
        with kernels():
            grads = tuple(_array(grad) for grad in grad_outputs)
            _blend_backward(scene, ctx.bins, ctx.light, ctx.last, grads, rows)
            _sum_rows(rows, starts, members, summed)
        total = torch.from_numpy(summed)
        return total[..., :2], total[..., 2:5], total[..., 5], total[..., _GEOMETRY:], None, None, None


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def _bin(means2d: np.ndarray, radii: np.ndarray, order: np.ndarray, image_size: tuple[int, int]):
    """Pixel boxes of all Gaussians, and for each tile of each image its members, nearest first.

    Returns `boxes` [I, N, 4] (left, right, top, bottom; ends exclusive), `starts` [I * tiles + 1]
    and `members`, the Gaussians of tile t being `members[starts[t] : starts[t + 1]]`.
    """
    height, width = image_size
    counts = np.zeros((len(order), -(-height // TILE), -(-width // TILE)), np.int64)
    boxes = np.empty((*order.shape, 4), np.int32)
    _find_boxes(means2d, radii, boxes, counts, height, width)
    starts = np.concatenate([np.zeros(1, np.int64), counts.cumsum()])
    members = np.empty(int(starts[-1]), np.int32)
    _fill_members(boxes, order, starts[:-1].reshape(counts.shape).copy(), members)
    return boxes, starts, members


@inlined
def _span(center, radius, limit):
    """Pixels [first, end) of 0 .. limit whose centres lie within `radius` of `center`."""
    first = max(np.ceil(center - radius - np.float32(0.5)), np.float32(0))
    end = min(np.floor(center + radius - np.float32(0.5)) + np.float32(1), np.float32(limit))
    return np.int64(first), max(np.int64(end), np.int64(first))


@inlined
def _falloff(dx, dy, xx, xy, yy):
    """exp(-sigma) of a Gaussian at an offset from its centre, relative error below 1e-6.

    Beyond sigma = 8, where no alpha reaches 1/255, it stays constant; below 0, where only rounding
    leads, it is 0. A library exp would not vectorise: this is a polynomial (Chebyshev interpolation)
    for sigma / 8 in [0, 1], and three squarings.
    """
    sigma = np.float32(0.5) * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
    y = min(max(sigma, np.float32(0)), np.float32(8)) * np.float32(0.125)
    p = np.float32(8.490078726e-4)
    p = p * y - np.float32(7.6543251018e-3)
    p = p * y + np.float32(4.12233176718e-2)
    p = p * y - np.float32(1.66515167041e-1)
    p = p * y + np.float32(4.9997509124e-1)
    p = p * y - np.float32(9.99998453808e-1)
    p = p * y + np.float32(9.99999984244e-1)
    p = p * p
    p = p * p
    return p * p if sigma >= 0 else np.float32(0)


@compiled
def _find_boxes(means2d, radii, boxes, counts, height, width):
    for image in numba.prange(boxes.shape[0]):
        for g in range(boxes.shape[1]):
            left = right = top = bottom = 0
            if radii[image, g, 0] > 0:
                left, right = _span(means2d[image, g, 0], np.float32(radii[image, g, 0]), width)
                top, bottom = _span(means2d[image, g, 1], np.float32(radii[image, g, 1]), height)
            if left >= right or top >= bottom:
                left = right = top = bottom = 0
            else:
                for row in range(top // TILE, (bottom - 1) // TILE + 1):
                    for column in range(left // TILE, (right - 1) // TILE + 1):
                        counts[image, row, column] += 1
            boxes[image, g, 0], boxes[image, g, 1] = left, right
            boxes[image, g, 2], boxes[image, g, 3] = top, bottom


@compiled
def _fill_members(boxes, order, free, members):
    for image in numba.prange(order.shape[0]):
        for position in range(order.shape[1]):
            g = order[image, position]
            left, right, top, bottom = boxes[image, g]
            if right > left:
                for row in range(top // TILE, (bottom - 1) // TILE + 1):
                    for column in range(left // TILE, (right - 1) // TILE + 1):
                        members[free[image, row, column]] = g
                        free[image, row, column] += 1


@inlined
def _place(means2d, boxes, image, g, x_tile, y_tile):
    """The box of a Gaussian in tile coordinates, and the offset of the tile's first pixel from its centre."""
    left, right = max(boxes[image, g, 0] - x_tile, 0), min(boxes[image, g, 1] - x_tile, TILE)
    top, bottom = max(boxes[image, g, 2] - y_tile, 0), min(boxes[image, g, 3] - y_tile, TILE)
    x_first = np.float32(x_tile) + np.float32(0.5) - means2d[image, g, 0]
    y_first = np.float32(y_tile) + np.float32(0.5) - means2d[image, g, 1]
    return left, right, top, bottom, x_first, y_first


@inlined
def _find_open_rows(passing, rows_open):
    """Note which rows of a tile still have unfinished pixels; returns whether any has."""
    any_open = False
    for y in range(TILE):
        row_open = False
        for x in range(TILE):
            row_open |= passing[y, x] > 0
        rows_open[y] = row_open
        any_open |= row_open
    return any_open


@compiled
def _blend(scene, bins, blended, light, last):
    means2d, conics, opacities, channels = scene
    boxes, starts, members = bins
    images, depth, height, width = blended.shape
    down, across = (height + TILE - 1) // TILE, (width + TILE - 1) // TILE
    for tile in numba.prange(images * down * across):
        image = tile // (down * across)
        y_tile, x_tile = tile // across % down * TILE, tile % across * TILE
        color = np.zeros((depth, TILE, TILE), np.float32)
        passing = np.ones((TILE, TILE), np.float32)  # light left, 0 once a pixel is finished
        kept = np.ones((TILE, TILE), np.float32)  # light left when it finished
        final = np.full((TILE, TILE), np.int64(-1))  # the last Gaussian that counted
        weight = np.empty(TILE, np.float32)
        rows_open = np.ones(TILE, np.bool_)
        for k in range(starts[tile], starts[tile + 1]):
            if (k - starts[tile]) % _CHECK_EVERY == 0 and not _find_open_rows(passing, rows_open):
                break
            g = members[k]
            xx, xy, yy = conics[image, g, 0], conics[image, g, 1], conics[image, g, 2]
            opacity = opacities[image, g]
            left, right, top, bottom, x_first, y_first = _place(means2d, boxes, image, g, x_tile, y_tile)
            for y in range(top, bottom):
                if not rows_open[y]:
                    continue
                dy = y_first + np.float32(y)
                for x in range(left, right):
                    alpha = min(opacity * _falloff(x_first + np.float32(x), dy, xx, xy, yy), _ALPHA_MAX)
                    alpha = alpha if alpha >= _ALPHA_SKIP else np.float32(0)
                    after = passing[y, x] * (np.float32(1) - alpha)
                    goes_on = after > _LIGHT_STOP
                    weight[x] = alpha * passing[y, x] if goes_on else np.float32(0)
                    passing[y, x] = after if goes_on else np.float32(0)
                    kept[y, x] = after if goes_on else kept[y, x]
                    final[y, x] = k if weight[x] > 0 else final[y, x]
                for c in range(depth):
                    value = channels[image, g, c]
                    for x in range(left, right):
                        color[c, y, x] += weight[x] * value
        for y in range(min(TILE, height - y_tile)):
            for x in range(min(TILE, width - x_tile)):
                light[image, y_tile + y, x_tile + x] = kept[y, x]
                last[image, y_tile + y, x_tile + x] = final[y, x]
                for c in range(depth):
                    blended[image, c, y_tile + y, x_tile + x] = color[c, y, x]


@compiled
def _blend_backward(scene, bins, light, last, grads, rows):
    grad_blended, grad_light = grads
    starts = bins[1]
    images, depth, height, width = grad_blended.shape
    down, across = (height + TILE - 1) // TILE, (width + TILE - 1) // TILE
    for tile in numba.prange(images * down * across):
        image = tile // (down * across)
        y_tile, x_tile = tile // across % down * TILE, tile % across * TILE
        passing = np.ones((TILE, TILE), np.float32)
        behind = np.zeros((TILE, TILE), np.float32)
        final = np.full((TILE, TILE), np.int64(-1))
        grad = np.zeros((depth, TILE, TILE), np.float32)
        for y in range(min(TILE, height - y_tile)):
            for x in range(min(TILE, width - x_tile)):
                passing[y, x] = light[image, y_tile + y, x_tile + x]
                behind[y, x] = passing[y, x] * grad_light[image, y_tile + y, x_tile + x]
                final[y, x] = last[image, y_tile + y, x_tile + x]
                for c in range(depth):
                    grad[c, y, x] = grad_blended[image, c, y_tile + y, x_tile + x]
        _undo_tile((image, starts[tile], x_tile, y_tile), scene, bins, (passing, behind, final, grad), rows)


@inlined
def _undo_tile(tile, scene, bins, pixels, rows):
    """Walk one tile from back to front, undoing the blending, and write its gradient rows.

    `behind` is what lies behind the present Gaussian, already multiplied by the pixel's gradient,
    so that it is one number a pixel whatever the count of channels.
    """
    image, first, x_tile, y_tile = tile
    means2d, conics, opacities, channels = scene
    boxes, _, members = bins
    passing, behind, final, grad = pixels
    depth = len(grad)
    weight, shade = np.empty(TILE, np.float32), np.empty(TILE, np.float32)
    slopes = np.empty((3, TILE), np.float32)  # column sums of d loss / d sigma, times 1, dy, dy^2
    tints = np.empty((depth, TILE), np.float32)  # column sums of d loss / d channel
    row_final = np.empty(TILE, np.int64)
    for y in range(TILE):
        row_final[y] = final[y].max()
    for k in range(row_final.max(), first - 1, -1):
        g = members[k]
        xx, xy, yy = conics[image, g, 0], conics[image, g, 1], conics[image, g, 2]
        opacity = opacities[image, g]
        left, right, top, bottom, x_first, y_first = _place(means2d, boxes, image, g, x_tile, y_tile)
        slopes[:] = 0
        tints[:] = 0
        for y in range(top, bottom):
            if k > row_final[y]:
                continue
            dy = y_first + np.float32(y)
            shade[left:right] = 0
            for c in range(depth):
                value = channels[image, g, c]
                for x in range(left, right):
                    shade[x] += value * grad[c, y, x]
            for x in range(left, right):
                free = opacity * _falloff(x_first + np.float32(x), dy, xx, xy, yy)
                alpha = min(free, _ALPHA_MAX)
                used = (alpha >= _ALPHA_SKIP) & (k <= final[y, x])
                alpha = alpha if used else np.float32(0)
                unblocked = np.float32(1) / (np.float32(1) - alpha)
                passing[y, x] *= unblocked
                weight[x] = alpha * passing[y, x]
                slope = -free * (passing[y, x] * shade[x] - behind[y, x] * unblocked)
                slope = slope if used & (free <= _ALPHA_MAX) else np.float32(0)
                behind[y, x] += weight[x] * shade[x]
                slopes[0, x] += slope
                slopes[1, x] += slope * dy
                slopes[2, x] += slope * dy * dy
            for c in range(depth):
                for x in range(left, right):
                    tints[c, x] += weight[x] * grad[c, y, x]
        _write_row(rows[k], slopes, tints, left, right, x_first, opacity, (xx, xy, yy))


@inlined
def _write_row(row, slopes, tints, left, right, x_first, opacity, conic):
    """Column sums of one Gaussian in one tile to its gradient row."""
    total = sum_dx = sum_dy = sum_dxdx = sum_dxdy = sum_dydy = np.float32(0)
    for x in range(left, right):
        dx = x_first + np.float32(x)
        total += slopes[0, x]
        sum_dx += slopes[0, x] * dx
        sum_dxdx += slopes[0, x] * dx * dx
        sum_dy += slopes[1, x]
        sum_dxdy += slopes[1, x] * dx
        sum_dydy += slopes[2, x]
    xx, xy, yy = conic
    row[0] = -(xx * sum_dx + xy * sum_dy)
    row[1] = -(xy * sum_dx + yy * sum_dy)
    row[2] = np.float32(0.5) * sum_dxdx
    row[3] = sum_dxdy
    row[4] = np.float32(0.5) * sum_dydy
    row[5] = -total / opacity
    for c in range(len(tints)):
        tint = np.float32(0)
        for x in range(left, right):
            tint += tints[c, x]
        row[6 + c] = tint


@compiled
def _sum_rows(rows, starts, members, summed):
    """Add up each Gaussian's rows, tile by tile; images are independent of each other."""
    images = summed.shape[0]
    tiles = (len(starts) - 1) // max(images, 1)
    for image in numba.prange(images):
        for k in range(starts[image * tiles], starts[(image + 1) * tiles]):
            for c in range(rows.shape[1]):
                summed[image, members[k], c] += rows[k, c]
