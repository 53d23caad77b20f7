"""Which parameters the papers train in each arrangement.

Source: 4Real-Video-V2, section 3.1 "Training"; 4Real-Video, section 4.1 "4D model".
"""

from __future__ import annotations

from typing import Literal

from torch import nn

from fourreal.video.arrangements import trains
from fourreal.video.transformer import ViewTimeTransformer

What = Literal["arrangement", "all"]
"""arrangement: what the papers train to turn a video model into a view-time model. all: every parameter, as for a
base model of one's own."""


def trainable_parameters(model: ViewTimeTransformer, what: What = "arrangement") -> dict[str, nn.Parameter]:
    """Parameters to train, by name. Empty for the training-free arrangements."""
    arrangement = model.config["arrangement"]
    return {name: p for name, p in model.named_parameters() if what == "all" or trains(arrangement, name)}
