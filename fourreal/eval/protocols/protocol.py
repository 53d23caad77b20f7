"""`Table`, what a table of a paper measures, and `Protocol`, how it is measured: methods, metrics, a score."""

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
from fourreal.eval.feature_cache import FeatureCache
from fourreal.eval.scores import Metric


@dataclass(frozen=True)
class Reconstructor:
    """A reconstruction model, as the protocols need it.

    Attributes:
        reconstruct: a complete grid to a scene and the cameras of its views, in the model's own world.
        target_cameras: (frames of the input views, frames of target views), all of one moment, to the targets'
            cameras in that world.
        aligned: (target cameras, input cameras, reconstructed input cameras) to the target cameras in the world of
            the reconstruction, by the similarity from the second to the third.
        confidence: frames of one moment to the model's confidence of every pixel, where it has one.
    """

    reconstruct: Callable[[VideoGrid], GaussianSequence]
    target_cameras: Callable[[Tensor, Tensor], Cameras]
    aligned: Callable[[Cameras, Cameras, Cameras], Cameras]
    confidence: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True, kw_only=True)
class Models:
    """What is evaluated.

    Attributes:
        name: its name in tables.
        identity: what distinguishes it from other models: hashes of weights, sampling steps, seed.
        complete: the generator, if any.
        reconstructor: the reconstruction model, if any.
        baselines: names of baselines to compare with; None takes all that apply.
        matcher: two frames to the matching confidence of the first one.
        trained_on: size of the grids it was trained on, if known.
        image_size: (height, width) the network was made for, if known.
    """

    name: str
    identity: Mapping[str, Any] = field(default_factory=dict)
    complete: Completion | None = None
    reconstructor: Reconstructor | None = None
    baselines: tuple[str, ...] | None = None
    matcher: Callable[[Tensor, Tensor], Tensor] | None = None
    trained_on: GridShape | None = None
    image_size: tuple[int, int] | None = None

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


@dataclass(frozen=True, kw_only=True, eq=False)
class Qualitative:
    """Pictures of one scene, as 8-bit sRGB.

    Attributes:
        worst: the scored cell with the lowest quality, as predicted; `worst_true` is the truth, if any.
        cell: (view, time) of that cell.
        frame: a frame with the image column marked that `slice` shows over time.
        slice: one image column at every time, time to the right.
    """

    worst: UInt8[Tensor, "3 H W"]
    worst_true: UInt8[Tensor, "3 H W"] | None
    cell: tuple[int, int]
    frame: UInt8[Tensor, "3 H W"]
    slice: UInt8[Tensor, "3 H T"]
    slice_true: UInt8[Tensor, "3 H T"] | None


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneScore:
    """The figures of one method in one scene.

    Attributes:
        cells: by metric, one value per scored cell (or video, or scene); NaN where there was nothing to measure.
        features: by pooled metric, feature vectors of the prediction.
        references: by pooled metric, feature vectors of the truth, where the truth is the reference.
        unmeasured: by metric, why it has no value in this scene.
        seconds: how long it took.
    """

    cells: Mapping[str, Float[Tensor, "_"]]
    features: Mapping[str, Float[Tensor, "_ _"]] = field(default_factory=dict)
    references: Mapping[str, Float[Tensor, "_ _"]] = field(default_factory=dict)
    qualitative: Qualitative | None = None
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """What a table measures, and what the paper prints in it.

    Attributes:
        name: as on the command line.
        title: one line for the report.
        scenes: names, in order.
        settings: what decides all figures: sizes, views, frames, seeds, given cells.
        groups: subsets of the scenes that are also reported separately.
        paper: figures as the papers print them.
        notes: remarks for the report.

    Raises:
        InputError: there is no scene.
    """

    name: str
    title: str
    scenes: tuple[str, ...]
    settings: Mapping[str, Any]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    paper: tuple[PaperTable, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.scenes:
            raise InputError(f"{self.name} has no scene to evaluate")


@dataclass(frozen=True, kw_only=True, eq=False)
class Protocol:
    """How a table is measured.

    Attributes:
        methods: the methods to score, the model first; for each, what else decides its figures.
        baselines: the methods that the model is compared with.
        metrics: the columns, computable or not.
        absent: by metric, why it cannot be computed at all (missing weights, another project's network).
        score: (scene, method) to its figures.
        references: by pooled metric, features of a reference that is not the scenes' own truth.
    """

    table: Table
    methods: Mapping[str, Mapping[str, Any]]
    baselines: tuple[str, ...]
    metrics: tuple[Metric, ...]
    score: Callable[[str, str], SceneScore]
    absent: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, Float[Tensor, "_ _"]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much of a protocol to run. None takes the protocol's own value; the report names every other one.

    Attributes:
        scenes: only the first so many.
        size: (height, width) of the frames.
        views, frames: rows and columns of the grids.
        perceptual: measure learned distances between pictures, which take most of the time.
        video_features: network of the Frechet distances of videos.
        cache: where features of videos are kept.
    """

    scenes: int | None = None
    size: tuple[int, int] | None = None
    views: int | None = None
    frames: int | None = None
    perceptual: bool = True
    video_features: str = "i3d"
    cache: FeatureCache | None = None

    def __post_init__(self) -> None:
        for name in ("scenes", "views", "frames"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1; got {value}")

    def of(self, shape: GridShape) -> GridShape:
        """A protocol's own grid shape with what is asked for instead."""
        height, width = self.size or shape.image_size
        return GridShape.of(self.views or shape.views, self.frames or shape.frames, (height, width))

    def first(self, scenes: Sequence[str]) -> tuple[str, ...]:
        """The scenes to run. Raises InputError when more are asked for than there are."""
        if self.scenes is not None and self.scenes > len(scenes):
            raise InputError(f"{self.scenes} scenes were asked for; this protocol has {len(scenes)}")
        return tuple(scenes[: self.scenes])


WHOLE = Extent()
"""The whole protocol, unchanged."""
