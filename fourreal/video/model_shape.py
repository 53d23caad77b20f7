"""What a generator costs, as numbers: parameters, widths and strides, without loading a weight.

Parameters are counted on the meta device, from the same classes that would be loaded.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from torch import nn

from fourreal.core.errors import InputError
from fourreal.core.shipped import shipped_folder
from fourreal.video.arrangements import Arrangement
from fourreal.video.checkpoint_files import read_checkpoint_folder
from fourreal.video.codec import PixelTubelets, WanCodec
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.positions import ViewPositions
from fourreal.video.presets import PRESETS, RELEASED, TWO_EXPERTS
from fourreal.video.quantize import stored_bytes
from fourreal.video.text import SMALL_TOKENS, WAN_TOKENS, TransformersTextEncoder
from fourreal.video.transformer import ViewTimeTransformer

UMT5_WIDTH = 4096

_PRESET_OF_RELEASED = {
    "wan2.1-1.3b": "wan-1.3b",
    "wan2.1-14b": "wan-14b",
    "wan2.2-14b": "wan-14b",
    "wan2.2-ti2v-5b": "wan-ti2v-5b",
}


@dataclass(frozen=True, kw_only=True)
class CodecCost:
    """What encoding and decoding a pixel of one frame costs.

    Attributes:
        spatial_stride, temporal_stride: pixels and frames per latent.
        parameters: held in float32.
        encode_flops, decode_flops: floating point operations per pixel of a frame.
        bytes_per_pixel: peak memory of decoding, per pixel of one frame; does not grow with time.
    """

    spatial_stride: int
    temporal_stride: int = 4
    parameters: int = 0
    encode_flops: float = 0.0
    decode_flops: float = 0.0
    bytes_per_pixel: float = 100.0


# Operations and bytes counted on the meta device (tests/video/test_plan.py counts them again).
WAN_2_1_CODEC = CodecCost(
    spatial_stride=8,
    temporal_stride=4,
    parameters=126_892_531,
    encode_flops=5.0e6,
    decode_flops=8.45e6,
    bytes_per_pixel=20_000.0,
)
WAN_2_2_CODEC = CodecCost(
    spatial_stride=16,
    temporal_stride=4,
    parameters=704_688_668,
    encode_flops=3.5e6,
    decode_flops=18.4e6,
    bytes_per_pixel=22_000.0,
)


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """Everything `plan_generation` reads.

    Attributes:
        width, ffn, layers: of the transformer.
        patch: latent cells per token, (time, height, width).
        t_max, max_positions, view_positions: reach of the rotary table.
        parameters: of the transformer; of one of them where there are several.
        experts: transformers, each for its own noise levels.
        bytes_per_value: 4, 2 (bfloat16) or 1 (int8) for the transformer's weights.
        text_parameters: of the text encoder, held in bfloat16 for Wan's.
        time_per_latent: the diffusion time enters per latent, not per sample (Wan 2.2 TI2V).
    """

    name: str
    width: int
    ffn: int
    layers: int
    patch: tuple[int, int, int]
    text_tokens: int
    t_max: int
    max_positions: int
    view_positions: ViewPositions
    arrangement: Arrangement
    parameters: int
    bytes_per_value: float
    text_parameters: int
    codec: CodecCost
    experts: int = 1

    @property
    def frame_multiple(self) -> int:
        """Frame height and width must be multiples of this."""
        return self.codec.spatial_stride * math.lcm(self.patch[1], self.patch[2])


@functools.lru_cache(maxsize=16)
def named_shape(name: str) -> ModelShape:
    """The shape of the shipped model, a released base model, a preset or a model folder, in bfloat16. Reads no weight.

    Raises:
        InputError: an unknown name, or a folder without a transformer.
    """
    folder, preset = shipped_folder(name, "video") or Path(name), _PRESET_OF_RELEASED.get(name, name)
    experts = 2 if name in TWO_EXPERTS else 1
    if folder.is_dir():
        inner = folder / "transformer"
        experts = 2 if (folder / "transformer_2").is_dir() else 1
        values = read_checkpoint_folder(inner if inner.is_dir() else folder).config
        name = folder.name
    elif preset in PRESETS:
        values = PRESETS[preset]()
    else:
        known = ", ".join(["mini", *RELEASED, *PRESETS])
        raise InputError(f"'{name}' is no model whose size is known; known are {known}; or give a model folder")
    with init_empty_weights():
        transformer = ViewTimeTransformer(**values)
    config = transformer.config
    codecs = {48: WAN_2_2_CODEC, 16: WAN_2_1_CODEC}
    # Neither of Wan's codecs has so many channels as a block of pixels.
    codec = codecs.get(config["out_channels"], CodecCost(spatial_stride=PixelTubelets().spatial_stride))
    reads_umt5 = config["text_dim"] == UMT5_WIDTH
    text, tokens = (_umt5_parameters(), WAN_TOKENS) if reads_umt5 else (0, SMALL_TOKENS)
    return _shape(name, config, _count(transformer), 2.0, text, tokens, codec, experts)


def shape_of(model: ViewTimeGenerator) -> ModelShape:
    """The shape of a loaded model."""
    transformer = model.transformer
    parameters = _count(transformer)
    text, tokens = 0, 1
    if isinstance(model.text_encoder, TransformersTextEncoder):
        text, tokens = _count(model.text_encoder.model), model.text_encoder.max_tokens
    return _shape(
        "this model",
        transformer.config,
        parameters,
        stored_bytes(transformer) / parameters,
        text,
        tokens,
        _codec_cost(model),
        len(model.transformers),
    )


def _codec_cost(model: ViewTimeGenerator) -> CodecCost:
    codec = model.codec
    if isinstance(codec, WanCodec):
        known = WAN_2_2_CODEC if codec.spatial_stride == 16 else WAN_2_1_CODEC
        parameters = _count(codec.vae)
        # A smaller VAE of the same kind does proportionally less work.
        share = parameters / known.parameters
        return CodecCost(
            spatial_stride=codec.spatial_stride,
            temporal_stride=codec.temporal_stride,
            parameters=parameters,
            encode_flops=known.encode_flops * share,
            decode_flops=known.decode_flops * share,
            bytes_per_pixel=known.bytes_per_pixel * math.sqrt(share),
        )
    assert isinstance(codec, PixelTubelets)
    return CodecCost(spatial_stride=codec.spatial_stride, temporal_stride=codec.temporal_stride)


def _shape(
    name: str,
    config: Mapping[str, Any],
    parameters: int,
    bytes_per_value: float,
    text_parameters: int,
    text_tokens: int,
    codec: CodecCost,
    experts: int,
) -> ModelShape:
    patch = config["patch_size"]
    return ModelShape(
        name=name,
        width=config["num_attention_heads"] * config["attention_head_dim"],
        ffn=config["ffn_dim"],
        layers=config["num_layers"],
        patch=(patch[0], patch[1], patch[2]),
        text_tokens=text_tokens,
        t_max=config["t_max"],
        max_positions=config["rope_max_seq_len"],
        view_positions=config["view_positions"],
        arrangement=config["arrangement"],
        parameters=parameters,
        bytes_per_value=bytes_per_value,
        text_parameters=text_parameters,
        codec=codec,
        experts=experts,
    )


@functools.cache
def _umt5_parameters() -> int:
    """UMT5-XXL's encoder, which every released Wan model reads its prompts with."""
    from transformers import UMT5Config, UMT5EncoderModel

    shape: dict[str, Any] = {
        "vocab_size": 256_384,
        "d_model": UMT5_WIDTH,
        "d_kv": 64,
        "d_ff": 10_240,
        "num_layers": 24,
        "num_heads": 64,
    }
    with torch.device("meta"):
        return _count(UMT5EncoderModel(UMT5Config(feed_forward_proj="gated-gelu", **shape)))


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
