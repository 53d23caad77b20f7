"""`GridPair`: a generated grid, its truth, and the cells the model was given.

Given cells are copies, not results; no metric counts them.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.eval.image_metrics import moving_mask


@dataclass(frozen=True, eq=False)
class GridPair:
    """One scene to score.

    Attributes:
        scene: its name, for messages and tables.
        generated: complete, from a model.
        truth: complete.
        given: True where the model was given the frame.

    Raises:
        InputError: a grid is incomplete, or numbers of views, times or pixels differ, or every cell was given.
    """

    scene: str
    generated: VideoGrid
    truth: VideoGrid
    given: Bool[Tensor, "V T"]

    def __post_init__(self) -> None:
        for name, grid in (("generated", self.generated), ("true", self.truth)):
            grid.validated().require_complete(f"the comparison of scene '{self.scene}' ({name} grid)")
        made, true = self.generated.frames.shape, self.truth.frames.shape
        for what, mine, theirs in (
            ("views x times", tuple(made[:2]), tuple(true[:2])),
            ("(height, width)", tuple(made[-2:]), tuple(true[-2:])),
        ):
            if mine != theirs:
                raise InputError(f"scene '{self.scene}': generated {what} {mine}, truth {theirs}; they must agree")
        if self.given.shape != true[:2]:
            raise InputError(
                f"scene '{self.scene}': given cells of shape {list(self.given.shape)}, grid {list(true[:2])}"
            )
        if bool(self.given.all()):
            raise InputError(f"scene '{self.scene}': every cell was given, nothing is left to score")

    @property
    def scored(self) -> Bool[Tensor, "V T"]:
        """The cells that count."""
        return ~self.given

    def cells(self) -> tuple[Float[Tensor, "N 3 H W"], Float[Tensor, "N 3 H W"]]:
        """Generated and true frames of the scored cells, row by row."""
        return self.generated.frames[self.scored], self.truth.frames[self.scored]

    def moving(self) -> Bool[Tensor, "N H W"]:
        """The moving pixels of the scored cells."""
        return moving_mask(self.truth.frames)[self.scored]
