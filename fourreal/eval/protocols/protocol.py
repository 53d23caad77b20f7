"""What a protocol is: scenes, arms that answer for each of them, metrics, and the settings that decide the figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float, UInt8
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.gaussians import GaussianSequence
from fourreal.core.grid import VideoGrid
from fourreal.core.grid_shape import GridShape
from fourreal.eval.baselines import Completion
from fourreal.eval.scores import Better


@dataclass(frozen=True)
class Reconstructor:
    """A reconstruction model, as the protocols need it.

    Attributes:
        reconstruct: a complete grid to a scene and the cameras of its views, in a world of the model's own.
        target_cameras: (frames of the input views, frames of target views), all of one moment, to the targets'
            cameras in that world.
        placed: (target cameras, input cameras, the scene's input cameras) to the target cameras in the scene's
            world, by the similarity that takes the second onto the third.
        confidence: frames of one moment to the model's confidence of every pixel, where it has one.
    """

    reconstruct: Callable[[VideoGrid], GaussianSequence]
    target_cameras: Callable[[Tensor, Tensor], Cameras]
    placed: Callable[[Cameras, Cameras, Cameras], Cameras]
    confidence: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Models:
    """What is evaluated.

    Attributes:
        name: what tables call it.
        identity: whatever tells it from any other: hashes of weights, sampling steps, seed.
        complete: the generator, where there is one.
        reconstructor: the reconstruction model, where there is one.
        beside: names of baselines to stand beside it; None takes all that can answer.
        matcher: two frames to the first one's matching confidence, the user's own.
    """

    name: str
    identity: Mapping[str, Any] = field(default_factory=dict)
    complete: Completion | None = None
    reconstructor: Reconstructor | None = None
    beside: tuple[str, ...] | None = None
    matcher: Callable[[Tensor, Tensor], Tensor] | None = None

    def generator(self, table: str) -> Completion:
        """The generator. Raises InputError where there is none."""
        if self.complete is None:
            raise InputError(f"{table} evaluates a generator; '{self.name}' is none")
        return self.complete

    def reconstruction(self, table: str) -> Reconstructor:
        """The reconstruction model. Raises InputError where there is none."""
        if self.reconstructor is None:
            raise InputError(f"{table} needs a reconstruction model; none was given")
        return self.reconstructor


@dataclass(frozen=True)
class Metric:
    """A column of a protocol's table.

    Attributes:
        pooled: one value of all scenes together (a Frechet distance), not a mean over scenes.
    """

    name: str
    better: Better
    unit: str = ""
    pooled: bool = False


@dataclass(frozen=True, eq=False)
class Exhibit:
    """Pictures of one scene, as 8-bit sRGB.

    Attributes:
        worst: the scored cell that went worst, as made; `worst_true` is the truth, where there is one.
        place: (view, time) of that cell.
        frame: a frame with the line marked that `slice` follows through time.
        slice: one image column at every time, time to the right.
    """

    worst: UInt8[Tensor, "3 H W"]
    worst_true: UInt8[Tensor, "3 H W"] | None
    place: tuple[int, int]
    frame: UInt8[Tensor, "3 H W"]
    slice: UInt8[Tensor, "3 H T"]
    slice_true: UInt8[Tensor, "3 H T"] | None


@dataclass(frozen=True, eq=False)
class SceneScore:
    """What one arm got in one scene.

    Attributes:
        cells: by metric, one value a scored cell (or video, or scene); NaN where there was nothing to measure.
        features: by pooled metric, feature vectors of what was made.
        references: by pooled metric, feature vectors of the truth, where the truth is the reference.
        unmeasured: by metric, why it has no value in this scene.
    """

    cells: Mapping[str, Float[Tensor, "_"]]
    features: Mapping[str, Float[Tensor, "_ _"]] = field(default_factory=dict)
    references: Mapping[str, Float[Tensor, "_ _"]] = field(default_factory=dict)
    exhibit: Exhibit | None = None
    unmeasured: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PaperTable:
    """Figures as a paper prints them; None where it has none.

    Attributes:
        place: paper and table.
        columns: names of this project's metrics that stand for the paper's columns.
        remark: what keeps the figures from being compared one to one.
    """

    place: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    remark: str = ""


@dataclass(frozen=True, eq=False)
class Protocol:
    """A table to be measured.

    Attributes:
        name: as on the command line.
        title: one line for the report.
        scenes: names, in order.
        arms: who answers, the model first; to each, what else decides its figures.
        baselines: which of the arms the model is held against.
        metrics: the columns, computable or not.
        absent: by metric, why it cannot be computed at all (missing weights, another project's network).
        score: (scene, arm) to what the arm got there.
        settings: what decides all figures: sizes, views, times, seeds, given cells.
        groups: subsets of the scenes that are reported by themselves.
        references: by pooled metric, features of a reference that is not the scenes' own truth.
        paper: what the papers print.
        notes: what a reader must know.
    """

    name: str
    title: str
    scenes: tuple[str, ...]
    arms: Mapping[str, Mapping[str, Any]]
    baselines: tuple[str, ...]
    metrics: tuple[Metric, ...]
    score: Callable[[str, str], SceneScore]
    settings: Mapping[str, Any]
    absent: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    references: Mapping[str, Float[Tensor, "_ _"]] = field(default_factory=dict)
    paper: tuple[PaperTable, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.scenes:
            raise InputError(f"{self.name} has no scene to evaluate")


@dataclass(frozen=True)
class Extent:
    """How much of a protocol to run. What is left out (None) is the protocol's own; anything else the report says.

    Attributes:
        scenes: only the first so many.
        size: (height, width) of the frames.
        views, times: size of the grids.
        perceptual: measure learned distances between pictures, which take most of the time.
        video_features: network of the Frechet distances of videos.
    """

    scenes: int | None = None
    size: tuple[int, int] | None = None
    views: int | None = None
    times: int | None = None
    perceptual: bool = True
    video_features: str = "i3d"

    def __post_init__(self) -> None:
        for name in ("scenes", "views", "times"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1; got {value}")

    def of(self, shape: GridShape) -> GridShape:
        """A protocol's own grid shape with what is asked for instead."""
        height, width = self.size or shape.image_size
        return GridShape.of(self.views or shape.views, self.times or shape.frames, (height, width))

    def first(self, scenes: Sequence[str]) -> tuple[str, ...]:
        """The scenes to run. Raises InputError when more are asked for than there are."""
        if self.scenes is not None and self.scenes > len(scenes):
            raise InputError(f"{self.scenes} scenes were asked for; this protocol has {len(scenes)}")
        return tuple(scenes[: self.scenes])


WHOLE = Extent()
"""A protocol as it stands."""
