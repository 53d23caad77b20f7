"""A Wan model folder small enough for tests: every part real, in the layout Wan is released in."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKLWan
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import T5Tokenizer, UMT5Config, UMT5EncoderModel

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
    return UMT5EncoderModel(UMT5Config(vocab_size=256, feed_forward_proj="gated-gelu", **shape))


def tiny_vae(seed: int = 1) -> AutoencoderKLWan:
    """Wan 2.1's VAE: 8x in space, 4x in time, 16 channels."""
    torch.manual_seed(seed)
    shape: dict[str, Any] = {"dim_mult": [1, 1, 1, 1], "num_res_blocks": 1, "temperal_downsample": [False, True, True]}
    return AutoencoderKLWan(base_dim=4, z_dim=16, latents_mean=[0.1] * 16, latents_std=[1.5] * 16, **shape)
