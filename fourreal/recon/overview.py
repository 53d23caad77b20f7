"""One picture that tells whether a reconstruction worked: renders beside inputs, depth, cameras from above.

A row per view; for the first and the last time the input, the scene rendered from that view's
predicted camera, and its depth. Below, the scene and the cameras seen from above.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.gaussians import Gaussians, GaussianSequence
from fourreal.core.grid import VideoGrid
from fourreal.recon.fidelity import cell_size, judged_cells, psnr_db, render_inputs

GAP_PX = 4
TITLE_PX = 18
MAP_POINTS = 40_000
PAPER, INK = (250, 250, 250), (40, 40, 40)
# Near to far; even steps in lightness, so that it also reads in grey.
_DEPTH_COLORS = ((253, 231, 37), (94, 201, 98), (33, 145, 140), (59, 82, 139), (68, 1, 84))


@dataclass(frozen=True)
class Overview:
    """The picture and its figures.

    Attributes:
        picture: sRGB in [0, 1].
        psnr_db: of the shown renders against their inputs, see `fidelity`.
    """

    picture: Float[Tensor, "3 H W"]
    psnr_db: float


def draw_overview(scene: GaussianSequence, grid: VideoGrid, title: str = "") -> Overview:
    """Render a reconstruction from its own cameras beside the grid it was made from."""
    views, times = judged_cells(grid)
    size = cell_size(grid.image_size)
    columns, errors = [], []
    for time in times:
        inputs, rendering = render_inputs(scene, grid, views, time)
        renders = rendering.color.clamp(0, 1)
        errors.append((renders - inputs).square().mean())
        columns += [
            (f"input, {float(grid.seconds[time]):.2f} s", _to_pixels(inputs)),
            ("render", _to_pixels(renders)),
            ("depth", _depth_pixels(rendering.depth, rendering.alpha)),
        ]
    picture = _compose(columns, views, size, scene, title)
    return Overview(torch.from_numpy(picture).permute(2, 0, 1).float() / 255, psnr_db(errors))


def _compose(
    columns: list[tuple[str, UInt8[np.ndarray, "V H W 3"]]],
    views: list[int],
    size: tuple[int, int],
    scene: GaussianSequence,
    title: str,
) -> UInt8[np.ndarray, "_ _ 3"]:
    from PIL import Image, ImageDraw

    width = len(columns) * (size[1] + GAP_PX) + GAP_PX
    top = 2 * TITLE_PX if title else TITLE_PX
    map_top = top + len(views) * (size[0] + GAP_PX) + TITLE_PX
    map_height = min(width, 2 * max(size))
    canvas = Image.new("RGB", (width, map_top + map_height + GAP_PX), PAPER)
    pen = ImageDraw.Draw(canvas)
    if title:
        pen.text((GAP_PX, 3), title, INK)
    for column, (name, pixels) in enumerate(columns):
        left = GAP_PX + column * (size[1] + GAP_PX)
        pen.text((left, top - TITLE_PX + 3), name, INK)
        for row, cell in enumerate(pixels):
            enlarged = Image.fromarray(cell).resize((size[1], size[0]), Image.Resampling.NEAREST)
            canvas.paste(enlarged, (left, top + row * (size[0] + GAP_PX)))
    pen.text((GAP_PX, map_top - TITLE_PX + 3), "from above, first time; cameras point into their view", INK)
    above = _draw_from_above(scene.steps[0], scene.cameras, (map_height, width - 2 * GAP_PX))
    canvas.paste(Image.fromarray(above), (GAP_PX, map_top))
    return np.array(canvas)


def _draw_from_above(gaussians: Gaussians, cameras: Cameras, size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """Gaussians and camera frustums on the plane of the first camera's right (x) and forward (z) axes."""
    from PIL import Image, ImageDraw

    axes = cameras.world_to_cam[0, :3, :3]
    keep = torch.linspace(0, max(len(gaussians) - 1, 0), min(MAP_POINTS, len(gaussians))).long()
    points = ((gaussians.means[keep].cpu() - cameras.centers[0]) @ axes.T)[:, [0, 2]]
    eyes = ((cameras.centers - cameras.centers[0]) @ axes.T)[:, [0, 2]]
    shown = torch.cat([_near(points, eyes), eyes])
    low, high = shown.amin(0), shown.amax(0)
    span = torch.maximum((high - low) / torch.tensor([size[1], size[0]]), torch.tensor(1e-6)).max() * 1.15
    middle = (low + high) / 2

    def place(plane: Float[Tensor, "N 2"]) -> Float[Tensor, "N 2"]:
        offset = (plane - middle) / span
        return torch.stack([size[1] / 2 + offset[:, 0], size[0] / 2 - offset[:, 1]], -1)

    pixels = np.full((*size, 3), PAPER, np.uint8)
    column, row = place(points).round().long().unbind(-1)
    inside = (column >= 0) & (column < size[1]) & (row >= 0) & (row < size[0])
    colors = (gaussians.base_colors[keep].cpu() * 255).to(torch.uint8)
    pixels[row[inside].numpy(), column[inside].numpy()] = colors[inside].numpy()
    image = Image.fromarray(pixels)
    pen = ImageDraw.Draw(image)
    reach = 0.08 * float(span) * max(size)
    for view, eye in enumerate(eyes):
        half = float(cameras.image_size[1] / 2 / cameras.intrinsics[view, 0, 0])
        corners = torch.tensor([[-half, 0.0, 1.0], [half, 0.0, 1.0]]) * reach
        turned = corners @ cameras.cam_to_world[view, :3, :3].T @ axes.T
        outline = place(torch.stack([eye, eye + turned[0, [0, 2]], eye + turned[1, [0, 2]]]))
        pen.polygon([tuple(point) for point in outline.tolist()], outline=(200, 30, 30))
        pen.text(tuple((place(eye[None])[0] + 3).tolist()), str(view), (200, 30, 30))
    return np.array(image)


def _near(points: Float[Tensor, "N 2"], eyes: Float[Tensor, "V 2"]) -> Float[Tensor, "M 2"]:
    """Corners of what is worth showing: the nearer part of the scene, not its sky."""
    if not len(points):
        return points
    distance = (points - eyes.mean(0)).norm(dim=-1)
    return points[distance <= 1.5 * distance.quantile(0.25)].quantile(torch.tensor([0.02, 0.98]), 0)


def _depth_pixels(depth: Float[Tensor, "V H W"], alpha: Float[Tensor, "V H W"]) -> UInt8[np.ndarray, "V H W 3"]:
    """Depth by its order of size (2nd to 98th percentile of the shown pixels); nothing there is paper."""
    seen = (alpha > 0.3) & (depth > 0)
    if not seen.any():
        return np.full((*depth.shape, 3), PAPER, np.uint8)
    logarithm = depth.clamp(min=1e-9).log()
    low, high = logarithm[seen].quantile(torch.tensor([0.02, 0.98], device=depth.device))
    place = ((logarithm - low) / (high - low).clamp(min=1e-6)).clamp(0, 1) * (len(_DEPTH_COLORS) - 1)
    table = torch.tensor(_DEPTH_COLORS, dtype=torch.float32, device=depth.device)
    before = place.floor().long().clamp(max=len(_DEPTH_COLORS) - 2)
    mix = (place - before)[..., None]
    colors = table[before] * (1 - mix) + table[before + 1] * mix
    colors = torch.where(seen[..., None], colors, torch.tensor(PAPER, dtype=torch.float32, device=depth.device))
    return colors.to(torch.uint8).cpu().numpy()


def _to_pixels(frames: Float[Tensor, "V 3 H W"]) -> UInt8[np.ndarray, "V H W 3"]:
    return (frames.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).cpu().numpy()
