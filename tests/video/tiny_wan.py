"""A Wan model folder small enough for tests: every part real, in the layout Wan is released in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    T5Tokenizer,
    UMT5Config,
    UMT5EncoderModel,
)

from fourreal.video.presets import tiny

TEXT_DIM = 32
SENTENCES = [
    "a red ball bounces across a wooden floor while the camera stands still",
    "two foxes run through tall grass, the wind moves the leaves",
    "ein roter Ball springt über den Boden",
    "红球 在 木地板 上 弹跳",
]


def tiny_tokenizer() -> T5Tokenizer:
    """A Unigram vocabulary of the kind UMT5 has, learned from four sentences."""
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>")
    learned = Tokenizer(models.Unigram())
    learned.pre_tokenizer = pre_tokenizers.Metaspace()
    learned.train_from_iterator(SENTENCES, trainer)
    pieces = sorted(learned.get_vocab(), key=learned.token_to_id)
    return T5Tokenizer(vocab=[(piece, -float(i)) for i, piece in enumerate(pieces)], extra_ids=0)


def tiny_umt5() -> UMT5EncoderModel:
    torch.manual_seed(3)
    shape = {"d_model": TEXT_DIM, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    return UMT5EncoderModel(UMT5Config(vocab_size=256, feed_forward_proj="gated-gelu", **shape)).eval()


def tiny_vae(channels: int = 16) -> AutoencoderKLWan:
    """Wan 2.1's VAE (8x in space, 4x in time, 16 channels) or 2.2's (16x, 48 channels)."""
    torch.manual_seed(1)
    shape: dict[str, Any] = {"dim_mult": [1, 1, 1, 1], "num_res_blocks": 1, "temperal_downsample": [False, True, True]}
    shape |= {"z_dim": channels, "latents_mean": [0.1] * channels, "latents_std": [1.5] * channels}
    if channels == 48:
        shape |= {
            "is_residual": True,
            "in_channels": 12,
            "out_channels": 12,
            "patch_size": 2,
            "scale_factor_spatial": 16,
        }
    return AutoencoderKLWan(base_dim=8 if channels == 48 else 4, **shape)


def tiny_wan(in_channels: int = 16, channels: int = 16, seed: int = 2, **changes: Any) -> WanTransformer3DModel:
    torch.manual_seed(seed)
    return WanTransformer3DModel(**(tiny() | {"in_channels": in_channels, "out_channels": channels} | changes)).eval()


def text_to_video() -> WanPipeline:
    """Like Wan 2.1 T2V."""
    return WanPipeline(tiny_tokenizer(), tiny_umt5(), tiny_vae(), _scheduler(3.0), tiny_wan())


def two_experts() -> WanPipeline:
    """Like Wan 2.2 T2V A14B: one transformer for high noise, another for low."""
    parts = (tiny_tokenizer(), tiny_umt5(), tiny_vae(), _scheduler(3.0), tiny_wan())
    return WanPipeline(*parts, transformer_2=tiny_wan(seed=6), boundary_ratio=0.875)


def first_frame_pasted() -> WanImageToVideoPipeline:
    """Like Wan 2.2 TI2V: per-token diffusion times, 16x VAE."""
    parts = (tiny_tokenizer(), tiny_umt5(), tiny_vae(48), _scheduler(5.0))
    return WanImageToVideoPipeline(*parts, transformer=tiny_wan(48, 48), expand_timesteps=True)


def first_frame_channels() -> WanImageToVideoPipeline:
    """Like Wan 2.1 I2V: 36 input channels and CLIP."""
    torch.manual_seed(4)
    shape = {"hidden_size": 20, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 2}
    clip = CLIPVisionModel(CLIPVisionConfig(image_size=28, patch_size=14, **shape)).eval()
    sizes = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    transformer = tiny_wan(36, 16, image_dim=20, added_kv_proj_dim=48)
    return WanImageToVideoPipeline(
        tiny_tokenizer(), tiny_umt5(), tiny_vae(), _scheduler(3.0), CLIPImageProcessor(**sizes), clip, transformer
    )


def save_released(pipeline: WanPipeline | WanImageToVideoPipeline, folder: Path) -> Path:
    """The folder a released model is downloaded as."""
    pipeline.save_pretrained(folder)
    return folder


def _scheduler(shift: float) -> UniPCMultistepScheduler:
    return UniPCMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=shift)
