"""Classifier-free guidance over two conditions, the text and the reference cells.

With both references given, guidance changes little and one pass a step suffices; with one it is
essential, because the text then decides what the references leave open.

Source: 4Real-Video-V2, appendix B "Sampling Strategy and Classifier-Free Guidance".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor

from fourreal.core.errors import InputError

ESSENTIAL = 5.0
"""Text guidance where the paper calls it essential but gives no number; Wan's own default."""


@dataclass(frozen=True)
class Guidance:
    """How far a prediction is pushed away from the one without a condition; 1 is not at all.

    Each scale other than 1 costs one more pass per step.
    """

    text: float = 1.0
    references: float = 1.0

    @property
    def passes(self) -> int:
        """Network evaluations per sampling step."""
        return 1 + (self.text != 1) + (self.references != 1)


def choose_guidance(text: float | None, references: float, *, prompt: str, known: Bool[Tensor, "V t"]) -> Guidance:
    """Fill in the text scale where it is None, and refuse scales without a condition to guide by.

    By default it is off with a row and a column known or without a prompt, and `ESSENTIAL` otherwise.

    Args:
        known: which latents serve as references.

    Raises:
        InputError: text guidance without a prompt, or reference guidance without references.
    """
    if text is None:
        row, column = bool(known.all(1).any()), bool(known.all(0).any())
        text = 1.0 if (row and column and known.shape[0] > 1) or not prompt.strip() else ESSENTIAL
    elif text != 1 and not prompt.strip():
        raise InputError(f"text guidance of {text:g} needs a prompt to guide by, and there is none; give one or use 1")
    if references != 1 and not known.any():
        raise InputError(
            f"reference guidance of {references:g} needs known cells to guide by, and no latent is wholly known; use 1"
        )
    return Guidance(text, references)


def guided(predict: Callable[[bool, bool], Tensor], guidance: Guidance) -> Tensor:
    """The guided prediction.

    Args:
        predict: of (with text, with references). Called once for the full condition and once more
            for each guided condition, with that condition alone left out.
    """
    full = predict(True, True)
    result = full
    if guidance.text != 1:
        result = result + (guidance.text - 1) * (full - predict(False, True))
    if guidance.references != 1:
        result = result + (guidance.references - 1) * (full - predict(True, False))
    return result
