"""From matches of known frames to an unknown frame: where its pixels are in two known frames, and which to believe.

What the row's frame shows is carried into the own view by the disparity its points had at the corner's time; what the
own frame shows is carried along as the other view sees it move. Both give a first guess of where a pixel of the
unknown frame is in the two known ones. A small network looks there and corrects the guess; at full resolution it
chooses between what the frames show there, the own frame as it stands, and that with the row's change of light.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fourreal.video.draft.local_correlation import local_correlation
from fourreal.video.draft.matching import FLOW_UNIT, Residual, convolution
from fourreal.video.draft.references import CellReferences
from fourreal.video.draft.splatting import splatted
from fourreal.video.draft.warping import convexly_upsampled, resized_flow, warped

CANDIDATES = (
    "own as it stands",
    "own, moved",
    "row, moved",
    "row by the own frame's disparity",
    "own and change of light",
)
STILL_WEIGHT = 0.02
"""Of a still pixel where it arrives beside a moving one, which mostly is in front."""
MOVES_FOR_SURE = 4.0
"""Pixels of motion from which on a pixel weighs 1."""


@dataclass(frozen=True, kw_only=True)
class Composed:
    """N unknown frames.

    Attributes:
        frames: in [0, 1].
        own, row: where the pixels are in the own frame and in the row's, earlier guesses first; each at its own size
            and in its own pixels.
        seen: logits, above 0 where the pixel is seen in the own frame and in the row's.
        shares: of `CANDIDATES`.
    """

    frames: Float[Tensor, "N 3 H W"]
    own: tuple[Float[Tensor, "N 2 _h _w"], ...]
    row: tuple[Float[Tensor, "N 2 _h _w"], ...]
    seen: Float[Tensor, "N 2 H W"]
    shares: Float[Tensor, "N 5 H W"]


class Composer(nn.Module):
    """Composes unknown frames.

    Args:
        features: channels of the references' features at a half of the size.
        half, quarter, full: channels at these sizes.
        passes: corrections of the first guess.
    """

    def __init__(self, features: int, half: int, quarter: int, full: int, passes: int) -> None:
        super().__init__()
        self.passes, self.radius = passes, 2
        read = 3 * features + 2 * (2 * self.radius + 1) ** 2 + 2 + 2 + 2 + 4 + half
        self.gathered = nn.Conv2d(read, quarter, 1)
        self.layers = nn.ModuleList(
            [convolution(quarter, half), convolution(half, quarter, stride=2), convolution(half + quarter, half)]
        )
        self.wide = nn.Sequential(Residual(quarter), Residual(quarter, 2), Residual(quarter, 4), Residual(quarter))
        self.step = nn.Conv2d(half, 4, 3, padding=1)
        self.seen = nn.Conv2d(half, 2, 1)
        self.shape_of_edges = nn.Conv2d(half, 72, 1)
        self.spread = nn.Conv2d(half, 4 * full // 2, 1)
        self.full_layers = nn.ModuleList([convolution(full // 2 + 3 * len(CANDIDATES), full), convolution(full, full)])
        self.choice = nn.Conv2d(full, len(CANDIDATES) + 3, 3, padding=1)
        for layer in (self.step, self.choice):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, cells: CellReferences) -> Composed:
        """The frames of N cells. Gradients reach the composer's parameters alone."""
        size = (cells.own.shape[-2], cells.own.shape[-1])
        half = (size[0] // 2, size[1] // 2)
        own_first, row_first, told = first_guesses(cells)
        own, row = [resized_flow(own_first, half)], [resized_flow(row_first, half)]
        told = functional.interpolate(told, size=half, mode="area")
        state = cells.own_features.new_zeros(len(cells.own), self.step.in_channels, *half)
        for _ in range(self.passes):
            step, state = self._corrected(cells, own[-1].detach(), row[-1].detach(), told, state)
            own.append(own[-1].detach() + step[:, :2])
            row.append(row[-1].detach() + step[:, 2:])
        edges = self.shape_of_edges(state)
        own.append(convexly_upsampled(own[-1], edges[:, :36]))
        row.append(convexly_upsampled(row[-1], edges[:, 36:]))
        seen = functional.interpolate(self.seen(state).float(), size=size, mode="bilinear")
        frames, shares = self._chosen(cells, own[-1], row[-1], state)
        return Composed(frames=frames, own=tuple(own), row=tuple(row), seen=seen, shares=shares)

    def _corrected(
        self,
        cells: CellReferences,
        own: Float[Tensor, "N 2 h w"],
        row: Float[Tensor, "N 2 h w"],
        told: Float[Tensor, "N 6 h w"],
        state: Float[Tensor, "N S h w"],
    ) -> tuple[Float[Tensor, "N 4 h w"], Float[Tensor, "N S h w"]]:
        """The step from both guesses to better ones, and the state for the next pass."""
        here, there = cells.own_features, cells.row_features
        with torch.no_grad():
            moved, found = warped(here, own), warped(there, row)
            scale = here.shape[1] ** 0.5
            alike = [local_correlation(each, there, row, self.radius) * scale for each in (here, moved)]
        parts = [here, moved, found, *alike, own / FLOW_UNIT, row / FLOW_UNIT, told, state]
        read = torch.cat([part.to(here.dtype) for part in parts], 1).contiguous(memory_format=torch.channels_last)
        near = functional.relu(self.layers[0](self.gathered(read)))
        wide = self.wide(functional.relu(self.layers[1](near)))
        wide = functional.interpolate(wide, size=near.shape[-2:], mode="nearest")
        state = functional.relu(self.layers[2](torch.cat([near, wide], 1)))
        return FLOW_UNIT * self.step(state).float(), state

    def _chosen(
        self,
        cells: CellReferences,
        own: Float[Tensor, "N 2 H W"],
        row: Float[Tensor, "N 2 H W"],
        state: Float[Tensor, "N S h w"],
    ) -> tuple[Float[Tensor, "N 3 H W"], Float[Tensor, "N 5 H W"]]:
        straight = warped(cells.row, cells.own_to_corner)
        lit = cells.own + straight - warped(cells.corner, cells.own_to_corner)
        shown = torch.stack([cells.own, warped(cells.own, own), warped(cells.row, row), straight, lit], 1)
        spread = functional.pixel_shuffle(functional.relu(self.spread(state)), 2)
        x = torch.cat([spread, rearrange(2 * shown - 1, "n k c h w -> n (k c) h w").to(spread.dtype)], 1)
        x = x.contiguous(memory_format=torch.channels_last)
        for layer in self.full_layers:
            x = functional.relu(layer(x))
        said = self.choice(x).float()
        shares = said[:, : len(CANDIDATES)].softmax(1)
        # Where the own frame stands as it is, nothing is added: small errors would show in what is still.
        added = said[:, len(CANDIDATES) :] * (1 - shares[:, :1])
        return ((shares[:, :, None] * shown).sum(1) + added), shares


@torch.no_grad()
def first_guesses(
    cells: CellReferences,
) -> tuple[Float[Tensor, "N 2 H W"], Float[Tensor, "N 2 H W"], Float[Tensor, "N 6 H W"]]:
    """Where the pixels of the unknown frames are in the own frame and in the row's, and what it rests on.

    Where nothing arrives, a pixel of the own view is taken to stand still, and to have the disparity of what the own
    frame shows there.

    Returns:
        Both flows, and six maps: how the own frame's pixels move and how surely, how much arrives from either frame,
        and how surely what arrives was seen.
    """
    motion, own_sure = cells.motion_of_own()
    disparity, row_sure = cells.disparity_of_row()
    own, own_arrived = _carried(motion, motion, own_sure)
    row, row_arrived = _carried(disparity, cells.row_to_corner, row_sure)
    own_flow = own[:, :2] * own_arrived
    row_flow = row[:, :2] * row_arrived + cells.own_to_corner * (1 - row_arrived)
    told = torch.cat([motion / FLOW_UNIT, own_sure, own_arrived, row_arrived, row[:, 2:]], 1)
    return own_flow, row_flow, told


def _carried(
    flow: Float[Tensor, "N 2 H W"], motion: Float[Tensor, "N 2 H W"], sure: Float[Tensor, "N 1 H W"]
) -> tuple[Float[Tensor, "N 3 H W"], Float[Tensor, "N 1 H W"]]:
    """The way back along a flow and how sure it is, where the flow leads; and how much arrives there, up to 1."""
    speed = motion.square().sum(1, keepdim=True).sqrt()
    weights = (sure + 0.01) * (STILL_WEIGHT + (speed / MOVES_FOR_SURE).clamp(max=1))
    found, arrived = splatted(torch.cat([-flow, sure], 1), flow, weights)
    return found, arrived.clamp(max=1)
