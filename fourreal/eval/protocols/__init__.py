"""The tables of the papers and of this project, one entry per protocol.

A new protocol is a function that returns a `Protocol`, and its entry here. Importing this package needs no torch.
"""

PROTOCOLS: dict[str, tuple[str, str, str]] = {
    "worlds": ("worlds", "worlds", "generator"),
    "worlds-recon": ("worlds", "worlds_recon", "reconstruction"),
    "grid": ("one_grid", "one_grid", "generator"),
    "v1-table-1": ("v1", "v1_table_1", "generator"),
    "v1-table-2": ("v1", "v1_table_2", "generator"),
    "v2-table-2-nvidia": ("v2_generation", "v2_table_2_nvidia", "generator"),
    "v2-table-2-objaverse": ("v2_generation", "v2_table_2_objaverse", "generator"),
    "v2-table-3": ("v2_generation", "v2_table_3", "generator"),
    "v2-table-6-llff": ("v2_reconstruction", "v2_table_6_llff", "reconstruction"),
    "v2-table-6-tanks": ("v2_reconstruction", "v2_table_6_tanks", "reconstruction"),
    "v2-table-7": ("v2_reconstruction", "v2_table_7", "reconstruction"),
    "v2-table-s6": ("v2_reconstruction", "v2_table_s6", "generator"),
    "sv4d2-table-1": ("sv4d2", "sv4d2_table_1", "generator"),
    "sv4d2-table-2": ("sv4d2", "sv4d2_table_2", "generator"),
    "sv4d2-table-3": ("sv4d2", "sv4d2_table_3", "generator"),
    "sv4d2-table-4": ("sv4d2", "sv4d2_table_4", "generator"),
}
"""Name on the command line to (module, function, kind of model that is evaluated)."""
