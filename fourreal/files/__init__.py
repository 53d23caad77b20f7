"""Grid folders, scene folders, and exporters to the formats of other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fourreal.core.lazy_names import install_lazy_names

if TYPE_CHECKING:
    from fourreal.files.export import export_scene as export_scene
    from fourreal.files.export_cameras import export_cameras as export_cameras
    from fourreal.files.formats import CAMERA_FORMATS as CAMERA_FORMATS
    from fourreal.files.formats import SCENE_FORMATS as SCENE_FORMATS
    from fourreal.files.grid_folder import GridRecord as GridRecord
    from fourreal.files.grid_folder import StoredGrid as StoredGrid
    from fourreal.files.grid_folder import load_grid as load_grid
    from fourreal.files.grid_folder import save_grid as save_grid
    from fourreal.files.open_any import open_any as open_any
    from fourreal.files.packed import read_spz as read_spz
    from fourreal.files.ply import read_ply as read_ply
    from fourreal.files.ply import read_ply_sequence as read_ply_sequence
    from fourreal.files.ply import write_ply as write_ply
    from fourreal.files.scene_folder import load_scene as load_scene
    from fourreal.files.scene_folder import save_scene as save_scene

install_lazy_names(
    __name__,
    {
        "CAMERA_FORMATS": "fourreal.files.formats",
        "GridRecord": "fourreal.files.grid_folder",
        "SCENE_FORMATS": "fourreal.files.formats",
        "StoredGrid": "fourreal.files.grid_folder",
        "export_cameras": "fourreal.files.export_cameras",
        "export_scene": "fourreal.files.export",
        "load_grid": "fourreal.files.grid_folder",
        "load_scene": "fourreal.files.scene_folder",
        "open_any": "fourreal.files.open_any",
        "read_ply": "fourreal.files.ply",
        "read_ply_sequence": "fourreal.files.ply",
        "read_spz": "fourreal.files.packed",
        "save_grid": "fourreal.files.grid_folder",
        "save_scene": "fourreal.files.scene_folder",
        "write_ply": "fourreal.files.ply",
    },
)
