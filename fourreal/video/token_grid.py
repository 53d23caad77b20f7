"""`TokenGrid`: how one long token sequence is laid out as views, times and places in a frame."""

from __future__ import annotations

from dataclasses import dataclass

from fourreal.core.errors import InputError


@dataclass(frozen=True)
class TokenGrid:
    """Sizes of the token sequence `(v t s)`: views outermost, then times, then the tokens of one frame.

    Attributes:
        views: number of viewpoints V.
        times: number of latent times t.
        frame_tokens: tokens of one latent frame, after patching.
    """

    views: int
    times: int
    frame_tokens: int

    def __post_init__(self) -> None:
        if min(self.views, self.times, self.frame_tokens) < 1:
            raise InputError(f"a token grid needs at least one view, time and token a frame; got {self}")

    @property
    def tokens(self) -> int:
        """Length L of the sequence."""
        return self.views * self.times * self.frame_tokens

    @property
    def is_single_video(self) -> bool:
        """One view or one time: every token sees every other, so fused attention is plain attention."""
        return self.views == 1 or self.times == 1

    @property
    def sparsity(self) -> float:
        """Share of query-key pairs that fused attention leaves out: exactly 1 - (V + T - 1) / (V T).

        4Real-Video-V2, section 3.1, writes 1 - (T + V) / (T V); a frame lies in its own row and its own
        column, so that count has it twice.
        """
        return 1 - (self.views + self.times - 1) / (self.views * self.times)
