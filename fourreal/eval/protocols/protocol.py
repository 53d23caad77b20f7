"""What a protocol is: scenes, methods that answer for each of them, metrics, and all settings that decide figures."""

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
        reconstruct: a complete grid to a scene and the cameras of its views, in the model's own world frame.
        target_cameras: (frames of the input views, frames of target views), all of one moment, to the targets'
            cameras in that frame.
        aligned: (target cameras, input cameras, the scene's input cameras) to the target cameras in the scene's
            frame, by the similarity that takes the second onto the third.
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
        name: as in tables.
        identity: whatever distinguishes it from any other: hashes of weights, sampling steps, seed.
        complete: the generator, where there is one.
        complete_prompted: the generator with what the scene shows, where it reads text.
        reconstructor: the reconstruction model, where there is one.
        baselines: names of the baselines to compare with; None takes all that can answer.
        matcher: two frames to the first one's matching confidence, the user's own.
        trained_on: grids of the first model's training, where they are known.
    """

    name: str
    identity: Mapping[str, Any] = field(default_factory=dict)
    complete: Completion | None = None
    complete_prompted: Callable[[VideoGrid, str], VideoGrid] | None = None
    reconstructor: Reconstructor | None = None
    baselines: tuple[str, ...] | None = None
    matcher: Callable[[Tensor, Tensor], Tensor] | None = None
    trained_on: GridShape | None = None

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


@dataclass(frozen=True, eq=False, kw_only=True)
class SceneScore:
    """The figures of one method in one scene.

    Attributes:
        cells: by metric, one value per scored cell (or video, or scene); NaN where there was nothing to measure.
        features: by pooled metric, feature vectors of what was generated.
        references: by pooled metric, feature vectors of the truth, where the truth is the reference.
        qualitative: pictures, 8-bit sRGB. `worst`: the scored cell of least quality. `frame`: a frame with the line
            marked that `slice` [3, H, T] follows through time, time to the right. `worst_true`, `slice_true`: the
            same of the truth, where there is one.
        worst_cell: (view, time) of `worst`.
        unmeasured: by metric, why it has no value in this scene.
        seconds: time to generate and measure.
    """

    cells: Mapping[str, Float[Tensor, "_"]]
    features: Mapping[str, Float[Tensor, "_ _"]] = field(default_factory=dict)
    references: Mapping[str, Float[Tensor, "_ _"]] = field(default_factory=dict)
    qualitative: Mapping[str, UInt8[Tensor, "3 _ _"]] = field(default_factory=dict)
    worst_cell: tuple[int, int] = (0, 0)
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Table:
    """Figures as a paper prints them; None where it has none.

    Attributes:
        place: paper and table.
        columns: names of this project's metrics that correspond to the paper's columns.
        remark: why the figures do not compare one to one.
    """

    place: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    remark: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Protocol:
    """A table to be measured.

    Attributes:
        name: as on the command line.
        title: one line for the report.
        scenes: names, in order.
        methods: who answers, the model first; for each, what else decides its figures.
        baselines: the methods that the model is compared with.
        metrics: the columns, computable or not.
        absent: by metric, why it cannot be computed at all (missing weights, another project's network).
        score: (scene, method) to the method's figures there.
        settings: what decides all figures: sizes, views, times, seeds, given cells.
        groups: subsets of the scenes that are reported separately too.
        references: by pooled metric, features of a reference that is not the scenes' own truth.
        paper: what the papers print.
        notes: limits of the figures, for the report.
    """

    name: str
    title: str
    scenes: tuple[str, ...]
    methods: Mapping[str, Mapping[str, Any]]
    baselines: tuple[str, ...]
    metrics: tuple[Metric, ...]
    score: Callable[[str, str], SceneScore]
    settings: Mapping[str, Any]
    absent: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    references: Mapping[str, Float[Tensor, "_ _"]] = field(default_factory=dict)
    paper: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.scenes:
            raise InputError(f"{self.name} has no scene to evaluate")


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much of a protocol to run, and with which networks. None means the protocol's own setting; the report says
    what was changed.

    Attributes:
        scenes: only the first so many.
        size: (height, width) of the frames.
        views, frames: size of the grids.
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
        """A protocol's own grid shape with the changes."""
        return GridShape.of(self.views or shape.views, self.frames or shape.frames, self.size or shape.image_size)

    def first(self, scenes: Sequence[str]) -> tuple[str, ...]:
        """The scenes to run. Raises InputError when more are asked for than there are."""
        if self.scenes is not None and self.scenes > len(scenes):
            raise InputError(f"{self.scenes} scenes were asked for; this protocol has {len(scenes)}")
        return tuple(scenes[: self.scenes])


WHOLE = Extent()
"""A protocol with its own settings."""
