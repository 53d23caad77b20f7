"""The scenes of a benchmark in a data folder, and the parts of them that a protocol fixes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fourreal.core.errors import InputError
from fourreal.data.captures.capture import Selection
from fourreal.eval.protocols.protocol import Extent

LISTED = 12


def require_scenes(data: str | os.PathLike[str], scenes: Sequence[str], what: str) -> Path:
    """The data folder, when it holds a folder for every scene.

    Raises:
        InputError: there is no such folder, or scenes are missing; the message lists them.
    """
    data = Path(data)
    if not data.is_dir():
        raise InputError(f"{data} is not a folder; expected {what}, one folder a scene")
    missing = [scene for scene in scenes if not (data / scene).is_dir()]
    if missing:
        more = f" and {len(missing) - LISTED} more" if len(missing) > LISTED else ""
        raise InputError(
            f"{data} lacks {len(missing)} of {len(scenes)} scenes of {what}: {', '.join(missing[:LISTED])}{more}"
        )
    return data


def narrowed(selection: Selection, extent: Extent) -> Selection:
    """A protocol's selection with what the user changed: another size, or only the first views and frames.

    Raises:
        InputError: more views or frames are asked for than the protocol has.
    """
    for name, chosen, wanted in (
        ("views", selection.views, extent.views),
        ("frames", selection.times, extent.frames),
    ):
        if wanted is not None and chosen is not None and wanted > len(chosen):
            raise InputError(f"{wanted} {name} were asked for; this protocol has {len(chosen)}")
    return replace(
        selection,
        views=None if selection.views is None else selection.views[: extent.views],
        times=None if selection.times is None else selection.times[: extent.frames],
        size=extent.size or selection.size,
    )


def selection_settings(folder: Path, selection: Selection) -> dict[str, object]:
    """What decides the figures of such data."""
    return {"data": str(folder), "views": selection.views, "times": selection.times, "image_size": selection.size}


def changes(extent: Extent) -> tuple[str, ...]:
    """A note on what is not the protocol's own setting."""
    changed = [
        f"{what} {value}"
        for what, value in (
            ("scenes", extent.scenes),
            ("(height, width)", extent.size),
            ("views", extent.views),
            ("frames", extent.frames),
        )
        if value is not None
    ]
    if not changed:
        return ()
    return (f"Run in another setting than the protocol's: {', '.join(changed)}. Figures do not compare with others'.",)
