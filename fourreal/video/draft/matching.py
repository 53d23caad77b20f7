"""Learned matching of two frames, both ways: where every pixel of one is in the other, and whether it is seen there.

Features at a half and a quarter of the size; every quarter pixel looks for its match in the whole other frame; what
comes of it is refined at a quarter and then at a half by looking closely around where it points. Frames too large for
a match in the whole are matched at half their size first.

Source: Xu et al., "GMFlow: Learning Optical Flow via Global Matching" (2022), section 3.2 (matching in the whole
frame by a softmax); Teed and Deng, "RAFT" (2020), sections 3.2 and 3.3 (iterated refinement by looking around).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fourreal.core.errors import InputError
from fourreal.video.draft.exchanging import Exchange, place_angles
from fourreal.video.draft.local_correlation import local_correlation
from fourreal.video.draft.warping import convexly_upsampled, resized_flow, warped

WHOLE_UP_TO = 96
"""Pixels of the longer side up to which a match is looked for in the whole frame."""

HEADS = 2
FLOW_UNIT = 8.0
"""Pixels of a level that count as 1 where a network reads a flow."""


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Where the pixels of N first frames are in N second ones, and then the other way round.

    Attributes:
        flow: in pixels of the frames.
        visible: logits; above 0 where the pixel is seen in the other frame.
        guesses: earlier flows, coarse to fine, each at its own size and in its own pixels.
        similarity: logits of every quarter pixel's match in the whole frame; None where half the size was matched
            first.
        features: of the frames at a half of their size.
        context: what every quarter pixel was matched by in the whole frame.
    """

    flow: Float[Tensor, "M 2 H W"]
    visible: Float[Tensor, "M 1 H W"]
    guesses: tuple[Float[Tensor, "M 2 _h _w"], ...]
    similarity: Float[Tensor, "M P P"] | None
    features: Float[Tensor, "M C h w"]
    context: Float[Tensor, "M D h2 w2"]


class Residual(nn.Module):
    """Two convolutions beside a shortcut; a new one changes nothing."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.layers = nn.ModuleList([convolution(width, width, dilation=dilation), convolution(width, width)])
        nn.init.zeros_(self.layers[1].weight)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        return functional.relu(x + self.layers[1](functional.relu(self.layers[0](x))))


class Features(nn.Module):
    """Feature maps of a frame at a half and at a quarter of its size.

    Args:
        half, quarter: channels.
        depth: residual blocks at a quarter.
    """

    def __init__(self, half: int, quarter: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([convolution(12, half), convolution(half, quarter, stride=2)])
        self.at_half = Residual(half)
        self.at_quarter = nn.Sequential(*(Residual(quarter) for _ in range(depth)))

    def forward(
        self, frames: Float[Tensor, "N 3 H W"]
    ) -> tuple[Float[Tensor, "N C1 H//2 W//2"], Float[Tensor, "N C2 H//4 W//4"]]:
        """Frames in [0, 1]; their sides are multiples of 4."""
        folded = functional.pixel_unshuffle(2 * frames - 1, 2).contiguous(memory_format=torch.channels_last)
        half = self.at_half(functional.relu(self.layers[0](folded)))
        return half, self.at_quarter(functional.relu(self.layers[1](half)))


class Refinement(nn.Module):
    """A better flow, from how alike the frames are around where the present one points.

    Args:
        context: channels of the features.
        state: channels of what one pass tells the next.
        dilations: of the convolutions after the first.
    """

    def __init__(self, context: int, state: int, radius: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.radius = radius
        read = (2 * radius + 1) ** 2 + 2 + 2 + context + state
        widths = [convolution(read, state)]
        self.layers = nn.ModuleList([*widths, *(convolution(state, state, dilation=step) for step in dilations)])
        self.step = nn.Conv2d(state, 2, 3, padding=1)
        nn.init.zeros_(self.step.weight)
        nn.init.zeros_(self.step.bias)  # pyright: ignore[reportArgumentType]

    def forward(
        self,
        here: Float[Tensor, "M C h w"],
        there: Float[Tensor, "M C h w"],
        flow: Float[Tensor, "M 2 h w"],
        state: Float[Tensor, "M S h w"],
    ) -> tuple[Float[Tensor, "M 2 h w"], Float[Tensor, "M S h w"]]:
        """The flow one step on, and the new state."""
        flow = flow.detach()
        alike = local_correlation(here, there, flow, self.radius).to(here.dtype) * here.shape[1] ** 0.5
        cycle = flow + warped(_other_way(flow), flow)
        told = [alike, flow.to(here.dtype) / FLOW_UNIT, (cycle / FLOW_UNIT).clamp(-2, 2).to(here.dtype), here, state]
        x = torch.cat(told, 1).contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            x = functional.relu(layer(x))
        return flow + FLOW_UNIT * self.step(x).float(), x


class Matcher(nn.Module):
    """Matches frames of any size whose sides are multiples of 4.

    Args:
        half, quarter: channels of the features.
        exchanges: layers in which the two frames look at each other before they are matched in the whole.
        passes: refinements at a quarter of the size.
    """

    def __init__(self, half: int, quarter: int, depth: int, exchanges: int, passes: int) -> None:
        super().__init__()
        self.passes = passes
        self.features = Features(half, quarter, depth)
        self.exchange_blocks = nn.ModuleList([Exchange(quarter, HEADS) for _ in range(exchanges)])
        self.described_norm = nn.LayerNorm(quarter)
        self.described = nn.Linear(quarter, quarter)
        self.sharpness = nn.Parameter(torch.tensor(1.0))
        self.coarse = Refinement(quarter, quarter, 4, (1, 2, 4, 1))
        self.fine = Refinement(half, half, 3, (1, 2, 1))
        self.handed_on = nn.Conv2d(quarter, half, 1)
        self.shape_of_edges = nn.Conv2d(half, 36, 1)
        self.seen = nn.Conv2d(half, 1, 1)

    @classmethod
    def tiny(cls) -> Matcher:
        """For tests."""
        return cls(half=16, quarter=16, depth=1, exchanges=1, passes=1)

    def forward(self, first: Float[Tensor, "N 3 H W"], second: Float[Tensor, "N 3 H W"]) -> Matches:
        """Match frames in [0, 1], both ways: M = 2 N, first to second and then second to first.

        Raises:
            InputError: sides that are no multiples of 4.
        """
        height, width = first.shape[-2:]
        if height % 4 or width % 4:
            raise InputError(
                "frames are matched at a quarter of their size; their sides must be multiples of 4, got "
                f"{height} x {width}"
            )
        guesses: list[Tensor] = []
        similarity = None
        half, quarter = self.features(torch.cat([first, second]))
        if max(height, width) > WHOLE_UP_TO and not (height % 8 or width % 8):
            smaller = (height // 2, width // 2)
            coarser = self.forward(_shrunk(first, smaller), _shrunk(second, smaller))
            flow = resized_flow(coarser.flow, (height // 4, width // 4))
            context = functional.interpolate(coarser.context, size=flow.shape[-2:], mode="nearest")
        else:
            described = self._described(quarter)
            similarity = self._similarity(described)
            flow = _expected_flow(similarity, (height // 4, width // 4))
            guesses.append(flow)
            context = rearrange(described, "m (h w) c -> m c h w", h=height // 4)
        state = context
        for _ in range(self.passes):
            flow, state = self.coarse(quarter, _other_way(quarter), flow, state)
            guesses.append(flow)
        state = functional.interpolate(self.handed_on(state), scale_factor=2, mode="nearest")
        flow, state = self.fine(half, _other_way(half), resized_flow(flow, (height // 2, width // 2)), state)
        guesses.append(flow)
        seen = functional.interpolate(self.seen(state).float(), scale_factor=2, mode="bilinear")
        return Matches(
            flow=convexly_upsampled(flow, self.shape_of_edges(state)),
            visible=seen,
            guesses=tuple(guesses),
            similarity=similarity,
            features=half,
            context=context,
        )

    def _described(self, quarter: Float[Tensor, "M C h w"]) -> Float[Tensor, "M P C"]:
        """What every quarter pixel is matched by: its features, in the light of both frames."""
        size = (quarter.shape[-2], quarter.shape[-1])
        described = rearrange(quarter, "m c h w -> m (h w) c")
        turns = place_angles(size, quarter.shape[1] // HEADS).to(quarter.device)
        for exchange in self.exchange_blocks:
            described = exchange(described, turns)
        return described

    def _similarity(self, described: Float[Tensor, "M P C"]) -> Float[Tensor, "M P P"]:
        first, second = self.described(self.described_norm(described)).chunk(2)
        alike = (first @ second.mT).float() * self.sharpness * first.shape[-1] ** -0.5
        return torch.cat([alike, alike.mT])


def _expected_flow(similarity: Float[Tensor, "M P P"], size: tuple[int, int]) -> Float[Tensor, "M 2 h w"]:
    """The mean of where a pixel may be, weighted by how likely that is."""
    height, width = size
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    places = torch.stack([x, y], -1).reshape(-1, 2).to(similarity.device)
    flow = similarity.softmax(-1) @ places - places
    return rearrange(flow, "m (h w) c -> m c h w", h=height)


def _other_way(both: Float[Tensor, "M C h w"]) -> Float[Tensor, "M C h w"]:
    """What belongs to the other frame of every pair."""
    first, second = both.chunk(2)
    return torch.cat([second, first])


def _shrunk(frames: Float[Tensor, "N 3 H W"], size: tuple[int, int]) -> Float[Tensor, "N 3 h w"]:
    return functional.interpolate(frames, size=size, mode="area")


def convolution(read: int, made: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Three by three, to be followed by a rectifier."""
    layer = nn.Conv2d(read, made, 3, stride=stride, padding=dilation, dilation=dilation)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
    return layer
