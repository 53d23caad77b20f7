"""Tables in which a scene is reconstructed from some views and looked at from others.

Three ways to answer stand side by side: with target cameras that the model predicts from the target frames, as the
paper does; with the true target cameras, taken into the scene's world by the input cameras alone, where the data have
cameras; and the input view that stands nearest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fourreal.core.gaussians import GaussianSequence
from fourreal.core.grid import VideoGrid, known_pattern
from fourreal.eval.baselines import copy_view
from fourreal.eval.grid_pair import GridPair
from fourreal.eval.protocols.compared import Comparison
from fourreal.eval.protocols.completing import pair_metrics
from fourreal.eval.protocols.novel_views import nearest_inputs, rendered
from fourreal.eval.protocols.protocol import Extent, Models, PaperTable, Protocol, SceneScore

NEAREST = "nearest input view"
METRICS = ("PSNR", "LPIPS (AlexNet)", "SSIM", "ST-LPIPS (alex)")


@dataclass(frozen=True, eq=False)
class InputsAndTargets:
    """What a reconstruction sees, and what it is to show.

    Attributes:
        inputs: complete, or with cells for the generator to fill in.
        targets: complete, of the same times.
        truth: the inputs with every cell as it really was, where the generator fills some in.
    """

    inputs: VideoGrid
    targets: VideoGrid
    truth: VideoGrid | None = None


@dataclass(frozen=True, eq=False)
class LookingAround:
    """Such a table.

    Attributes:
        open: a scene's name to its inputs and targets.
        posed: the data have cameras.
        generates: inputs come with unknown cells.
        settings, paper, notes: as of `Protocol`.
    """

    name: str
    title: str
    scenes: Sequence[str]
    open: Callable[[str], InputsAndTargets]
    posed: bool
    settings: Mapping[str, Any]
    generates: bool = False
    paper: tuple[PaperTable, ...] = ()
    notes: tuple[str, ...] = ()


def looking_around(table: LookingAround, models: Models, extent: Extent) -> Protocol:
    """The protocol of a table.

    Raises:
        InputError: a model that the table needs is missing.
    """
    model = models.reconstruction(table.name)
    complete = models.generator(table.name) if table.generates else None
    comparison = Comparison(pair_metrics(METRICS, extent))
    opened = lru_cache(maxsize=1)(table.open)
    placed, truly = f"{models.name}, true target cameras", f"{models.name}, from the true grid"

    @lru_cache(maxsize=1)
    def made(scene: str) -> tuple[VideoGrid, GaussianSequence]:
        """The complete inputs and the scene, shared by the arms that look at it from different cameras."""
        inputs = opened(scene).inputs
        whole = inputs if complete is None else complete(inputs)
        return whole, model.reconstruct(VideoGrid.complete(whole.frames, whole.seconds))

    def answer(scene: str, arm: str) -> VideoGrid:
        both = opened(scene)
        if arm == NEAREST:
            filled = copy_view(both.inputs) if table.generates else both.inputs
            return nearest_inputs(filled, both.targets)
        if arm == truly:
            assert both.truth is not None
            whole = both.truth
            built = model.reconstruct(VideoGrid.complete(whole.frames, whole.seconds))
        else:
            whole, built = made(scene)
        if arm == placed:
            assert both.targets.cameras is not None
            assert both.inputs.cameras is not None
            cameras = model.placed(both.targets.cameras, both.inputs.cameras, built.cameras)
        else:
            cameras = model.target_cameras(whole.frames[:, 0], both.targets.frames[:, 0])
        return rendered(built, cameras, whole, both.targets.seconds).grid

    def score(scene: str, arm: str) -> SceneScore:
        targets = opened(scene).targets
        nothing = known_pattern("none", *targets.known.shape)
        return comparison.score(GridPair(scene, answer(scene, arm), targets, nothing))

    own = (models.name, *((placed,) if table.posed else ()), *((truly,) if table.generates else ()))
    return Protocol(
        table.name,
        table.title,
        tuple(table.scenes),
        {**dict.fromkeys(own, models.identity), NEAREST: {}},
        (NEAREST,),
        comparison.metrics,
        score,
        table.settings,
        absent=comparison.absent,
        paper=table.paper,
        notes=table.notes,
    )
