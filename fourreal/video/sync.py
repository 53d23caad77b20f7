"""Synchronisation layers: what two token streams exchange after every block.

One stream has attended across the views of a time, the other across the times of a view; they describe the same
grid and must come to agree. (V1 writes them x^v and x^t, and swaps the two between its text and its Figure 2; here
they are called by what they attended across.)

Source: 4Real-Video, sections 3.2.3-3.2.4 (Eqs. 8-10), section 7 (Eqs. 12-13).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

Streams = tuple[Float[Tensor, "B L D"], Float[Tensor, "B L D"]]
"""(across views, across times)"""


class SyncLayer(nn.Module):
    """Base of the four kinds: `forward(across_views, across_times, scale) -> both`, updated.

    `scale` `[B 1 2 D]` (or one a token) comes from the diffusion time and is shared by all layers; each trained
    layer adds its own table to it.
    """

    def reset_parameters(self) -> None:
        """Set the initial values; layers without parameters have none."""


class HardSync(SyncLayer):
    """Both streams become one weighted sum; at the start their mean, whatever the diffusion time.

    Source: 4Real-Video, Eq. 8: x = W^v y^v + W^t y^t, initial values I / 2, modulated by the diffusion time.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.from_views = nn.Linear(width, width, bias=False)
        self.from_times = nn.Linear(width, width, bias=False)
        self.scale_table = nn.Parameter(torch.empty(2, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for linear in (self.from_views, self.from_times):
            nn.init.eye_(linear.weight)
            with torch.no_grad():
                linear.weight.mul_(0.5)
        nn.init.zeros_(self.scale_table)

    def forward(self, across_views: Tensor, across_times: Tensor, scale: Tensor) -> Streams:
        of_views, of_times = (1 + scale + self.scale_table).unbind(-2)
        merged = of_views * self.from_views(across_views) + of_times * self.from_times(across_times)
        merged = merged.type_as(across_views)
        return merged, merged


class SoftSync(SyncLayer):
    """Each stream is moved by a linear function of both; at the start not at all.

    Source: 4Real-Video, Eqs. 9-10. The paper leaves the initial values open; zero keeps the frozen base intact.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.updates = nn.Linear(2 * width, 2 * width)
        self.scale_table = nn.Parameter(torch.empty(2, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for parameter in (self.updates.weight, self.updates.bias, self.scale_table):
            nn.init.zeros_(parameter)

    def forward(self, across_views: Tensor, across_times: Tensor, scale: Tensor) -> Streams:
        of_views, of_times = (1 + scale + self.scale_table).unbind(-2)
        for_views, for_times = self.updates(torch.cat([across_views, across_times], dim=-1)).chunk(2, dim=-1)
        return (
            (across_views + of_views * for_views).type_as(across_views),
            (across_times + of_times * for_times).type_as(across_times),
        )


class AverageSync(SyncLayer):
    """Both streams become their mean; nothing to train. Source: 4Real-Video, Eq. 12."""

    def forward(self, across_views: Tensor, across_times: Tensor, scale: Tensor) -> Streams:
        mean = (across_views + across_times) / 2
        return mean, mean


class BlendSync(SyncLayer):
    """Each stream takes a share of the other that grows with depth; nothing to train.

    Args:
        layer: l, counted from 0.
        layers: L.

    Source: 4Real-Video, Eq. 13, with w_l = 0.1 + 0.4 l / L.
    """

    def __init__(self, layer: int, layers: int) -> None:
        super().__init__()
        self.share = 0.1 + 0.4 * layer / layers

    def forward(self, across_views: Tensor, across_times: Tensor, scale: Tensor) -> Streams:
        return torch.lerp(across_views, across_times, self.share), torch.lerp(across_times, across_views, self.share)


class Synchronisation(nn.Module):
    """The sync layers of a model and the modulation by diffusion time that they share.

    Args:
        layers: one per block.
        width: of a token. The modulation starts at zero: layers begin with their initial values at all times.
    """

    def __init__(self, layers: list[SyncLayer], width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        trains = any(True for layer in layers for _ in layer.parameters())
        self.time = nn.Linear(width, 2 * width) if trains else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for layer in self.layers:
            assert isinstance(layer, SyncLayer)
            layer.reset_parameters()
        if self.time is not None:
            nn.init.zeros_(self.time.weight)
            nn.init.zeros_(self.time.bias)

    def scale(self, time: Float[Tensor, "B *L D"]) -> Float[Tensor, "B K 2 D"]:
        """The shared modulation from the embedding of the diffusion time (one, or one a token)."""
        time = time if time.ndim == 3 else time.unsqueeze(1)
        if self.time is None:
            return time.new_zeros(*time.shape[:2], 2, time.shape[-1])
        return self.time(nn.functional.silu(time)).unflatten(-1, (2, -1))
