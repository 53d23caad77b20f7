"""The pixels in the channels of a tubelet latent, and back: the layout of `PixelTubelets`, without its scaling."""

from __future__ import annotations

from collections.abc import Sequence

from einops import rearrange
from jaxtyping import Float
from torch import Tensor

_LATENTS, _PIXELS = "i (c a b d) t h w", "i (t a) c (h b) (w d)"


def to_pixels(latents: Float[Tensor, "*B C t h w"], tubelet: Sequence[int]) -> Float[Tensor, "N F c H W"]:
    """Frames of all samples and views in one row.

    Args:
        tubelet: frames, and pixels along each side, that one latent holds.
    """
    frames, side = tubelet
    flat = latents.flatten(0, -5)
    return rearrange(flat, f"{_LATENTS} -> {_PIXELS}", a=frames, b=side, d=side)


def to_latents(pixels: Float[Tensor, "N F c H W"], like: Float[Tensor, "*B C t h w"], tubelet: Sequence[int]) -> Tensor:
    """The inverse of `to_pixels`. A single channel serves for every colour of `like`.

    Args:
        like: latents whose leading axes the result has.
    """
    frames, side = tubelet
    colours = like.shape[-4] // (frames * side**2)
    whole = pixels.expand(-1, -1, colours, -1, -1)
    flat = rearrange(whole, f"{_PIXELS} -> {_LATENTS}", a=frames, b=side, d=side)
    return flat.reshape(like.shape)
