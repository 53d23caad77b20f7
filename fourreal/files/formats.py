"""The export formats, one entry each. A new one is a file with a writer, and its entry here.

Importing this module needs no torch, so that `fourreal export --help` can list them.
"""

SCENE_FORMATS: dict[str, tuple[str, str, str, tuple[str, ...], bool]] = {
    "ply": ("ply", "write_ply", "one file per time", (".ply",), False),
    "spz": ("packed", "write_spz", "one file per time", (".spz",), False),
    "splat": ("packed", "write_splat", "one file per time", (".splat",), False),
    "sog": ("packed", "write_sog", "one file per time", (".sog",), False),
    "gltf": ("fourdgs_file", "write_gltf", "one file per time", (".glb",), True),
    "4dgs": ("fourdgs_file", "write_4dgs", "one file", (".4dgs",), True),
    "usd": ("usd_file", "write_usd", "one file", (".usdc", ".usda", ".usd"), True),
}
"""Name to (module, writer, how many files, suffixes, whether the format says which axis points up).

Writers of one file per time take (path, gaussians), those of one file (path, steps, seconds); those of formats that say
which axis points up also take `up`, "z" or "y"."""

CAMERA_FORMATS: dict[str, str] = {"nerfstudio": "transforms.json and images/", "colmap": "sparse/0/*.txt and images/"}
"""Name to what is written, as 3DGS trainers expect it."""
