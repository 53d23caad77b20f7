"""4Real-Video-V2, Tables 5, 8, S1 and S5 and Figure S3: what training data, positions and parts are worth.

The ablations retrain a model and measure it as another table does: give the retrained model, and the report shows the
paper's rows for it.

Source: 4Real-Video-V2, sections 4.1 and 4.2, appendices B and C.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.linspace_indices import linspace_indices
from fourreal.core.media import IMAGE_SUFFIXES, natural_order
from fourreal.data.captures.capture import Selection
from fourreal.data.captures.realestate10k import read_realestate10k
from fourreal.data.captures.view_folders import read_view_folders
from fourreal.eval.protocols import paper_numbers
from fourreal.eval.protocols.novel_view import novel_view_protocol
from fourreal.eval.protocols.protocol import WHOLE, Extent, Models, Protocol
from fourreal.eval.protocols.scene_folders import changes, narrowed, selection_settings
from fourreal.eval.protocols.v2_generation import v2_table_2_nvidia, v2_table_2_objaverse
from fourreal.eval.protocols.v2_reconstruction import v2_table_6_llff, v2_table_6_tanks, v2_table_7

S5_INPUTS = 16
"""Photos in of the static columns of Table S5, whose last row is Table 6's with 16."""
CLIP_FRAMES, CLIP_TARGETS, CLIP_SIZE = 46, 3, (256, 256)
KUBRIC_INPUTS, KUBRIC_TIMES, KUBRIC_SIZE = 4, tuple(range(8)), (256, 256)


def v2_table_5_nvidia(data: str | os.PathLike[str], models: Models, extent: Extent = WHOLE) -> Protocol:
    """Table 2's real scenes for a model trained on one of the mixtures of data of Table 5.

    Source: 4Real-Video-V2, section 4.1, "Training data sensitivity", Table 5.
    """
    title = "4Real-Video-V2, Table 5, NVIDIA Dynamic Scenes: what mixtures of training data are worth"
    protocol = v2_table_2_nvidia(data, models, extent)
    return replace(protocol, name="v2-table-5-nvidia", title=title, paper=(paper_numbers.V2_TABLE_5_NVIDIA,))


def v2_table_5_objaverse(data: str | os.PathLike[str], models: Models, extent: Extent = WHOLE) -> Protocol:
    """Table 2's objects for a model trained on one of the mixtures of data of Table 5.

    Source: 4Real-Video-V2, section 4.1, "Training data sensitivity", Table 5.
    """
    title = "4Real-Video-V2, Table 5, Objaverse: what mixtures of training data are worth"
    protocol = v2_table_2_objaverse(data, models, extent)
    return replace(protocol, name="v2-table-5-objaverse", title=title, paper=(paper_numbers.V2_TABLE_5_OBJAVERSE,))


def v2_table_s1_nvidia(data: str | os.PathLike[str], models: Models, extent: Extent = WHOLE) -> Protocol:
    """Table 2's real scenes for a model with learnable or with strided view positions.

    Source: 4Real-Video-V2, appendix B, Table S1.
    """
    title = "4Real-Video-V2, Table S1, NVIDIA Dynamic Scenes: positions of views"
    protocol = v2_table_2_nvidia(data, models, extent)
    return replace(protocol, name="v2-table-s1-nvidia", title=title, paper=(paper_numbers.V2_TABLE_S1_NVIDIA,))


def v2_table_s1_objaverse(data: str | os.PathLike[str], models: Models, extent: Extent = WHOLE) -> Protocol:
    """Table 2's objects for a model with learnable or with strided view positions.

    Source: 4Real-Video-V2, appendix B, Table S1.
    """
    title = "4Real-Video-V2, Table S1, Objaverse: positions of views"
    protocol = v2_table_2_objaverse(data, models, extent)
    return replace(protocol, name="v2-table-s1-objaverse", title=title, paper=(paper_numbers.V2_TABLE_S1_OBJAVERSE,))


def v2_table_s5_llff(data: str | os.PathLike[str], models: Models, extent: Extent = WHOLE) -> Protocol:
    """Table 6 on LLFF from 16 photos, for a model trained on one data set alone.

    Source: 4Real-Video-V2, appendix C, "Training data sensitivity analysis", Table S5.
    """
    protocol = v2_table_6_llff(data, models, replace(extent, views=extent.views or S5_INPUTS))
    title = "4Real-Video-V2, Table S5, LLFF: what single data sets are worth"
    return replace(protocol, name="v2-table-s5-llff", title=title, paper=(paper_numbers.V2_TABLE_S5_LLFF,))


def v2_table_s5_tanks(data: str | os.PathLike[str], models: Models, extent: Extent = WHOLE) -> Protocol:
    """Table 6 on Tanks and Temples from 16 photos, for a model trained on one data set alone.

    Source: 4Real-Video-V2, appendix C, "Training data sensitivity analysis", Table S5.
    """
    protocol = v2_table_6_tanks(data, models, replace(extent, views=extent.views or S5_INPUTS))
    title = "4Real-Video-V2, Table S5, Tanks & Temples: what single data sets are worth"
    return replace(protocol, name="v2-table-s5-tanks", title=title, paper=(paper_numbers.V2_TABLE_S5_TANKS,))


def v2_table_s5_neural3d(data: str | os.PathLike[str], models: Models, extent: Extent = WHOLE) -> Protocol:
    """Table 7 for a dynamic variant of a model trained on one data set alone.

    Source: 4Real-Video-V2, appendix C, "Training data sensitivity analysis", Table S5.
    """
    title = "4Real-Video-V2, Table S5, Neural 3D Video: what single data sets are worth"
    protocol = v2_table_7(data, models, extent)
    return replace(protocol, name="v2-table-s5-neural3d", title=title, paper=(paper_numbers.V2_TABLE_S5_NEURAL3D,))


def v2_figure_s3(data: str | os.PathLike[str], models: Models, extent: Extent = WHOLE) -> Protocol:
    """Static scenes of RealEstate10K from two frames of a clip.

    The paper shows pictures and names neither clips nor frames. Fixed here: all clips of the folder; of each the
    first 46 frames that are there, first and last in (or, with `views`, more of them, evenly spread), three between
    them rendered; 256 x 256, as the baselines of the figure are commonly tested.

    Args:
        data: DATA/CLIP.txt and the frames in DATA/CLIP/, in the layout of `read_realestate10k`.

    Source: 4Real-Video-V2, appendix C, Figure S3.

    Raises:
        InputError: there is no clip.
    """
    folder = Path(data)
    found = [file.stem for file in natural_order(list(folder.glob("*.txt")))]
    if not found:
        raise InputError(f"{folder} holds no clip; expected RealEstate10K, CLIP.txt beside a folder CLIP of its frames")
    scenes, inputs, size = extent.first(found), extent.views or 2, extent.size or CLIP_SIZE

    def read(scene: str) -> VideoGrid:
        count = sum(path.suffix.lower() in IMAGE_SUFFIXES for path in (folder / scene).glob("*"))
        count = min(count, CLIP_FRAMES)
        if count < inputs + CLIP_TARGETS:
            raise InputError(f"{folder / scene} has {count} frames; at least {inputs + CLIP_TARGETS} are needed")
        shown = linspace_indices(count, inputs)
        others = [frame for frame in range(count) if frame not in shown]
        hidden = [others[place] for place in linspace_indices(len(others), CLIP_TARGETS + 2)[1:-1]]
        return read_realestate10k(folder / f"{scene}.txt", Selection((*shown, *hidden), None, size)).grid

    settings = {"data": str(folder), "inputs": inputs, "frames": CLIP_FRAMES, "image_size": size}
    return replace(
        novel_view_protocol("v2-figure-s3", scenes, read, models, extent, inputs=inputs, settings=settings),
        title=f"4Real-Video-V2, Figure S3, RealEstate10K: {inputs} frames in, {CLIP_TARGETS} between them rendered",
        notes=changes(extent),
    )


def v2_table_8(data: str | os.PathLike[str], models: Models, extent: Extent = WHOLE) -> Protocol:
    """Dynamic scenes of Kubric from 4 views, for the whole reconstruction model and without one of its parts.

    The paper's test set is not published. Fixed here: all folders of DATA, of each the first 8 views in natural
    order, every second an input, the others targets; the first 8 times; 256 x 256. Renders of Kubric in view folders
    hold no cameras, so there is only the row with predicted ones.

    Args:
        data: DATA/SCENE/VIEW/0.png and so on, in the layout of `read_view_folders`.

    Source: 4Real-Video-V2, section 4.2, Table 8.

    Raises:
        InputError: there is no scene.
    """
    folder = Path(data)
    found = natural_order([path for path in folder.iterdir() if path.is_dir()]) if folder.is_dir() else []
    if not found:
        raise InputError(f"{folder} holds no scene; expected renders of Kubric, one folder a scene, one a view in it")
    scenes, inputs = extent.first([path.name for path in found]), extent.views or KUBRIC_INPUTS
    views = (*range(0, 2 * inputs, 2), *range(1, 2 * inputs, 2))
    selection = narrowed(Selection(views, KUBRIC_TIMES, KUBRIC_SIZE), replace(extent, views=None))

    def read(scene: str) -> VideoGrid:
        return read_view_folders(folder / scene, selection=selection).grid

    settings = {**selection_settings(folder, selection), "inputs": inputs}
    return replace(
        novel_view_protocol(
            "v2-table-8", scenes, read, models, extent, inputs=inputs, has_cameras=False, settings=settings
        ),
        title=f"4Real-Video-V2, Table 8, Kubric: {inputs} views in, those between them rendered",
        paper=(paper_numbers.V2_TABLE_8,),
        notes=changes(extent),
    )
