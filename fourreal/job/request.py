"""JobRequest: everything a run is asked to do, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fourreal.core.errors import InputError
from fourreal.data.model_input import NO_WISH, GridWish

StageName = Literal["import", "generate", "reconstruct", "render", "page"]
"""import: footage to a partly known grid. generate: the rest of the grid. reconstruct: Gaussians for every
time. render: a movie. page: a web page."""

Skippable = Literal["render", "page"]


@dataclass(frozen=True)
class JobRequest:
    """What to make, of what, with which models.

    Attributes:
        fixed: a clip seen by a camera that stands still, or a grid folder, whose first row is taken.
        freeze: a clip or photo folder round a frozen moment, or a grid folder, whose first column is taken.
        grid: in place of the two: a grid folder with any cells known. A complete one is only reconstructed.
        prompt: what the scene shows; alone, it is all there is.
        model: generator; a name, a folder or a hub id.
        recon: reconstruction network; a name or a folder.
        delta: view-time weights to lay over the generator.
        base: another generator for the two single videos of a prompt alone.
        wish: size and rate of the grid, where the model's own are not wanted.
        steps, seed: of the generation.
        device: where the networks compute.
        skip: stages to leave out.

    Raises:
        InputError: nothing is given, or a grid together with a clip.
    """

    fixed: Path | None = None
    freeze: Path | None = None
    grid: Path | None = None
    prompt: str = ""
    model: str = "mini"
    recon: str = "mini"
    delta: Path | None = None
    base: str | None = None
    wish: GridWish = NO_WISH
    steps: int = 16
    seed: int = 0
    device: str = "auto"
    skip: tuple[Skippable, ...] = ()

    def __post_init__(self) -> None:
        if self.grid is not None and (self.fixed is not None or self.freeze is not None):
            raise InputError("give a grid, or a fixed-view and a freeze-time video; a grid already holds its inputs")
        if not self.inputs and not self.prompt.strip():
            raise InputError("give a fixed-view video, a freeze-time video, a grid, a prompt, or several; got none")
        if self.wish.views == 1:
            raise InputError("a scene needs at least 2 views; got 1")
        for name, path in self.inputs.items():
            if not path.exists():
                raise InputError(f"{path} does not exist; it was given as the {name} input")

    @property
    def inputs(self) -> dict[str, Path]:
        """The footage that was given, by what it is."""
        given = {"fixed": self.fixed, "freeze": self.freeze, "grid": self.grid}
        return {name: path for name, path in given.items() if path is not None}
