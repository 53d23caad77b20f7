"""Where each token is: rotary tables for a view-time grid, and what travels with them to every attention layer.

Source: 4Real-Video-V2, section 3.1 "Positional embedding" and appendix B "Other variants", "Comparing to learnable
view positional embedding" (Table S1).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn

from fourreal.core.errors import InputError
from fourreal.video.token_grid import TokenGrid

ViewPositions = Literal["stride", "sum", "learned"]
"""How the view enters the position of a token.

stride: (v, t, y, x) -> (v * t_max + t, y, x), the flattened grid as one long video; the papers' choice.
sum: -> (v + t, y, x); only the given frames distinguish views and times.
learned: -> (t, y, x), and a learned embedding of v is added to queries and keys.
"""

AttentionPattern = Literal["fused", "across_times", "across_views"]
"""Which tokens a token attends to.

fused: those of its view or its time. across_times: those of its view (a row, a fixed-view video).
across_views: those of its time (a column, a freeze-time video).
"""

NUM_VIEW_FREQUENCIES = 16


class TokenPlan(NamedTuple):
    """What an attention layer must know about its tokens. Blocks hand it through as `rotary_emb`.

    It travels with the call, not on the layer: gradient checkpointing runs a layer twice, and another
    grid may have gone through in between.
    """

    cos: Float[Tensor, "1 L 1 E"]
    sin: Float[Tensor, "1 L 1 E"]
    grid: TokenGrid
    pattern: AttentionPattern
    view_embedding: Float[Tensor, "V D"] | None = None


class ViewTimeRotary(WanRotaryPosEmbed):
    """Wan's rotary tables, read at the positions of a view-time grid.

    The two single-axis patterns see a plain video: positions (t, y, x) along a row and (v, y, x) along a column,
    so that a pretrained block meets what it was trained on.

    Args:
        theta: base of the rotary frequencies. Small token grids need a small one (30 rather than 10,000):
            with few positions a large base leaves most frequencies almost constant.
        t_max: stride between views, in latent times.
    """

    freqs_cos: Tensor
    freqs_sin: Tensor

    def __init__(
        self,
        attention_head_dim: int,
        patch_size: tuple[int, int, int],
        max_seq_len: int,
        theta: float,
        t_max: int,
        view_positions: ViewPositions,
    ) -> None:
        super().__init__(attention_head_dim, patch_size, max_seq_len, theta)
        self.t_max = t_max
        self.view_positions = view_positions

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, hidden_states: Float[Tensor, "B V C t h w"], pattern: AttentionPattern = "fused"
    ) -> tuple[Float[Tensor, "1 L 1 E"], Float[Tensor, "1 L 1 E"]]:
        """Cosines and sines for the tokens (v t y x) of such latents.

        Raises:
            InputError: the grid has more times than `t_max`, or positions beyond the table.
        """
        _, views, _, *sizes = hidden_states.shape
        times, rows, columns = (size // patch for size, patch in zip(sizes, self.patch_size, strict=True))
        frames = self._frame_positions(views, times, pattern)
        self._check_reach(int(frames.max()) + 1, rows, columns, views, times)
        frames = frames.to(self.freqs_cos.device)
        return self._table(self.freqs_cos, frames, rows, columns), self._table(self.freqs_sin, frames, rows, columns)

    def _frame_positions(self, views: int, times: int, pattern: AttentionPattern) -> Int[Tensor, "V t"]:
        v, t = torch.arange(views)[:, None], torch.arange(times)
        if pattern == "across_views":
            return v + 0 * t
        if pattern == "across_times" or self.view_positions == "learned":
            return 0 * v + t
        if self.view_positions == "sum":
            return v + t
        if views > 1 and times > self.t_max:
            raise InputError(
                f"the grid has {times} latent times, but this model places views {self.t_max} apart (t_max), so more "
                "would run into the next view; generate it in windows"
            )
        return v * self.t_max + t

    def _check_reach(self, frames: int, rows: int, columns: int, views: int, times: int) -> None:
        if max(frames, rows, columns) > self.max_seq_len:
            raise InputError(
                f"a grid of {views} views x {times} latent times x {rows} x {columns} tokens needs "
                f"{max(frames, rows, columns)} rotary positions, this model has {self.max_seq_len} "
                f"(rope_max_seq_len, with t_max {self.t_max}); use fewer views or generate it in windows"
            )

    def _table(
        self, table: Float[Tensor, "P E"], frames: Int[Tensor, "V t"], rows: int, columns: int
    ) -> Float[Tensor, "1 L 1 E"]:
        along_time, along_y, along_x = table.split([self.t_dim, self.h_dim, self.w_dim], dim=1)
        sizes = {"f": frames.numel(), "y": rows, "x": columns}
        parts = [
            repeat(along_time[frames.flatten()], "f e -> f y x e", **sizes),
            repeat(along_y[:rows], "y e -> f y x e", **sizes),
            repeat(along_x[:columns], "x e -> f y x e", **sizes),
        ]
        return rearrange(torch.cat(parts, dim=-1), "f y x e -> 1 (f y x) 1 e")


class ViewEmbedding(nn.Module):
    """View number -> a vector added to queries and keys before the rotation.

    Sines and cosines at 16 learnable frequencies, then a two-layer perceptron, shared by all layers. Its last layer
    starts at zero, so a fresh one leaves a pretrained model as it is.

    Source: 4Real-Video-V2, appendix B, Table S1, first row. The paper does not say how it is initialised.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.empty(NUM_VIEW_FREQUENCIES))
        self.hidden = nn.Linear(2 * NUM_VIEW_FREQUENCIES, width)
        self.out = nn.Linear(width, width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        with torch.no_grad():
            # From one turn in 6 views to one in 600: neighbours and whole arcs.
            self.frequencies.copy_(torch.logspace(0, -2, NUM_VIEW_FREQUENCIES))
        self.hidden.reset_parameters()
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, views: int) -> Float[Tensor, "V D"]:
        angles = torch.arange(views, device=self.frequencies.device)[:, None] * self.frequencies
        waves = torch.cat([angles.sin(), angles.cos()], dim=-1).to(self.hidden.weight.dtype)
        return self.out(nn.functional.silu(self.hidden(waves)))
