"""SV4D 2.0, Tables 1 to 4: objects from one fixed-view video, as grids and as 4D scenes.

Only the first row is given: a video of the object from the front. The papers condition on camera poses too; the figures
of a model without poses include that it cannot know where the other views are.

Source: SV4D 2.0, section 5.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import torch

from fourreal.core.grid import VideoGrid
from fourreal.data.captures.capture import Selection
from fourreal.data.captures.view_folders import read_view_folders
from fourreal.eval.grid_scans import Scan
from fourreal.eval.protocols import paper_numbers
from fourreal.eval.protocols.completion import completion_protocol
from fourreal.eval.protocols.novel_view import rendered
from fourreal.eval.protocols.protocol import WHOLE, Extent, Models, Protocol, Table
from fourreal.eval.protocols.scene_folders import changes, narrowed, require_scenes, selection_settings
from fourreal.eval.protocols.v2_generation import OBJECT_SIZE, OBJECTS, TIMES

CONSISTENT4D_OBJECTS = ("aurorus", "crocodile", "guppie", "monster", "pistol", "skull", "trump")
CONSISTENT4D_VIEWS = (4, 0, 1, 2, 3)
"""`input` comes after `eval_0` to `eval_3` in the order of names, and first in the grid."""
ALL_SCANS: tuple[Scan, ...] = ("rows", "columns", "diagonals", "raster")


def sv4d2_table_1(data: str | os.PathLike[str], models: Models, extent: Extent = WHOLE) -> Protocol:
    """Novel-view videos of ObjaverseDy objects, 21 frames x 8 views.

    The validation objects are not published. Fixed here: the folders of `v2_table_2_objaverse`, object-00 to
    object-18, whose first view is the front; 576 x 576.

    Source: SV4D 2.0, section 5, Table 1.
    """
    return _objaverse(data, models, extent, paper_numbers.SV4D2_TABLE_1)


def sv4d2_table_2(data: str | os.PathLike[str], models: Models, extent: Extent = WHOLE) -> Protocol:
    """4D scenes of the same objects: the grid is generated, reconstructed and rendered from its own views.

    Source: SV4D 2.0, section 5, Table 2.

    Raises:
        InputError: there is no reconstruction model.
    """
    return _objaverse(data, as_4d(models, "sv4d2-table-2"), extent, paper_numbers.SV4D2_TABLE_2)


def sv4d2_table_3(data: str | os.PathLike[str], models: Models, extent: Extent = WHOLE) -> Protocol:
    """Novel-view videos of Consistent4D's 7 objects: input video and 4 views.

    Fixed here: DATA/OBJECT/input and DATA/OBJECT/eval_0 to eval_3, the first 21 frames, 576 x 576.

    Source: SV4D 2.0, section 5, Table 3.
    """
    return _consistent4d(data, models, extent, paper_numbers.SV4D2_TABLE_3)


def sv4d2_table_4(data: str | os.PathLike[str], models: Models, extent: Extent = WHOLE) -> Protocol:
    """4D scenes of Consistent4D's objects, rendered from its views.

    Source: SV4D 2.0, section 5, Table 4.

    Raises:
        InputError: there is no reconstruction model.
    """
    return _consistent4d(data, as_4d(models, "sv4d2-table-4"), extent, paper_numbers.SV4D2_TABLE_4)


def as_4d(models: Models, table: str) -> Models:
    """The generator followed by the reconstruction, as one model that completes grids: its renders count."""
    generate, model = models.generator(table), models.reconstruction(table)

    def complete(grid: VideoGrid) -> VideoGrid:
        generated = generate(grid)
        whole = VideoGrid.complete(generated.frames, generated.seconds)
        scene = model.reconstruct(whole)
        renders, _, _ = rendered(scene, scene.cameras, whole, whole.seconds)
        frames = torch.where(grid.known[:, :, None, None, None], grid.frames, renders.frames)
        return VideoGrid.complete(frames, grid.seconds)

    return replace(models, complete=complete, complete_prompted=None)


def _objaverse(data: str | os.PathLike[str], models: Models, extent: Extent, paper: Table) -> Protocol:
    scenes = extent.first(OBJECTS)
    folder = require_scenes(data, scenes, "rendered Objaverse objects")
    selection = narrowed(Selection(tuple(range(8)), TIMES, OBJECT_SIZE), extent)
    return _protocol(paper, scenes, folder, selection, models, extent, ALL_SCANS)


def _consistent4d(data: str | os.PathLike[str], models: Models, extent: Extent, paper: Table) -> Protocol:
    scenes = extent.first(CONSISTENT4D_OBJECTS)
    folder = require_scenes(data, scenes, "Consistent4D")
    selection = narrowed(Selection(CONSISTENT4D_VIEWS, TIMES, OBJECT_SIZE), extent)
    return _protocol(paper, scenes, folder, selection, models, extent, ("rows",))


def _protocol(
    paper: Table,
    scenes: tuple[str, ...],
    folder: Path,
    selection: Selection,
    models: Models,
    extent: Extent,
    scans: tuple[Scan, ...],
) -> Protocol:
    protocol = completion_protocol(
        f"sv4d2-table-{paper.place.rsplit(' ', 1)[1]}",
        scenes,
        lambda scene: read_view_folders(folder / scene, selection=selection).grid,
        models,
        extent,
        metrics=("LPIPS (AlexNet)", "ST-LPIPS (alex)", "CLIP-S", "PSNR", "SSIM", "MSE"),
        given="row",
        scans=scans,
        settings=selection_settings(folder, selection),
    )
    return replace(protocol, title=f"{paper.place}: a fixed-view video given", paper=(paper,), notes=changes(extent))
