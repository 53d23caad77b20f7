"""Whether footage is what it is given as: a camera that stands still, or a moment that does.

Thresholds were set on procedural worlds and on two clips from tripods, as they are and with a pan put in: the
quarter of the texture that moves least moved by 0.11 pixels of 96 a frame at most before a still camera, and by
0.18 at least before a moving one. In frozen worlds no match strayed; where something moved as well, up to 6 % did.
"""

from __future__ import annotations

from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.media import Clip, read_clip, sample_clip
from fourreal.core.notes import notify
from fourreal.data.footage import info_of
from fourreal.job.rigidity import straying_share
from fourreal.perception.optical_flow import dense_flow, warp

SIDE = 96
"""Motion is measured in pictures with this longer side."""
MOVING_PX, STILL_PX = 0.2, 0.05
STRAYING = 0.015
JUDGED_SHARE = 0.75
"""Where less of the texture than this can be followed there and back, views are too far apart to judge."""
MOST_FRAMES = 13
MATCHES, FEWEST_MATCHES = 800, 60
TEXTURE = 0.02
SURROUNDINGS = 0.025
"""Where less of the picture's border than this has texture, only the objects in it could be followed. Of three worlds
on white the border had 0.017 at most, of six others 0.033 at least."""


def notify_of_moving_camera(row: Float[Tensor, "T 3 H W"]) -> None:
    """A note when the camera of a fixed-view video moves."""
    if len(row) < 2:
        return
    small = _small(row)
    if not _surroundings_seen(small):
        return
    drift = camera_motion(small)
    if drift > MOVING_PX:
        notify(
            f"the camera of the fixed-view video seems to move (by {100 * drift / SIDE:.1f} % of the picture a frame): "
            "the first row will not be one viewpoint; take a clip from a camera that stands still, or steady it first"
        )


def notify_of_moving_things(freeze: Path | Clip) -> None:
    """A note when things move in a freeze-time video, or its camera does not."""
    info = info_of(freeze)
    count = min(info.count, MOST_FRAMES)
    if count < 2:
        return
    scale = SIDE / max(info.image_size)
    size = (max(8, round(info.image_size[0] * scale)), max(8, round(info.image_size[1] * scale)))
    clip = sample_clip(freeze, count=count) if isinstance(freeze, Clip) else read_clip(freeze, count=count, size=size)
    frames = _small(clip.frames)
    if camera_motion(frames) < STILL_PX:
        notify(
            "the camera of the freeze-time video hardly moves, so its views are all alike; a freeze-time video goes "
            "round a moment that stands still (was a fixed-view video meant?)"
        )
        return
    share = own_motion(frames)
    if share is not None and share > STRAYING:
        notify(
            f"things seem to move in the freeze-time video ({100 * share:.1f} % of what could be followed): every "
            "view should show one and the same moment"
        )


def camera_motion(frames: Float[Tensor, "T 3 H W"]) -> float:
    """Pixels a frame that the quarter of the texture that moves least moves by; the median over all frames.

    Something large in front of a still camera moves much of a picture, hardly ever three quarters of it.
    """
    flow, texture = dense_flow(frames[:-1], frames[1:]).norm(dim=-1), _textured(frames[:-1])
    least = [pair[seen].quantile(0.25) for pair, seen in zip(flow, texture, strict=True) if bool(seen.any())]
    return float(torch.stack(least).median()) if least else 0.0


def own_motion(frames: Float[Tensor, "T 3 H W"], seed: int = 0) -> float | None:
    """Share of what can be followed from frame to frame that moves by itself; None where too little can be."""
    ahead, back = dense_flow(frames[:-1], frames[1:]), dense_flow(frames[1:], frames[:-1])
    returned = rearrange(warp(rearrange(back, "n h w c -> n c h w"), ahead), "n c h w -> n h w c")
    texture = _textured(frames[:-1])
    places = _places(frames)
    followed = texture & ((ahead + returned).norm(dim=-1) < 0.5) & _inside(places + ahead)
    if float(followed.sum() / texture.sum().clamp(min=1)) < JUDGED_SHARE:
        return None
    generator = torch.Generator().manual_seed(seed)
    shares = []
    for flow, good in zip(ahead, followed, strict=True):
        chosen = torch.nonzero(good)
        chosen = chosen[torch.randperm(len(chosen), generator=generator)[:MATCHES]]
        if len(chosen) >= FEWEST_MATCHES:
            row, column = chosen.unbind(-1)
            start = places[row, column]
            shares.append(straying_share(start, start + flow[row, column], SIDE, generator))
    return sum(shares) / len(shares) if shares else None


def _small(frames: Float[Tensor, "T 3 H W"]) -> Float[Tensor, "T 3 h w"]:
    scale = SIDE / max(frames.shape[-2:])
    size = (max(8, round(frames.shape[-2] * scale)), max(8, round(frames.shape[-1] * scale)))
    return torch.nn.functional.interpolate(frames, size=size, mode="bilinear", antialias=True).clamp(0, 1)


def _textured(frames: Float[Tensor, "T 3 H W"]) -> Bool[Tensor, "T H W"]:
    """Where brightness changes enough to be followed; the outermost pixels are left out."""
    grey = frames.mean(1)
    across, down = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2], grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    return torch.nn.functional.pad(torch.hypot(across, down) / 2 > TEXTURE, (1, 1, 1, 1))


def _surroundings_seen(frames: Float[Tensor, "T 3 H W"]) -> bool:
    """Whether anything but what stands in the middle can tell that the camera moves."""
    texture = _textured(frames).float().mean(0)
    height, width = (max(1, side // 8) for side in texture.shape)
    border = torch.ones_like(texture, dtype=torch.bool)
    border[height:-height, width:-width] = False
    return float(texture[border].mean()) > SURROUNDINGS


def _places(frames: Float[Tensor, "T 3 H W"]) -> Float[Tensor, "H W 2"]:
    y, x = torch.meshgrid(torch.arange(frames.shape[-2]), torch.arange(frames.shape[-1]), indexing="ij")
    return torch.stack([x, y], -1) + 0.5


def _inside(places: Float[Tensor, "T H W 2"]) -> Bool[Tensor, "T H W"]:
    height, width = places.shape[1:3]
    return (places > 1).all(-1) & (places[..., 0] < width - 1) & (places[..., 1] < height - 1)
