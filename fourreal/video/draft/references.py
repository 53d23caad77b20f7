"""Which known frames an unknown cell can be found in, and what matching says of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fourreal.video.draft.warping import warped


@dataclass(frozen=True, kw_only=True)
class CellReferences:
    """For N unknown cells: a known frame of the own view, one of the own time in another view (the row's), and the
    known corner of that view at that other time, with the matches of the first two against the corner.

    Attributes:
        own, row, corner: frames in [0, 1].
        own_features, row_features: at a half of the size.
        own_to_corner ...: flows, in pixels.
        own_seen, row_seen: logits; above 0 where the pixel is seen in the corner.
        corner_seen_in_own, corner_seen_in_row: logits, the other way round.
    """

    own: Float[Tensor, "N 3 H W"]
    row: Float[Tensor, "N 3 H W"]
    corner: Float[Tensor, "N 3 H W"]
    own_features: Float[Tensor, "N C h w"]
    row_features: Float[Tensor, "N C h w"]
    own_to_corner: Float[Tensor, "N 2 H W"]
    corner_to_own: Float[Tensor, "N 2 H W"]
    row_to_corner: Float[Tensor, "N 2 H W"]
    corner_to_row: Float[Tensor, "N 2 H W"]
    own_seen: Float[Tensor, "N 1 H W"]
    corner_seen_in_own: Float[Tensor, "N 1 H W"]
    row_seen: Float[Tensor, "N 1 H W"]
    corner_seen_in_row: Float[Tensor, "N 1 H W"]

    def disparity_of_row(self) -> tuple[Float[Tensor, "N 2 H W"], Float[Tensor, "N 1 H W"]]:
        """How far every pixel of the row's frame is from its place in the own view, by where it was at the corner's
        time; and how surely it was seen there in both views."""
        seen = self.row_seen.sigmoid() * warped(self.corner_seen_in_own.sigmoid(), self.row_to_corner)
        return warped(self.corner_to_own, self.row_to_corner), seen

    def motion_of_own(self) -> tuple[Float[Tensor, "N 2 H W"], Float[Tensor, "N 1 H W"]]:
        """How far every pixel of the own frame has moved by the cell's time, by how the other view sees it move; and
        how surely it was seen there at both times."""
        seen = self.own_seen.sigmoid() * warped(self.corner_seen_in_row.sigmoid(), self.own_to_corner)
        return warped(self.corner_to_row, self.own_to_corner), seen


def reference_cells(known: Bool[Tensor, "V T"]) -> tuple[Int[Tensor, "N 2"], Int[Tensor, "N 2"]]:
    """The unknown cells that have references, and for each the view of its row and the time of its own frame.

    Of all choices with own frame, row's frame and corner known, the one nearest in time, and of these the one nearest
    in view.

    Returns:
        (view, time) of N cells, and (view of the row's frame, time of the own frame) of each.
    """
    cells, chosen = [], []
    views = known.shape[0]
    for view, time in torch.nonzero(~known).tolist():
        usable = known & known[view] & known[:, time : time + 1]
        places = torch.nonzero(usable).tolist()
        if places:
            cells.append((view, time))
            chosen.append(min(places, key=lambda place: abs(place[1] - time) * views + abs(place[0] - view)))
    shape = (len(cells), 2)
    return torch.tensor(cells, dtype=torch.long).view(shape), torch.tensor(chosen, dtype=torch.long).view(shape)
