"""JobRequest: everything a run is asked to do, as one value, which `fourreal run` parses. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fourreal.core.errors import InputError
from fourreal.core.shipped import SHIPPED_NAME
from fourreal.data.grid_wish import NO_WISH, GridWish
from fourreal.recon.settings import DEFAULTS as RECONSTRUCTION
from fourreal.recon.settings import ReconstructSettings
from fourreal.video.settings import DEFAULTS, WEIGHT_TYPE, GenerationSettings, WeightChoice
from fourreal.video.settings import Offload as Offload

StageName = Literal["import", "generate", "reconstruct", "render", "page"]
"""import: footage to a partly known grid. generate: the rest of the grid. reconstruct: Gaussians for every
time. render: a movie. page: a web page."""

Skippable = Literal["render", "page"]

SAMPLES = Path(__file__).parents[1] / "samples"
SAMPLE_CLIPS = {"fixed": SAMPLES / "fixed.mp4", "freeze": SAMPLES / "freeze.mp4"}
"""The pair of clips that comes with the package, see `fourreal.job.sample`."""


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What to make, of what, with which models.

    Raises:
        InputError: nothing is given, several things that exclude each other, or a file that does not exist.
    """

    fixed: Path | None = None
    """A clip from a camera that stands still (video, GIF, image folder), or a grid folder: its first row."""
    freeze: Path | None = None
    """A clip or photo folder that moves round a frozen moment, or a grid folder: its first column."""
    grid: Path | None = None
    """Instead of the two, a grid folder with any cells known; a complete one is only reconstructed."""
    sample: bool = False
    """Take the pair of clips that comes with the package."""
    prompt: str = ""
    """What the scene shows; alone, it needs a model that reads text."""
    model: str = SHIPPED_NAME
    """mini (the package's own), a folder, a released name such as wan2.1-1.3b, or a hub id."""
    delta: Path | None = None
    """Folder of view-time weights to load over the model's."""
    base: str | None = None
    """Another model for the two single videos of a prompt alone."""
    weight_type: WeightChoice = WEIGHT_TYPE
    """Number format of the generator's weights; int8 (with torchao) halves bfloat16, auto takes what fits."""
    recon: str = SHIPPED_NAME
    """mini (the package's own), vggt-1b (from the Hugging Face cache), or a folder."""
    wish: GridWish = NO_WISH
    """Size and rate of the grid, where the model's own are not wanted."""
    start: float = 0.0
    """Leave out what comes before in the fixed-view clip, seconds."""
    end: float = math.inf
    """Leave out what comes at this time or after it in the fixed-view clip, seconds."""
    settings: GenerationSettings = DEFAULTS
    """How to sample; its device is that of both networks."""
    reconstruction: ReconstructSettings = RECONSTRUCTION
    """How the complete grid is reconstructed."""
    skip: tuple[Skippable, ...] = ()
    """Stages to leave out."""

    def __post_init__(self) -> None:
        clips = self.fixed is not None or self.freeze is not None
        if self.sample and (clips or self.grid is not None):
            raise InputError("--sample brings its own clips; leave out --fixed, --freeze and --grid, or --sample")
        if self.grid is not None and clips:
            raise InputError("give a grid, or a fixed-view and a freeze-time video; a grid already holds its inputs")
        if not self.inputs and not self.prompt.strip():
            raise InputError("give --fixed, --freeze, both, --grid or --prompt, or --sample for an example; got none")
        if self.wish.views == 1:
            raise InputError("a scene needs at least 2 views; got 1")
        if self.settings.allow_untrained:
            raise InputError("a run keeps its results, and untrained weights make noise; leave --allow-untrained out")
        for name, path in self.inputs.items():
            if not path.exists():
                raise InputError(f"{path} does not exist; it was given as the {name} input")

    @property
    def inputs(self) -> dict[str, Path]:
        """The footage that was given, by what it is."""
        if self.sample:
            return SAMPLE_CLIPS
        given = {"fixed": self.fixed, "freeze": self.freeze, "grid": self.grid}
        return {name: path for name, path in given.items() if path is not None}
