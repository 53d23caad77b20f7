"""Shapes of the models that the papers and their released base models have. Weights come from `weights.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

RELEASED: dict[str, str] = {
    "wan2.1-1.3b": "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
    "wan2.1-14b": "Wan-AI/Wan2.1-T2V-14B-Diffusers",
    "wan2.2-14b": "Wan-AI/Wan2.2-T2V-A14B-Diffusers",
    "wan2.2-ti2v-5b": "Wan-AI/Wan2.2-TI2V-5B-Diffusers",
}
"""Short name -> model hub id of the base models that anyone can download."""

TWO_EXPERTS = ("wan2.2-14b",)
"""Of these, those with one transformer for high noise and one for low."""


def tiny() -> dict[str, Any]:
    """For tests: two blocks, 85,840 parameters, up to 12 views of 21 latent times."""
    return {
        "num_attention_heads": 2,
        "attention_head_dim": 24,
        "text_dim": 32,
        "freq_dim": 32,
        "ffn_dim": 96,
        "num_layers": 2,
        "rope_max_seq_len": 256,
    }


def wan_1_3b() -> dict[str, Any]:
    """Wan 2.1 1.3B: 1.419 billion parameters."""
    return {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30}


def wan_14b() -> dict[str, Any]:
    """Wan 2.1 14B, and each of the two experts of Wan 2.2 A14B: 14.288 billion parameters."""
    return {"num_attention_heads": 40, "ffn_dim": 13824, "num_layers": 40}


def wan_ti2v_5b() -> dict[str, Any]:
    """Wan 2.2 TI2V 5B: 5.000 billion parameters, 16x latents of 48 channels."""
    return {"num_attention_heads": 24, "ffn_dim": 14336, "num_layers": 30, "in_channels": 48, "out_channels": 48}


def paper_11b() -> dict[str, Any]:
    """As deep and wide as the papers' own base model: 32 blocks, hidden size 4096, 11 billion parameters.

    The hidden width of its feed-forward is not published; this one makes the count right.
    Source: 4Real-Video-V2, appendix B "Architecture details".
    """
    return {"num_attention_heads": 32, "ffn_dim": 25_088, "num_layers": 32}


PRESETS: dict[str, Callable[[], dict[str, Any]]] = {
    "tiny": tiny,
    "wan-1.3b": wan_1_3b,
    "wan-14b": wan_14b,
    "wan-ti2v-5b": wan_ti2v_5b,
    "paper-11b": paper_11b,
}
"""Shapes by name, for models with random weights."""
