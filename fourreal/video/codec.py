"""Frames to latents and back, one view at a time: the Wan VAEs, and parameter-free pixel tubelets.

Both are *causal in time*: latent 0 stands for the first frame alone, latent j for frames 4j-3 to
4j. A clip of 4k + 1 frames therefore has k + 1 latents, a prefix of a clip has a prefix of its
latents, and a freeze-time column at the first time is exact in latent 0 of every view. Views are
never joined in time, because the code of one must not see another.

Other lengths are padded by repeating the last frame and cut back after decoding.

Source: 4Real-Video-V2, section 3.1 ("Temporally compressed latents") and appendix B (8x in space,
4x in time); 4Real-Video, section 4.1 (pixel-space diffusion for small models).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from einops import rearrange, reduce, repeat
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.configs import from_dict, read_json, save_config
from fourreal.core.errors import InputError
from fourreal.core.notes import notify


@runtime_checkable
class Codec(Protocol):
    """What the generator needs of a frame codec.

    Attributes:
        channels: C of a latent.
        spatial_stride: pixels per latent cell, along both axes.
        temporal_stride: frames per latent after the first.
    """

    @property
    def channels(self) -> int: ...

    @property
    def spatial_stride(self) -> int: ...

    @property
    def temporal_stride(self) -> int: ...

    def encode(self, frames: Float[Tensor, "V T 3 H W"]) -> Float[Tensor, "V C t h w"]:
        """Latents, about unit variance, of frames in [0, 1]. Warns when T is not 4k + 1.

        Raises:
            InputError: H or W is not a multiple of `spatial_stride`.
        """
        ...

    def decode(self, latents: Float[Tensor, "V C t h w"], times: int | None = None) -> Float[Tensor, "V T 3 H W"]:
        """Frames in [0, 1]; the first `times` of them when given, to cut the padding off."""
        ...

    def to(self, device: torch.device | str) -> Codec:
        """The codec on a device."""
        ...

    def save(self, folder: Path) -> None:
        """Write what `load_codec` reads."""
        ...


def latent_times(times: int, stride: int = 4) -> int:
    """How many latents a clip of `times` frames has, padding included."""
    return 1 + math.ceil((times - 1) / stride)


def padded_times(times: int, stride: int = 4) -> int:
    """The next length of the form stride * k + 1."""
    return 1 + stride * (latent_times(times, stride) - 1)


def latent_known(known: Bool[Tensor, "V T"], stride: int = 4) -> Bool[Tensor, "V t"]:
    """Which latents are known: those all of whose frames are. Padding counts as the last frame."""
    padded = _repeat_last(known, padded_times(known.shape[1], stride))
    first, rest = padded[:, :1], padded[:, 1:]
    return torch.cat([first, rearrange(rest, "v (t a) -> v t a", a=stride).all(-1)], dim=1)


def frames_of_latents(latents: Bool[Tensor, "V t"], times: int, stride: int = 4) -> Bool[Tensor, "V T"]:
    """Every frame that a marked latent covers, cut to `times`. The inverse of `latent_known`."""
    rest = repeat(latents[:, 1:], "v t -> v (t a)", a=stride)
    return torch.cat([latents[:, :1], rest], dim=1)[:, :times]


def encode_known(
    codec: Codec, frames: Float[Tensor, "V T 3 H W"], known: Bool[Tensor, "V T"]
) -> tuple[Float[Tensor, "V C t h w"], Bool[Tensor, "V t"]]:
    """Latents of the known cells, zeros elsewhere, and which latents are known.

    A causal code depends on earlier frames, so gaps before a known cell are filled by holding the
    known frame before (or else after) them: a still is closer to a video than black is. Views and
    tails that hold nothing known are not encoded at all.
    """
    stride = codec.temporal_stride
    views, times, _, height, width = frames.shape
    _check_size((height, width), codec.spatial_stride)
    mask = latent_known(known, stride)
    shape = (views, codec.channels, mask.shape[1], height // codec.spatial_stride, width // codec.spatial_stride)
    latents = frames.new_zeros(shape)
    for view in range(views):
        if not mask[view].any():
            continue
        last = int(mask[view].nonzero()[-1])
        clip = _hold_known(_repeat_last(frames[view : view + 1], padded_times(times, stride)), known[view])
        latents[view, :, : last + 1] = codec.encode(clip[:, : 1 + stride * last])[0]
    return latents * rearrange(mask, "v t -> v 1 t 1 1"), mask


@dataclass(frozen=True)
class PixelTubelets:
    """Blocks of pixels as channels: nothing to train, nothing lost.

    Tubelet 0 holds the first frame repeated, which makes the code causal like a Wan VAE's.
    Values are scaled from [0, 1] to [-1, 1]. Source: backbone choice for small models, after
    4Real-Video, section 4.1 (networks that output pixels train faster when small).
    """

    temporal_stride: int = 4
    spatial_stride: int = 8

    @property
    def channels(self) -> int:
        return 3 * self.temporal_stride * self.spatial_stride**2

    def encode(self, frames: Float[Tensor, "V T 3 H W"]) -> Float[Tensor, "V C t h w"]:
        _check_size(frames.shape[-2:], self.spatial_stride)
        frames = _pad_and_tell(frames, self.temporal_stride)
        lead = repeat(frames[:, :1], "v 1 c y x -> v a c y x", a=self.temporal_stride - 1)
        return rearrange(
            torch.cat([lead, frames], dim=1) * 2 - 1,
            "v (t a) c (h b) (w d) -> v (c a b d) t h w",
            a=self.temporal_stride,
            b=self.spatial_stride,
            d=self.spatial_stride,
        )

    def decode(self, latents: Float[Tensor, "V C t h w"], times: int | None = None) -> Float[Tensor, "V T 3 H W"]:
        frames = rearrange(
            latents,
            "v (c a b d) t h w -> v (t a) c (h b) (w d)",
            a=self.temporal_stride,
            b=self.spatial_stride,
            d=self.spatial_stride,
        )
        # A network's four copies of the first frame differ; their mean is the nearest single frame.
        first = reduce(frames[:, : self.temporal_stride], "v a c y x -> v 1 c y x", "mean")
        frames = torch.cat([first, frames[:, self.temporal_stride :]], dim=1)[:, :times]
        return ((frames + 1) / 2).clamp(0, 1)

    def to(self, device: torch.device | str) -> PixelTubelets:
        return self

    def save(self, folder: Path) -> None:
        save_config(
            folder / "config.json", _TubeletFile(type(self).__name__, self.temporal_stride, self.spatial_stride)
        )


class WanCodec:
    """A Wan VAE (2.1: 8x in space, 16 channels; 2.2: 16x, 48 channels), one view at a time.

    The VAE walks through time in chunks of four frames with a cache, so memory depends on the
    frame size, not on the length. Latents are normalised with the checkpoint's `latents_mean` and
    `latents_std`, as the Wan transformers expect, and are the posterior's mode, not a sample.
    """

    temporal_stride = 4

    def __init__(self, vae: Any) -> None:
        self.vae = vae.eval().requires_grad_(False)
        self.channels = int(vae.config.z_dim)
        self.spatial_stride = int(vae.config.scale_factor_spatial)
        for name in ("latents_mean", "latents_std"):
            if len(vae.config[name]) != self.channels:
                raise InputError(
                    f"the VAE's {name} must have one value per latent channel ({self.channels}); "
                    f"got {len(vae.config[name])}"
                )

    def encode(self, frames: Float[Tensor, "V T 3 H W"]) -> Float[Tensor, "V C t h w"]:
        _check_size(frames.shape[-2:], self.spatial_stride)
        frames = _pad_and_tell(frames, self.temporal_stride)
        mean, std = self._statistics(frames)
        latents = [self._encode_view(view).to(frames) for view in frames]
        return (torch.stack(latents) - mean) / std

    def decode(self, latents: Float[Tensor, "V C t h w"], times: int | None = None) -> Float[Tensor, "V T 3 H W"]:
        mean, std = self._statistics(latents)
        return torch.stack([self._decode_view(view)[:times].to(latents) for view in latents * std + mean])

    def to(self, device: torch.device | str) -> WanCodec:
        self.vae.to(device)
        return self

    def save(self, folder: Path) -> None:
        self.vae.save_pretrained(folder)

    @torch.no_grad()
    def _encode_view(self, frames: Float[Tensor, "T 3 H W"]) -> Float[Tensor, "C t h w"]:
        pixels = rearrange(frames * 2 - 1, "t c y x -> 1 c t y x").to(self.vae.device, self.vae.dtype)
        return self.vae.encode(pixels).latent_dist.mode()[0]

    @torch.no_grad()
    def _decode_view(self, latents: Float[Tensor, "C t h w"]) -> Float[Tensor, "T 3 H W"]:
        pixels = self.vae.decode(latents[None].to(self.vae.device, self.vae.dtype)).sample
        return ((rearrange(pixels, "1 c t y x -> t c y x").float() + 1) / 2).clamp(0, 1)

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = (like.new_tensor(self.vae.config[name]) for name in ("latents_mean", "latents_std"))
        return rearrange(mean, "c -> c 1 1 1"), rearrange(std, "c -> c 1 1 1")


@dataclass(frozen=True)
class _TubeletFile:
    _class_name: str
    temporal_stride: int
    spatial_stride: int


def load_codec(folder: Path) -> Codec:
    """The codec of a model folder's `vae/`, whichever kind its `config.json` names.

    Raises:
        InputError: no such folder, another kind of autoencoder, or weights that do not fit.
    """
    config_file = Path(folder) / "config.json"
    if not config_file.is_file():
        raise InputError(f"{config_file} is missing; expected the vae folder of a released Wan model or of our own")
    values = read_json(config_file)
    kind = values.get("_class_name") if isinstance(values, dict) else None
    if kind == PixelTubelets.__name__:
        stored = from_dict(_TubeletFile, values, str(config_file))
        return PixelTubelets(stored.temporal_stride, stored.spatial_stride)
    if kind != "AutoencoderKLWan":
        raise InputError(f"{config_file} describes a '{kind}'; expected AutoencoderKLWan or PixelTubelets")
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
    from safetensors import SafetensorError

    try:
        loaded: Any = AutoencoderKLWan.from_pretrained(
            folder, torch_dtype=torch.float32, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(f"the VAE in {folder} cannot be loaded: {str(error).splitlines()[0]}") from error
    vae, report = loaded
    if report["missing_keys"]:
        raise InputError(f"the VAE in {folder} lacks weights, first {sorted(report['missing_keys'])[0]}")
    return WanCodec(vae)


def _pad_and_tell(frames: Float[Tensor, "V T 3 H W"], stride: int) -> Float[Tensor, "V T2 3 H W"]:
    times, wanted = frames.shape[1], padded_times(frames.shape[1], stride)
    if wanted != times:
        notify(f"{times} frames are not {stride}k + 1: the last one is repeated up to {wanted} and the result cut back")
    return _repeat_last(frames, wanted)


def _repeat_last(values: Tensor, times: int) -> Tensor:
    missing = times - values.shape[1]
    return torch.cat([values, values[:, -1:].expand(-1, missing, *values.shape[2:])], dim=1) if missing else values


def _hold_known(frames: Float[Tensor, "1 T 3 H W"], known: Bool[Tensor, "K"]) -> Float[Tensor, "1 T 3 H W"]:
    """Each unknown frame becomes the known one before it, or the first known one."""
    index = torch.arange(len(known), device=known.device)
    before = torch.where(known, index, index[known][0]).cummax(0).values
    source = torch.cat([before, torch.arange(len(known), frames.shape[1], device=known.device)])
    return frames[:, source]


def _check_size(size: tuple[int, ...], stride: int) -> None:
    height, width = size
    if height % stride or width % stride:
        near = tuple(max(stride, round(side / stride) * stride) for side in (height, width))
        raise InputError(
            f"frames of (height, width) {(height, width)} are not multiples of {stride}; "
            f"scale or crop them, for instance to {near}"
        )
