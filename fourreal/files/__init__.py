"""Scene formats in and out: grid folders, scene folders, and what other programs read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fourreal.core.lazy_names import lazy_names

if TYPE_CHECKING:
    from fourreal.files.export import export_scene
    from fourreal.files.export_cameras import export_cameras
    from fourreal.files.formats import FORMATS, ExportFormat
    from fourreal.files.grid_folder import GridRecord, StoredGrid, load_grid, save_grid
    from fourreal.files.open_any import folder_kind, open_any
    from fourreal.files.packed import read_spz
    from fourreal.files.ply import read_ply, read_ply_sequence
    from fourreal.files.scene_folder import SceneRecord, load_scene, load_scene_record, save_scene

__all__ = [
    "FORMATS",
    "ExportFormat",
    "GridRecord",
    "SceneRecord",
    "StoredGrid",
    "export_cameras",
    "export_scene",
    "folder_kind",
    "load_grid",
    "load_scene",
    "load_scene_record",
    "open_any",
    "read_ply",
    "read_ply_sequence",
    "read_spz",
    "save_grid",
    "save_scene",
]

__getattr__ = lazy_names(__name__, __file__)
