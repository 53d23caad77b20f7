"""Every export format, in one table: a new one is a file with a writer and a line here. Nothing is imported for it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class ExportFormat:
    """A format other programs read.

    Attributes:
        writer: "module:function", called with (path, gaussians) for a moment, (path, steps, seconds) for a scene,
            (folder, posed images, points or None, colours or None) for cameras, whose images are in `images/`.
        holds: one moment (a folder with one file per time), the whole scene (one file), or cameras (a folder).
        suffixes: of the files; the first one by default.
        keeps: for the table of formats.
        has_up: the file says which axis is up, so the writer takes `up=`.
    """

    writer: str
    holds: Literal["moment", "scene", "cameras"]
    suffixes: tuple[str, ...] = ()
    keeps: str
    has_up: bool = False

    def load_writer(self) -> Callable[..., Any]:
        module, _, name = self.writer.partition(":")
        return getattr(importlib.import_module(module), name)


FORMATS = {
    "ply": ExportFormat(
        writer="fourreal.files.ply:write_ply", holds="moment", suffixes=(".ply",), keeps="everything, exactly"
    ),
    "spz": ExportFormat(
        writer="fourreal.files.packed:write_spz", holds="moment", suffixes=(".spz",), keeps="everything, 8 to 24 bits"
    ),
    "splat": ExportFormat(
        writer="fourreal.files.packed:write_splat",
        holds="moment",
        suffixes=(".splat",),
        keeps="no view-dependent colour",
    ),
    "sog": ExportFormat(
        writer="fourreal.files.packed:write_sog",
        holds="moment",
        suffixes=(".sog",),
        keeps="everything, 8 to 16 bits and a palette",
    ),
    "gltf": ExportFormat(
        writer="fourreal.files.fourdgs_file:write_gltf",
        holds="moment",
        suffixes=(".glb",),
        keeps="everything, exactly (KHR_gaussian_splatting)",
        has_up=True,
    ),
    "4dgs": ExportFormat(
        writer="fourreal.files.fourdgs_file:write_4dgs",
        holds="scene",
        suffixes=(".4dgs",),
        keeps="everything, small errors stated in the file",
        has_up=True,
    ),
    "usd": ExportFormat(
        writer="fourreal.files.usd_file:write_usd",
        holds="scene",
        suffixes=(".usdc", ".usda", ".usd"),
        keeps="everything, exactly",
        has_up=True,
    ),
    "nerfstudio": ExportFormat(
        writer="fourreal.files.nerfstudio:write_nerfstudio", holds="cameras", keeps="transforms.json, images"
    ),
    "colmap": ExportFormat(
        writer="fourreal.files.colmap:write_colmap", holds="cameras", keeps="sparse/0/*.txt, images, points"
    ),
}
