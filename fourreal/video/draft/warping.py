"""Reading and resizing pictures and flows; a flow is [N, 2, H, W], (x, y) in pixels of its own size.

`target[p + flow[p]]` shows what `source[p]` shows, so `warped(target, flow)` looks like the source.
"""

from __future__ import annotations

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def warped(images: Float[Tensor, "N C H W"], flow: Float[Tensor, "N 2 H W"]) -> Float[Tensor, "N C H W"]:
    """`images` read at `pixel + flow`, bilinear, the border continued outwards."""
    height, width = flow.shape[-2:]
    like = {"dtype": torch.float32, "device": flow.device}
    y, x = torch.meshgrid(torch.arange(height, **like), torch.arange(width, **like), indexing="ij")
    place = torch.stack([(x + flow[:, 0] + 0.5) / width, (y + flow[:, 1] + 0.5) / height], -1) * 2 - 1
    read = functional.grid_sample(images.float().contiguous(), place, padding_mode="border", align_corners=False)
    return read.to(images.dtype)


def resized_flow(flow: Float[Tensor, "N 2 H W"], size: tuple[int, int]) -> Float[Tensor, "N 2 H2 W2"]:
    """The flow at another size, in that size's pixels."""
    if tuple(flow.shape[-2:]) == size:
        return flow
    scale = flow.new_tensor([size[1] / flow.shape[-1], size[0] / flow.shape[-2]])[:, None, None]
    return functional.interpolate(flow, size=size, mode="bilinear", align_corners=False) * scale


def convexly_upsampled(flow: Float[Tensor, "N 2 H W"], logits: Float[Tensor, "N 36 H W"]) -> Float[Tensor, "N 2 H2 W2"]:
    """Twice the size: each pixel a weighted mean of the nine coarse ones around it, so that edges stay sharp.

    Source: Teed and Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow" (2020), section 3.3.
    """
    height, width = flow.shape[-2:]
    weights = rearrange(logits.float(), "n (k s) h w -> n 1 k s h w", k=9).softmax(2)
    padded = functional.pad(2 * flow, (1, 1, 1, 1), mode="replicate")
    near = torch.stack([padded[..., y : y + height, x : x + width] for y in range(3) for x in range(3)], 2)
    fine = (weights * repeat(near, "n c k h w -> n c k 1 h w")).sum(2)
    return rearrange(fine, "n c (y x) h w -> n c (h y) (w x)", y=2)
