"""One video from a prompt, with or without its first frame: the rows and columns a grid starts from.

The same transformer that completes grids, used on a single row (V = 1). How a first frame is an input
depends on the base model: as a reference like any known cell; pasted as a clean latent at diffusion
time 0 (Wan 2.2 TI2V); or as further input channels with a CLIP embedding (Wan image-to-video).

Source: 4Real-Video, section 3.1 (freeze-time and dynamic modes); 4Real-Video-V2, section 4.1 and Figure 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from einops import repeat
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.devices import resolve_device
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.grid_shape import GridShape
from fourreal.core.progress import Progress, silent
from fourreal.video.codec import padded_times
from fourreal.video.complete import ReadPrompt, complete_grid, read_prompt
from fourreal.video.conditioning import ContextMode, prompt_for
from fourreal.video.generate import check_trained, plan_for, require_trained_for, settled
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.guidance import choose_guidance, guided
from fourreal.video.offload import computing, experts_on_device, on_device
from fourreal.video.rectified_flow import TIMESTEPS, Prediction, integrate, noise_schedule, to_velocity
from fourreal.video.settings import DEFAULTS, GenerationSettings
from fourreal.video.transformer import ViewTimeTransformer


@dataclass(frozen=True)
class VideoRequest:
    """A single video to generate.

    Attributes:
        mode: freeze_time: a camera moves through a scene that stands still. dynamic: the scene moves.
        frames: how many.
        image_size: (height, width).
    """

    prompt: str
    mode: ContextMode
    frames: int
    image_size: tuple[int, int]


def generate_video(
    base: ViewTimeGenerator,
    request: VideoRequest,
    *,
    first_frame: Float[Tensor, "3 H W"] | None = None,
    settings: GenerationSettings = DEFAULTS,
    progress: Progress = silent,
) -> Float[Tensor, "T 3 H W"]:
    """A single video; its first frame is the given one, bit for bit.

    The mode is a sentence added to the prompt of released models, and a context token of our own.

    Raises:
        InputError: the base model cannot start from a frame, or cannot start without one; or as `generate`.
    """
    way = base.first_frame
    if first_frame is None and way == "channels":
        raise InputError(
            "this base model is for image-to-video only; give it a first frame, or use a text-to-video one"
        )
    if first_frame is not None and way == "none":
        raise InputError(
            "this base model cannot start a video from a given frame; use one that can: Wan 2.2 TI2V, a Wan "
            "image-to-video model, or a base model of our own"
        )
    words = request.prompt
    if base.text_encoder.reads_text and not base.transformer.config["context_tokens"]:
        words = prompt_for(words, request.mode)
    size = GridShape.of(1, request.frames, request.image_size)
    settings = settled(base, size, settings)
    plan_for(base, size, settings).require()
    read = read_prompt(base, words, settings, whole_grid=False, mode=request.mode)
    if first_frame is not None and way in ("pasted", "channels"):
        require_trained_for(base, "video", settings)
        return _from_frame(base, request, read, first_frame, settings, progress)
    check_trained(base, 1, references=first_frame is not None, settings=settings)
    grid = _row(request, first_frame)
    generator = torch.Generator().manual_seed(settings.seed)
    return complete_grid(base, grid, read, settings, generator, progress).frames[0]


def _row(request: VideoRequest, first_frame: Float[Tensor, "3 H W"] | None) -> VideoGrid:
    frames = torch.zeros(1, request.frames, 3, *request.image_size)
    known = torch.zeros(1, request.frames, dtype=torch.bool)
    if first_frame is not None:
        frames[0, 0], known[0, 0] = first_frame.cpu(), True
    return VideoGrid(frames, known, torch.arange(request.frames, dtype=torch.float32))


def _from_frame(
    base: ViewTimeGenerator,
    request: VideoRequest,
    read: ReadPrompt,
    first_frame: Float[Tensor, "3 H W"],
    settings: GenerationSettings,
    progress: Progress,
) -> Float[Tensor, "T 3 H W"]:
    """A video from a frame, with a base model that takes it pasted or as channels."""
    channels = base.first_frame == "channels"
    frames = padded_times(request.frames, base.codec.temporal_stride)
    clip = torch.full((1, frames, *first_frame.shape), 0.5)
    clip[0, 0] = first_frame.cpu()
    with on_device(base.codec, settings.device, settings.offload) as codec:
        # The channels of an image-to-video model hold the code of the frame followed by grey.
        clean = codec.encode(clip if channels else clip[:, :1])
    image = _embed_image(base, first_frame, settings)
    noise = torch.randn(
        (1, base.codec.channels, (frames - 1) // base.codec.temporal_stride + 1, *clean.shape[-2:]),
        generator=torch.Generator().manual_seed(settings.seed),
    )
    known = torch.zeros(1, noise.shape[2], dtype=torch.bool)
    known[:, 0] = True
    device = resolve_device(settings.device)
    with experts_on_device(base, settings.device, settings.offload) as expert:
        start, given = noise[None].to(device), known[None].to(device)
        denoise = _FirstFrameDenoiser(expert, base, read, clean[None].to(device), given, image, settings)
        sigmas = noise_schedule(settings.steps, settings.shift or base.shift)
        latents = integrate(denoise, start, sigmas, settings.sampler, progress)
        latents = (latents if channels else denoise.paste(latents))[0].cpu()
    with on_device(base.codec, settings.device, settings.offload) as codec:
        video = codec.decode(latents, request.frames)[0]
    return torch.cat([first_frame.to(video)[None], video[1:]])


def _embed_image(
    base: ViewTimeGenerator, frame: Float[Tensor, "3 H W"], settings: GenerationSettings
) -> Float[Tensor, "1 M D"] | None:
    config = base.transformer.config
    if config["image_dim"] is None:
        return None
    if config["pos_embed_seq_len"] is not None:
        raise InputError(
            "this base model needs a first and a last frame; use an image-to-video one with the first only"
        )
    if base.image_encoder is None:
        raise InputError("this base model reads its first frame with CLIP, but the folder has no image_encoder")
    with on_device(base.image_encoder, settings.device, settings.offload) as encoder:
        return encoder.encode(frame).cpu()


class _FirstFrameDenoiser:
    """The velocity of a single video's latents whose first frame is given."""

    def __init__(
        self,
        expert: Callable[[float], ViewTimeTransformer],
        base: ViewTimeGenerator,
        read: ReadPrompt,
        clean: Float[Tensor, "1 1 C k h w"],
        known: Bool[Tensor, "1 1 t"],
        image: Float[Tensor, "1 M D"] | None,
        settings: GenerationSettings,
    ) -> None:
        self.expert, self.settings = expert, settings
        self.kind: Prediction = base.transformer.config["prediction"]
        self.dtype, self.device = base.transformer.dtype, clean.device
        self.clean, self.known = clean, known
        self.text, self.without = (x.to(self.device, self.dtype) for x in (read.text, read.without))
        self.image = None if image is None else image.to(self.device, self.dtype)
        self.guidance = choose_guidance(settings.text_guidance, 1.0, prompt=read.prompt, known=known[0])
        self.channels = base.first_frame == "channels"
        if self.channels:
            height, width = clean.shape[-2:]
            mask = repeat(known.to(clean), "b v t -> b v c t h w", c=base.codec.temporal_stride, h=height, w=width)
            self.condition = torch.cat([mask, clean], dim=2)

    def paste(self, latents: Float[Tensor, "1 1 C t h w"]) -> Float[Tensor, "1 1 C t h w"]:
        """The latents with the given frame's own in the first place."""
        return torch.where(self.known[:, :, None, :, None, None], self.clean, latents)

    @torch.no_grad()
    def __call__(self, latents: Float[Tensor, "1 1 C t h w"], sigma: float) -> Float[Tensor, "1 1 C t h w"]:
        sigmas, transformer = torch.full((1,), sigma, device=self.device), self.expert(sigma)
        if self.channels:
            given, times = torch.cat([latents, self.condition], dim=2), TIMESTEPS * sigmas
        else:
            given, times = self.paste(latents), TIMESTEPS * sigma * (~self.known).float()

        def predict(with_text: bool, _: bool) -> Tensor:
            with computing(self.settings.compute_type, self.device):
                predicted = transformer(
                    given.to(self.dtype), times, self.text if with_text else self.without, image=self.image
                )
            return to_velocity(predicted.float(), self.kind, latents, sigmas)

        return guided(predict, self.guidance)
