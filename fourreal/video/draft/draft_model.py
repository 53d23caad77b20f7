"""`DraftModel`: the unknown cells of a grid, found in the known ones."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from fourreal.core.grid import VideoGrid
from fourreal.video.draft.composing import Composed, Composer
from fourreal.video.draft.matching import Matcher
from fourreal.video.draft.references import CellReferences, reference_cells

AT_ONCE = 24
"""Pairs or cells of 64 x 64 pixels; fewer of larger frames."""
SIDE_MULTIPLE = 8

MATCHER = {"half": 64, "quarter": 96, "depth": 3, "exchanges": 3, "passes": 3}
COMPOSER = {"features": 64, "half": 64, "quarter": 96, "full": 32, "passes": 2}
"""Sizes of the draft that ships, which a folder spells out so that they may change here."""


class DraftModel(nn.Module):
    """Matches known frames and composes unknown ones from the matches. Fully convolutional: any size, any grid.

    Args:
        matcher, composer: arguments of `Matcher` and `Composer`.
    """

    def __init__(self, matcher: dict[str, Any] | None = None, composer: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.config = {"matcher": MATCHER | (matcher or {}), "composer": COMPOSER | (composer or {})}
        self.matcher = Matcher(**self.config["matcher"])
        self.composer = Composer(**self.config["composer"])

    @classmethod
    def tiny(cls) -> DraftModel:
        """For tests."""
        return cls(
            matcher={"half": 16, "quarter": 16, "depth": 1, "exchanges": 1, "passes": 1},
            composer={"features": 16, "half": 16, "quarter": 16, "full": 16, "passes": 1},
        )

    def forward(
        self, frames: Float[Tensor, "F 3 H W"], own: Int[Tensor, "N"], row: Int[Tensor, "N"], corner: Int[Tensor, "N"]
    ) -> Composed:
        """N unknown frames.

        Args:
            frames: known frames in [0, 1], sides multiples of 4.
            own, row, corner: which frames an unknown one is made of; see `CellReferences`.
        """
        return self.composer(self.matched(frames, own, row, corner))

    def matched(
        self, frames: Float[Tensor, "F 3 H W"], own: Int[Tensor, "N"], row: Int[Tensor, "N"], corner: Int[Tensor, "N"]
    ) -> CellReferences:
        """The references of N cells with their matches; a pair that several cells share is matched once."""
        wanted = torch.cat([torch.stack([own, corner], 1), torch.stack([row, corner], 1)])
        pairs, places = torch.unique(wanted, dim=0, return_inverse=True)
        found = [self.matcher(frames[some[:, 0]], frames[some[:, 1]]) for some in pairs.split(_at_once(frames))]
        flow, back = _both_ways([each.flow for each in found])
        seen, seen_back = _both_ways([each.visible for each in found])
        features, _ = _both_ways([each.features for each in found])
        of_own, of_row = places.chunk(2)
        return CellReferences(
            own=frames[own],
            row=frames[row],
            corner=frames[corner],
            own_features=features[of_own],
            row_features=features[of_row],
            own_to_corner=flow[of_own],
            corner_to_own=back[of_own],
            row_to_corner=flow[of_row],
            corner_to_row=back[of_row],
            own_seen=seen[of_own],
            corner_seen_in_own=seen_back[of_own],
            row_seen=seen[of_row],
            corner_seen_in_row=seen_back[of_row],
        )


@torch.no_grad()
def draft_cells(model: DraftModel, grid: VideoGrid) -> tuple[Float[Tensor, "V T 3 H W"], Bool[Tensor, "V T"]]:
    """Drafts of a grid's unknown cells, and which have one.

    A cell needs a known frame of its view, a known frame of its time, and the frame known where that view and that time
    cross; with only a row or only a column given, no cell has a draft.

    Returns:
        Frames in [0, 1], the known ones as they are and zeros where there is no draft; and where there is one.
    """
    frames, drafted = grid.frames.clone(), torch.zeros_like(grid.known)
    cells, chosen = reference_cells(grid.known.cpu())
    if not len(cells):
        return frames, drafted
    height, width = grid.image_size
    more = ((-width) % SIDE_MULTIPLE, (-height) % SIDE_MULTIPLE)
    flat = functional.pad(frames.flatten(0, 1).float(), (0, more[0], 0, more[1]), mode="replicate")
    view, time, row_view, own_time = cells[:, 0], cells[:, 1], chosen[:, 0], chosen[:, 1]
    times = grid.num_times
    indices = (view * times + own_time, row_view * times + time, row_view * times + own_time)
    references = zip(*(each.split(_at_once(flat)) for each in indices), strict=True)
    made = [model(flat, *some).frames for some in references]
    frames[view, time] = torch.cat(made)[..., :height, :width].clamp(0, 1).to(frames)
    drafted[view, time] = True
    return frames, drafted


def _at_once(frames: Float[Tensor, "F 3 H W"]) -> int:
    return max(1, AT_ONCE * 64 * 64 // (frames.shape[-2] * frames.shape[-1]))


def _both_ways(parts: list[Tensor]) -> tuple[Tensor, Tensor]:
    halves = [part.chunk(2) for part in parts]
    return torch.cat([there for there, _ in halves]), torch.cat([back for _, back in halves])
