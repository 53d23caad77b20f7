"""`GridPair`: a generated grid beside its truth, with the cells the model was given.

Given cells are copies, not results; no metric counts them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.grid import KnownPattern, VideoGrid, known_pattern
from fourreal.eval.image_metrics import moving_mask

LISTED = 8


@dataclass(frozen=True, eq=False)
class GridPair:
    """One scene to score.

    Attributes:
        scene: its name, for messages and tables.
        generated: the complete grid a model made.
        truth: the complete grid of what was really there.
        given: True where the model was given the frame.
        foreground: True on the pixels to count, such as an object on white; None counts all.

    Raises:
        InputError: a grid is incomplete, or numbers of views, times or pixels differ, or every cell was given.
    """

    scene: str
    generated: VideoGrid
    truth: VideoGrid
    given: Bool[Tensor, "V T"]
    foreground: Bool[Tensor, "V T H W"] | None = None

    def __post_init__(self) -> None:
        for name, grid in (("generated", self.generated), ("true", self.truth)):
            grid.require_complete(f"the comparison of scene '{self.scene}' ({name} grid)")
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
        if self.foreground is not None and self.foreground.shape != (*true[:2], *true[-2:]):
            raise InputError(
                f"scene '{self.scene}': foreground of shape {list(self.foreground.shape)}; "
                f"expected {[*true[:2], *true[-2:]]}"
            )

    @property
    def scored(self) -> Bool[Tensor, "V T"]:
        """The cells that count."""
        return ~self.given

    def cells(self) -> tuple[Float[Tensor, "N 3 H W"], Float[Tensor, "N 3 H W"], Bool[Tensor, "N H W"] | None]:
        """Generated frames, true frames and masks of the scored cells, row by row."""
        mask = None if self.foreground is None else self.foreground[self.scored]
        return self.generated.frames[self.scored], self.truth.frames[self.scored], mask

    def moving(self) -> Bool[Tensor, "N H W"]:
        """The moving pixels of the scored cells, inside the foreground where there is one."""
        mask = moving_mask(self.truth.frames)[self.scored]
        return mask if self.foreground is None else mask & self.foreground[self.scored]


def pair_scenes(
    generated: Mapping[str, VideoGrid], truth: Mapping[str, VideoGrid], given: KnownPattern | Bool[Tensor, "V T"]
) -> Iterator[GridPair]:
    """Pair grids by scene name, in the order of `truth`, all with the same given cells.

    Pairs are made one by one, so lazily loading mappings keep one scene in memory.

    Raises:
        InputError: a scene of `truth` was not generated, or the other way round; the message lists them.
    """
    _require_same("generated", [name for name in truth if name not in generated])
    _require_same("true", [name for name in generated if name not in truth])
    for name, true in truth.items():
        cells = known_pattern(given, true.num_views, true.num_times) if isinstance(given, str) else given
        yield GridPair(name, generated[name], true, torch.as_tensor(cells))


def _require_same(kind: str, missing: list[str]) -> None:
    if missing:
        more = f" and {len(missing) - LISTED} more" if len(missing) > LISTED else ""
        raise InputError(f"no {kind} grid for {len(missing)} scenes: {', '.join(missing[:LISTED])}{more}")
