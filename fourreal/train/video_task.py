"""The video model as a task: rectified flow over the cells that are not known.

Source: 4Real-Video-V2, section 3.1 "Training"; 4Real-Video, sections 3.1 and 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.data.capture_mixture import data_sets
from fourreal.data.single_videos import VideoMixture
from fourreal.data.training_grid import Mixture, TrainingGrid, stream
from fourreal.data.worlds import HELD_OUT_SEEDS, make_world, render_worlds
from fourreal.eval.image_metrics import moving_mask, psnr
from fourreal.train.recipe import VideoRecipe
from fourreal.train.task import Losses, SheetWriter
from fourreal.video.codec import PixelTubelets, latent_known
from fourreal.video.complete import complete_grid, read_prompt
from fourreal.video.conditioning import MODES, prompt_for
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.presets import PRESETS, RELEASED, TWO_EXPERTS
from fourreal.video.rectified_flow import TIMESTEPS, TrainingTimes, draw_sigmas, flow_loss, interpolate
from fourreal.video.settings import GenerationSettings
from fourreal.video.text import NoTextEncoder, SmallTextEncoder, TextEncoder, TransformersTextEncoder
from fourreal.video.trainable import trainable_parameters
from fourreal.video.transformer import ViewTimeTransformer
from fourreal.video.weights import mark_trained, save_delta

SHOWN_WORLDS = 2


class VideoTask:
    """Trains a `ViewTimeGenerator`'s transformer; codec and text encoder stay as they are.

    Raises:
        InputError: the base model or the text encoder cannot be had.
    """

    def __init__(self, recipe: VideoRecipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.generator = new_generator(recipe)
        self.model: ViewTimeTransformer = self.generator.transformer
        if recipe.loop.gradient_checkpointing:
            self.model.enable_gradient_checkpointing()
        self.shift = recipe.shift or self.generator.shift

    # ---- called by the loop --------------------------------------------------------------------

    def blocks(self) -> list[nn.Module]:
        return [*self.model.blocks, *(self.model.cross_view or ())]

    def trainable(self, stage: int) -> dict[str, nn.Parameter]:
        chosen = trainable_parameters(self.model, self.recipe.stages[stage].trains)
        if not chosen:
            raise InputError(f"the arrangement '{self.model.config['arrangement']}' has nothing to train")
        return chosen

    def stored(self) -> dict[str, nn.Parameter]:
        if not self.recipe.base:
            return dict(self.model.named_parameters())
        ever = {name for stage in range(len(self.recipe.stages)) for name in self.trainable(stage)}
        return {name: p for name, p in self.model.named_parameters() if name in ever}

    def mixture(self, stage: int) -> Mixture:
        chosen = self.recipe.stages[stage]
        # Stages draw from different streams, or the second would repeat the first one's worlds.
        config = replace(chosen.mixture, seed=self.recipe.loop.seed * 100 + stage)
        if chosen.data == "grids":
            return data_sets(config, self.recipe.shards, self.recipe.captures)
        return VideoMixture(config, self.generator.codec.temporal_stride)

    def losses(self, samples: Sequence[TrainingGrid], stage: int, step: int, indices: Sequence[int]) -> Losses:
        seed = self.recipe.loop.seed * 100 + stage
        clean, known = self._latents(samples)
        sigmas, noise = self._noise(clean, seed, step, indices)
        text, freeze_text = self._text(samples, seed, step, indices)
        with torch.autocast(self.device.type, enabled=False):
            noisy = interpolate(clean, noise, sigmas)
        # Wan's parameters may be stored in bfloat16, where automatic precision has nothing to do.
        dtype = self.model.dtype
        prediction = self.model(
            noisy.to(dtype),
            TIMESTEPS * sigmas,
            text.to(dtype),
            clean.to(dtype),
            known,
            freeze_text=None if freeze_text is None else freeze_text.to(dtype),
            mode=self._modes(samples),
        )
        kind = self.model.config["prediction"]
        # One by one, so that a sample counts alike in every batch and on every process.
        parts = zip(*(part.split(1) for part in (prediction, clean, noise, sigmas, known)), strict=True)
        each = [flow_loss(predicted, kind, x, eps, sigma, given) for predicted, x, eps, sigma, given in parts]
        return {"loss": torch.stack(each).mean()}

    @torch.no_grad()
    def show(self, stage: int, folder: Path | None, write_sheet: SheetWriter | None) -> Mapping[str, float]:
        """Grids from their cross; single videos from their first frame."""
        chosen = self.recipe.stages[stage]
        single = chosen.data == "videos"
        config = replace(chosen.mixture.worlds, views=1) if single else chosen.mixture.worlds
        scores: dict[str, list[Tensor]] = {"psnr": [], "psnr_moving": []}
        for number in range(SHOWN_WORLDS):
            truth = render_worlds([make_world(config, HELD_OUT_SEEDS + number)], self.device)[0].grid.to("cpu")
            given = truth.with_known("column" if single else "cross")
            generated = self._completed(given)
            pair = generated.frames[~given.known], truth.frames[~given.known]
            scores["psnr"].append(psnr(*pair).mean())
            scores["psnr_moving"].append(psnr(*pair, moving_mask(truth.frames)[~given.known]).nanmean())
            if folder is not None and write_sheet is not None:
                write_sheet(folder / f"world-{number}-generated.png", generated)
                write_sheet(folder / f"world-{number}-true.png", truth)
        prefix = "video_" if single else ""
        return {prefix + name: float(torch.stack(values).nanmean()) for name, values in scores.items()}

    def export(self, stage: int, out: Path, steps: int, weights: Mapping[str, Tensor]) -> None:
        """A model folder, and a delta where only the arrangement's parameters trained.

        A stage that trains everything makes a base; the delta of the stages after it is laid over that.
        """
        chosen = self.recipe.stages[stage]
        with torch.random.fork_rng(devices=[]):
            model = type(self.model)(**dict(self.model.config))
        model.load_state_dict(weights)
        mark_trained(model, "grid" if chosen.data == "grids" else "video")
        size = chosen.mixture.worlds.shape
        generator = replace(self.generator, transformer=model.eval(), shift=self.shift, training_size=size)
        whole = chosen.trains == "all" and chosen.data == "videos"
        if chosen.trains == "arrangement":
            save_delta(out / "view_time", model, training_size=size, overwrite=True)
        generator.save_pretrained(out / ("base" if whole else "model"), overwrite=True)

    # ---- a batch -------------------------------------------------------------------------------

    @torch.no_grad()
    def _latents(self, samples: Sequence[TrainingGrid]) -> tuple[Float[Tensor, "B V C t h w"], Bool[Tensor, "B V t"]]:
        codec = self.generator.codec
        frames = torch.stack([sample.grid.frames for sample in samples]).to(self.device)
        latents = codec.to(self.device).encode(rearrange(frames, "b v t c y x -> (b v) t c y x"))
        known = torch.stack([latent_known(sample.references, codec.temporal_stride) for sample in samples])
        return rearrange(latents, "(b v) c t h w -> b v c t h w", b=len(samples)), known.to(self.device)

    def _noise(
        self, clean: Float[Tensor, "B V C t h w"], seed: int, step: int, indices: Sequence[int]
    ) -> tuple[Float[Tensor, "B"], Float[Tensor, "B V C t h w"]]:
        """Every sample's own noise, whatever batch and process it is in."""
        times = TrainingTimes(shift=self.shift)
        sigmas, noise = [], []
        for index in indices:
            own = torch.Generator(self.device).manual_seed(int(stream(seed, step, index, "noise").integers(2**62)))
            sigmas.append(draw_sigmas(1, times, own))
            noise.append(torch.randn(clean.shape[1:], generator=own, device=self.device))
        return torch.cat(sigmas), torch.stack(noise)

    @torch.no_grad()
    def _text(
        self, samples: Sequence[TrainingGrid], seed: int, step: int, indices: Sequence[int]
    ) -> tuple[Float[Tensor, "B M K"], Float[Tensor, "B M K"] | None]:
        """Text embeddings; a second set for passes across views, where the arrangement has any."""
        encoder = self.generator.text_encoder.to(self.device)
        if not encoder.reads_text:
            return encoder.encode([""] * len(samples)).to(self.device), None
        words = []
        for sample, index in zip(samples, indices, strict=True):
            dropped = stream(seed, step, index, "text").random() < self.recipe.drop_text
            words.append("" if dropped else sample.caption)
        if self.model.config["context_tokens"]:
            return encoder.encode(words).to(self.device), None
        kinds = [sample.kind for sample in samples]
        if not self.generator.attends_separately:
            prompts = [_prompt(word, kind) for word, kind in zip(words, kinds, strict=True)]
            return encoder.encode(prompts).to(self.device), None
        moving = [prompt_for(word, "dynamic") if word else "" for word in words]
        still = [prompt_for(word, "freeze_time") if word else "" for word in words]
        return encoder.encode(moving).to(self.device), encoder.encode(still).to(self.device)

    def _modes(self, samples: Sequence[TrainingGrid]) -> Tensor | None:
        if not self.model.config["context_tokens"] or samples[0].kind not in MODES:
            return None
        return torch.tensor([MODES.index(sample.kind) for sample in samples], device=self.device)  # pyright: ignore[reportArgumentType]

    def _completed(self, given: VideoGrid) -> VideoGrid:
        settings = GenerationSettings(
            steps=self.recipe.sample_steps,
            shift=self.shift,
            text_guidance=1.0,
            device=str(self.device),
            compute_type="stored" if self.recipe.loop.precision == "float32" else "bfloat16",
        )
        # What `generate` does after checking plan and training: a sharded model cannot be weighed for a plan.
        read = read_prompt(self.generator, "", settings, whole_grid=given.num_views > 1)
        noise = torch.Generator().manual_seed(settings.seed)
        return complete_grid(self.generator, given, read, settings, noise)


def _prompt(caption: str, kind: str) -> str:
    """A single video's prompt names its mode; a grid's does not, because it has both."""
    return prompt_for(caption, kind) if caption and kind in MODES else caption  # pyright: ignore[reportArgumentType]


def new_generator(recipe: VideoRecipe) -> ViewTimeGenerator:
    """The model a recipe starts from: a released one, or one of its own with random weights by the recipe's seed."""
    if recipe.base in PRESETS and recipe.base not in RELEASED:
        raise InputError(
            f"the recipe '{recipe.name}' starts from a base model that nobody has released; give a folder with one "
            "of your own: --base FOLDER"
        )
    if recipe.base in TWO_EXPERTS or (recipe.base and (Path(recipe.base) / "transformer_2").is_dir()):
        raise InputError(
            f"{recipe.base} has two experts, and training knows one transformer only; start from a base with one, for "
            "instance wan2.1-14b"
        )
    if recipe.base:
        generator = ViewTimeGenerator.from_pretrained(recipe.base, **recipe.model)
        encoder = generator.text_encoder
        if recipe.loop.precision == "bfloat16" and isinstance(encoder, TransformersTextEncoder):
            encoder.model.to(torch.bfloat16)  # nothing of it trains, and it is larger than many a transformer
        return generator
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.loop.seed)
        transformer = ViewTimeTransformer(**recipe.model)
    frames, pixels = recipe.tubelet
    text: TextEncoder = SmallTextEncoder() if recipe.text == "small" else NoTextEncoder(recipe.model["text_dim"])
    return ViewTimeGenerator(
        transformer=transformer, codec=PixelTubelets(frames, pixels), text_encoder=text, shift=recipe.shift
    )
