"""Completing one grid in one go: encode what is known, denoise the rest, decode.

Known cells condition the network as references at the granularity of latents. Every latent is
noised; known ones follow their own straight path, as they do in training. At the end the known
cells are the input's, bit for bit.

Source: 4Real-Video-V2, section 3.1 ("Grounded generation with reference videos"), appendix B
("Sampling Strategy and Classifier-Free Guidance").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.devices import resolve_device
from fourreal.core.grid import VideoGrid
from fourreal.core.progress import Progress, silent
from fourreal.video.codec import encode_known
from fourreal.video.conditioning import ContextMode, prompt_for
from fourreal.video.draft.draft_model import draft_cells
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.guidance import Guidance, choose_guidance, guided
from fourreal.video.offload import computing, experts_on_device, on_device
from fourreal.video.rectified_flow import TIMESTEPS, Prediction, integrate, noise_schedule, to_velocity
from fourreal.video.settings import GenerationSettings
from fourreal.video.split_time import each_way, parts_of
from fourreal.video.transformer import DRAFTED, KNOWN, ViewTimeTransformer


@dataclass(frozen=True, kw_only=True)
class ReadPrompt:
    """A prompt as input of the transformer, on the CPU.

    Attributes:
        text, freeze_text: embeddings; the second for passes across views, where the model has any.
        without: embedding of the negative prompt.
        mode: kind of a single video; None for a whole grid.
    """

    prompt: str
    text: Float[Tensor, "1 L D"]
    freeze_text: Float[Tensor, "1 L D"] | None
    without: Float[Tensor, "1 L D"]
    mode: ContextMode | None


def read_prompt(
    model: ViewTimeGenerator,
    prompt: str,
    settings: GenerationSettings,
    *,
    whole_grid: bool = True,
    mode: ContextMode | None = None,
) -> ReadPrompt:
    """Encode a prompt once, for all windows and parts of a job.

    Args:
        whole_grid: False for a single video, whose `mode` is dynamic by default.

    Raises:
        InputError: the model has no text encoder and the prompt is not empty.
    """
    has_modes = bool(model.transformer.config["context_tokens"])
    wanted = [prompt, settings.negative_prompt]
    if whole_grid and model.attends_separately and prompt.strip() and not has_modes:
        wanted = [prompt_for(prompt, "dynamic"), settings.negative_prompt, prompt_for(prompt, "freeze_time")]
    with on_device(model.text_encoder, settings.device, settings.offload) as encoder:
        text = encoder.encode(wanted).cpu()
    single = (mode or "dynamic") if has_modes and not whole_grid else None
    return ReadPrompt(
        prompt=prompt,
        text=text[:1],
        freeze_text=text[2:3] if len(wanted) == 3 else None,
        without=text[1:2],
        mode=single,
    )


def complete_grid(
    model: ViewTimeGenerator,
    grid: VideoGrid,
    read: ReadPrompt,
    settings: GenerationSettings,
    generator: torch.Generator,
    progress: Progress = silent,
) -> VideoGrid:
    """`generate` for one window, without its checks and with the prompt already read."""
    if bool(grid.known.all()):
        return grid
    stride = model.codec.temporal_stride
    counter = _Counter(progress, len(parts_of(grid, stride)) * settings.steps)

    def complete(part: VideoGrid) -> Tensor:
        return _complete_part(model, part, read, settings, generator, counter)

    frames = each_way(grid, stride, complete)
    frames = torch.where(grid.known[:, :, None, None, None], grid.frames, frames.to(grid.frames))
    counter.finish()
    return VideoGrid.complete(frames, grid.seconds, grid.cameras)


def _complete_part(
    model: ViewTimeGenerator,
    grid: VideoGrid,
    read: ReadPrompt,
    settings: GenerationSettings,
    generator: torch.Generator,
    progress: Progress,
) -> Float[Tensor, "V T 3 H W"]:
    """Frames of a grid whose known cells can condition at their own times."""
    if bool(grid.known.all()):
        return grid.frames
    with on_device(model.codec, settings.device, settings.offload) as codec:
        clean, known = encode_known(codec, grid.frames.cpu().float(), grid.known.cpu())
    drafts = None
    if model.draft is not None and model.draft_use == "reference":
        drafts = _draft_latents(model, grid, settings, known)
    noise = torch.randn(clean.shape, generator=generator)
    guidance = choose_guidance(settings.text_guidance, settings.reference_guidance, prompt=read.prompt, known=known)
    sigmas = noise_schedule(settings.steps, settings.shift or model.shift)
    device = resolve_device(settings.device)
    with experts_on_device(model, settings.device, settings.offload) as expert:
        start, given = noise[None].to(device), known[None].to(device)
        denoise = _Denoiser(expert, model, read, guidance, clean[None].to(device), start, given, settings)
        if drafts is not None:
            denoise.give_drafts(*drafts)
        latents = integrate(denoise, start, sigmas, settings.sampler, progress)[0].cpu()
    latents = torch.where(known[:, None, :, None, None], clean, latents)
    with on_device(model.codec, settings.device, settings.offload) as codec:
        return codec.decode(latents, grid.num_times).to(grid.frames.device)


def _draft_latents(
    model: ViewTimeGenerator, grid: VideoGrid, settings: GenerationSettings, known: Bool[Tensor, "V t"]
) -> tuple[Float[Tensor, "V C t h w"], Bool[Tensor, "V t"]]:
    """Latents of drafted cells, and which latents that are not known have one: those drafted or known throughout."""
    assert model.draft is not None
    frames, drafted = draft_cells(model.draft, grid)
    with on_device(model.codec, settings.device, settings.offload) as codec:
        latents, told = encode_known(codec, frames.cpu().float(), (grid.known | drafted).cpu())
    return latents, told & ~known


class _Denoiser:
    """The velocity of a grid's latents at a noise level, all other inputs fixed."""

    def __init__(
        self,
        expert: Callable[[float], ViewTimeTransformer],
        model: ViewTimeGenerator,
        read: ReadPrompt,
        guidance: Guidance,
        clean: Float[Tensor, "1 V C t h w"],
        noise: Float[Tensor, "1 V C t h w"],
        known: Bool[Tensor, "1 V t"],
        settings: GenerationSettings,
    ) -> None:
        self.expert, self.guidance, self.known = expert, guidance, known
        self.kind: Prediction = model.transformer.config["prediction"]
        self.dtype, self.device = model.transformer.dtype, noise.device
        self.text, self.without = read.text.to(self.device, self.dtype), read.without.to(self.device, self.dtype)
        freeze_text = None if read.freeze_text is None else read.freeze_text.to(self.device, self.dtype)
        self.freeze_text, self.mode = freeze_text, read.mode
        self.references = clean.to(self.dtype) if known.any() else None
        # Known latents run along their own straight path, as in training.
        self.known_velocity = noise - clean
        self.settings = settings
        self.reference_mask: Tensor = known

    def give_drafts(self, latents: Float[Tensor, "V C t h w"], drafted: Bool[Tensor, "V t"]) -> None:
        """Tell the transformer what unknown cells may look like."""
        if self.references is None or not drafted.any():
            return
        drafts, where = latents[None].to(self.references), drafted[None].to(self.device)
        self.references = torch.where(where[:, :, None, :, None, None], drafts, self.references)
        self.reference_mask = KNOWN * self.known.int() + DRAFTED * where.int()

    @torch.no_grad()
    def __call__(self, latents: Float[Tensor, "1 V C t h w"], sigma: float) -> Float[Tensor, "1 V C t h w"]:
        sigmas = torch.full((1,), sigma, device=self.device)
        noisy, transformer = latents.to(self.dtype), self.expert(sigma)

        def predict(with_text: bool, with_references: bool) -> Tensor:
            given = with_references and self.references is not None
            with computing(self.settings.compute_type, self.device):
                predicted = transformer(
                    noisy,
                    TIMESTEPS * sigmas,
                    self.text if with_text else self.without,
                    self.references if given else None,
                    self.reference_mask if given else None,
                    freeze_text=self.freeze_text if with_text else None,
                    mode=self.mode,
                )
            return to_velocity(predicted.float(), self.kind, latents, sigmas)

        velocity = guided(predict, self.guidance)
        return torch.where(self.known[:, :, None, :, None, None], self.known_velocity, velocity)


def drafted_alone(model: ViewTimeGenerator, grid: VideoGrid) -> VideoGrid:
    """The grid with every cell known that the model leaves to its draft alone; the grid itself where it leaves none."""
    if model.draft is None or model.draft_use != "alone":
        return grid
    frames, drafted = draft_cells(model.draft, grid)
    return replace(grid, frames=frames, known=grid.known | drafted)


class _Counter:
    """Steps of several parts as one count. A part whose cells are all known takes none."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, done: int, total: int) -> None:
        self.done += 1
        self.progress(self.done, self.total)

    def finish(self) -> None:
        if self.done < self.total:
            self.progress(self.total, self.total)
