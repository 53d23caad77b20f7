"""The papers' evaluation tables, and this project's own, as code: fixed scenes, views, times, sizes and seeds.

A protocol is made by a function named after its table, from data, models and an extent; `evaluate` runs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fourreal.eval.protocols.protocol import Extent, Models, Protocol

PROTOCOLS: dict[str, tuple[str, str]] = {
    "worlds": ("worlds", "worlds"),
    "worlds-recon": ("worlds", "worlds_recon"),
    "grid": ("one_grid", "one_grid"),
    "v1-table-1": ("v1", "v1_table_1"),
    "v1-table-2": ("v1", "v1_table_2"),
    "v2-table-2-nvidia": ("v2_generation", "v2_table_2_nvidia"),
    "v2-table-2-objaverse": ("v2_generation", "v2_table_2_objaverse"),
    "v2-table-3": ("v2_generation", "v2_table_3"),
    "v2-table-6-llff": ("v2_reconstruction", "v2_table_6_llff"),
    "v2-table-6-tanks": ("v2_reconstruction", "v2_table_6_tanks"),
    "v2-table-7": ("v2_reconstruction", "v2_table_7"),
    "v2-table-s6": ("v2_reconstruction", "v2_table_s6"),
    "v2-table-5-nvidia": ("v2_further", "v2_table_5_nvidia"),
    "v2-table-5-objaverse": ("v2_further", "v2_table_5_objaverse"),
    "v2-table-8": ("v2_further", "v2_table_8"),
    "v2-table-s1-nvidia": ("v2_further", "v2_table_s1_nvidia"),
    "v2-table-s1-objaverse": ("v2_further", "v2_table_s1_objaverse"),
    "v2-table-s5-llff": ("v2_further", "v2_table_s5_llff"),
    "v2-table-s5-tanks": ("v2_further", "v2_table_s5_tanks"),
    "v2-table-s5-neural3d": ("v2_further", "v2_table_s5_neural3d"),
    "v2-figure-s3": ("v2_further", "v2_figure_s3"),
    "sv4d2-table-1": ("sv4d2", "sv4d2_table_1"),
    "sv4d2-table-2": ("sv4d2", "sv4d2_table_2"),
    "sv4d2-table-3": ("sv4d2", "sv4d2_table_3"),
    "sv4d2-table-4": ("sv4d2", "sv4d2_table_4"),
}
"""Name -> (file of this folder, its function); see `make_protocol`."""

RECONSTRUCTION_PROTOCOLS = (
    "worlds-recon", "v2-table-6-llff", "v2-table-6-tanks", "v2-table-7", "v2-table-8", "v2-table-s5-llff",
    "v2-table-s5-tanks", "v2-table-s5-neural3d", "v2-figure-s3",
)  # fmt: skip
"""Protocols whose model is a reconstruction model."""


def make_protocol(name: str, data: Any, models: Models, extent: Extent | None = None) -> Protocol:
    """One of `PROTOCOLS`.

    Args:
        data: the benchmark's folder; for `worlds` and `worlds-recon` a WorldConfig; for `grid` functions that load
            complete grids, by name.

    Raises:
        InputError: data or models are missing, or the extent is larger than the protocol.
    """
    file, function = PROTOCOLS[name]
    make = getattr(import_module(f"{__name__}.{file}"), function)
    return make(data, models) if extent is None else make(data, models, extent)
