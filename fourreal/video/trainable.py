"""Which parameters the papers train in each arrangement, and freezing all others.

Source: 4Real-Video-V2, section 3.1 "Training"; 4Real-Video, section 4.1 "4D model".
"""

from __future__ import annotations

from typing import Literal

from torch import nn

from fourreal.core.errors import InputError
from fourreal.video.arrangements import TRAINING_FREE, trains
from fourreal.video.transformer import ViewTimeTransformer

What = Literal["arrangement", "all"]
"""arrangement: what the papers train to turn a video model into a view-time model. all: every parameter, as for a
base model of one's own."""


def trainable_parameters(model: ViewTimeTransformer, what: What = "arrangement") -> dict[str, nn.Parameter]:
    """Parameters to train, by name. Empty for the training-free arrangements."""
    arrangement = model.config["arrangement"]
    return {name: p for name, p in model.named_parameters() if what == "all" or trains(arrangement, name)}


def freeze_for_training(model: ViewTimeTransformer, what: What = "arrangement") -> list[nn.Parameter]:
    """Let gradients reach the parameters to train and no others; returns them for the optimiser.

    Raises:
        InputError: the arrangement is one of those without training.
    """
    chosen = trainable_parameters(model, what)
    if not chosen:
        raise InputError(
            f"the arrangement '{model.config['arrangement']}' has nothing to train "
            f"({' and '.join(TRAINING_FREE)} are the training-free ones); choose another"
        )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in chosen)
    return list(chosen.values())
