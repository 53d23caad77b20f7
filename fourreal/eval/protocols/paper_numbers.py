"""Figures as the papers print them, for the same table as ours.

The papers name LPIPS without its backbone; their figures are listed under the AlexNet one, its authors' default.
"""

from __future__ import annotations

from typing import TypeAlias

from fourreal.eval.protocols.protocol import Table

V1, V2, SV4D2 = "4Real-Video", "4Real-Video-V2", "SV4D 2.0"

LPIPS_REMARK = "the paper does not name the backbone of its LPIPS"
_THREE = ("PSNR", "SSIM", "LPIPS (AlexNet)")
_Three: TypeAlias = tuple[float, float, float]

V2_TABLE_2_OBJAVERSE = Table(
    f"{V2}, Table 2, Objaverse",
    _THREE,
    (
        ("SV4D", (19.65, 0.883, 0.137)),
        ("Sequential Arch.", (5.935, 0.444, 0.583)),
        ("Parallel Arch.", (21.40, 0.892, 0.124)),
        ("Fused View & Time Attn.", (22.49, 0.909, 0.113)),
    ),
    f"its 19 objects, views and frames are not listed; {LPIPS_REMARK}",
)
V2_TABLE_2_NVIDIA = Table(
    f"{V2}, Table 2, NVIDIA Dynamic",
    _THREE,
    (
        ("Sequential Arch.", (22.74, 0.743, 0.147)),
        ("Parallel Arch.", (22.92, 0.742, 0.148)),
        ("Fused View & Time Attn.", (23.15, 0.752, 0.142)),
    ),
    f"its views and frames are not listed; {LPIPS_REMARK}",
)
V2_TABLE_3 = Table(
    f"{V2}, Table 3",
    (
        "MEt3R",
        "temporal flickering",
        "motion smoothness (AMT-S)",
        "subject consistency",
        "background consistency",
        "imaging quality",
    ),
    (
        ("TrajectoryCrafter", (0.324, 97.1, 98.5, 95.3, 96.8, 67.6)),
        ("SynCamMaster", (0.530, 99.3, 99.5, 97.2, 96.6, 65.7)),
        ("ReCamMaster-V1", (0.530, 98.6, 99.4, 96.6, 96.1, 66.0)),
        ("ReCamMaster-V2", (0.194, 94.7, 91.2, 90.7, 93.6, 65.4)),
        ("4Real-Video", (0.192, 98.7, 99.2, 94.4, 96.5, 64.4)),
        ("w/o 2D Trans. Videos", (0.196, 99.3, 99.5, 98.0, 98.7, 63.9)),
        ("Full Method", (0.173, 99.1, 99.5, 97.7, 98.4, 66.2)),
    ),
    "its 30 generated videos are not published",
)
_TABLE_6 = ("PSNR", "LPIPS (AlexNet)", "SSIM")
_TABLE_6_ROWS: dict[int, dict[str, tuple[tuple[str, tuple[float, float, float]], ...]]] = {
    4: {
        "Tanks & Temples": (
            ("GSLRM, scale tuned", (15.78, 0.3896, 0.3385)),
            ("BTimer (static), scale tuned", (20.62, 0.1498, 0.5762)),
            ("GSLRM", (12.41, 0.5933, 0.3038)),
            ("BTimer (static)", (16.48, 0.2781, 0.3933)),
            ("Splatt3r, 2 inputs", (12.50, 0.4547, 0.3363)),
            ("Ours", (18.52, 0.1699, 0.5178)),
        ),
        "LLFF": (
            ("GSLRM, scale tuned", (14.42, 0.4465, 0.2980)),
            ("BTimer (static), scale tuned", (16.40, 0.2789, 0.3669)),
            ("GSLRM", (10.69, 0.6182, 0.2785)),
            ("BTimer (static)", (14.24, 0.3958, 0.2830)),
            ("Splatt3r, 2 inputs", (12.64, 0.4599, 0.3055)),
            ("Ours", (15.12, 0.2778, 0.3024)),
        ),
    },
    16: {
        "Tanks & Temples": (
            ("GSLRM, scale tuned", (16.21, 0.4236, 0.3528)),
            ("BTimer (static), scale tuned", (20.45, 0.1633, 0.5771)),
            ("GSLRM", (12.40, 0.6138, 0.3244)),
            ("BTimer (static)", (17.13, 0.2883, 0.4477)),
            ("Ours", (20.85, 0.1464, 0.6057)),
        ),
        "LLFF": (
            ("GSLRM, scale tuned", (14.85, 0.4919, 0.3222)),
            ("BTimer (static), scale tuned", (16.60, 0.3225, 0.3971)),
            ("GSLRM", (12.15, 0.6323, 0.2946)),
            ("BTimer (static)", (14.63, 0.4231, 0.3142)),
            ("Ours", (18.95, 0.1919, 0.4573)),
        ),
    },
}


def v2_table_6(dataset: str, inputs: int) -> tuple[Table, ...]:
    """The rows for a number of input views; none for another number than 4 or 16."""
    rows = _TABLE_6_ROWS.get(inputs)
    if rows is None:
        return ()
    remark = f"its scenes, inputs and targets are not listed; {LPIPS_REMARK}"
    return (Table(f"{V2}, Table 6, {dataset}, {inputs} inputs", _TABLE_6, rows[dataset], remark),)


V2_TABLE_7 = Table(
    f"{V2}, Table 7",
    _TABLE_6,
    (
        ("GSLRM, scale tuned", (20.54, 0.1934, 0.6346)),
        ("BTimer (monocular), scale tuned", (9.65, 0.4310, 0.3907)),
        ("BTimer (multi-view), scale tuned", (21.55, 0.1213, 0.6412)),
        ("GSLRM", (12.31, 0.5866, 0.3553)),
        ("BTimer (monocular)", (9.40, 0.5898, 0.3006)),
        ("BTimer (multi-view)", (19.56, 0.1693, 0.6312)),
        ("Ours", (21.63, 0.1200, 0.6375)),
    ),
    f"its input views and frames are not listed; {LPIPS_REMARK}",
)
_MIXTURES: dict[str, tuple[_Three, _Three]] = {
    "Objaverse": ((23.30, 0.923, 0.071), (22.77, 0.729, 0.130)),
    "Kubric": ((17.99, 0.858, 0.172), (21.95, 0.706, 0.165)),
    "2D-transformed videos": ((19.52, 0.881, 0.125), (23.02, 0.736, 0.130)),
    "Objaverse, Kubric": ((22.38, 0.914, 0.086), (22.74, 0.727, 0.136)),
    "Objaverse, Kubric, 2D-transformed videos": ((22.09, 0.911, 0.084), (23.38, 0.742, 0.124)),
}
_POSITIONS: dict[str, tuple[_Three, _Three]] = {
    "Learnable View PE": ((19.50, 0.899, 0.161), (23.45, 0.751, 0.113)),
    "(v T_max + t, x, y)": ((22.49, 0.909, 0.113), (23.15, 0.752, 0.142)),
}


def _both_sets(place: str, rows: dict[str, tuple[_Three, _Three]]) -> tuple[Table, Table]:
    """A table of V2 with figures on Objaverse and on NVIDIA Dynamic, one table for each."""
    remark = f"its views and frames are not listed; {LPIPS_REMARK}"
    objaverse, nvidia = (
        Table(f"{V2}, {place}, {name}", _THREE, tuple((row, figures[of]) for row, figures in rows.items()), remark)
        for of, name in enumerate(("Objaverse", "NVIDIA Dynamic"))
    )
    return objaverse, nvidia


V2_TABLE_5_OBJAVERSE, V2_TABLE_5_NVIDIA = _both_sets("Table 5", _MIXTURES)
V2_TABLE_S1_OBJAVERSE, V2_TABLE_S1_NVIDIA = _both_sets("Table S1", _POSITIONS)
V2_TABLE_8 = Table(
    f"{V2}, Table 8",
    ("PSNR",),
    (("w/o cam. token replacement", (22.48,)), ("w/o temporal attention", (22.60,)), ("Full model", (23.39,))),
    "its test set, views and size are not published",
)
_SINGLE_SETS: dict[str, _Three] = {
    "RealEstate10K": (20.11, 20.37, 18.03),
    "DL3DV": (20.17, 20.48, 18.41),
    "MVImageNet": (19.97, 20.03, 18.33),
    "ACID": (18.31, 18.28, 17.23),
    "Kubric": (17.14, 17.73, 17.16),
    "All": (21.63, 20.85, 18.95),
}
V2_TABLE_S5_NEURAL3D, V2_TABLE_S5_TANKS, V2_TABLE_S5_LLFF = (
    Table(
        f"{V2}, Table S5, {name}",
        ("PSNR",),
        tuple((row, (figures[of],)) for row, figures in _SINGLE_SETS.items()),
        "its scenes, inputs and targets are not listed",
    )
    for of, name in enumerate(("Neural 3D Video", "Tanks & Temples", "LLFF"))
)
V2_TABLE_S6 = Table(
    f"{V2}, Table S6",
    ("PSNR",),
    (
        ("4DGS", (17.60,)),
        ("MV-Video Gen. + 4DGS", (19.05,)),
        ("MV-Video Gen. + Feedforward Recon.", (19.14,)),
    ),
)

_V1_TABLE_1 = (
    "FID", "CLIP score", "FVD, time", "FVD, view", "FVD-Test, time", "FVD-Test, view",
    "visual quality, time", "visual quality, view", "temporal consistency, time", "temporal consistency, view",
    "factual consistency, time", "factual consistency, view",
)  # fmt: skip
V1_TABLE_1 = Table(
    f"{V1}, Table 1",
    _V1_TABLE_1,
    (
        ("SV4D", (204.81, 19.46, 1053.10, 1245.42, 814.50, 323.99, 2.26, 2.02, 2.03, 1.68, 2.12, 1.99)),
        ("MotionCtrl", (87.10, 20.20, 1556.36, 1509.76, 1170.04, 302.18, 2.36, 2.30, 2.38, 2.25, 2.38, 2.33)),
        ("Sequential", (96.64, 28.16, 1662.54, 1797.15, 897.08, 597.19, 2.30, 2.28, 2.21, 2.15, 2.23, 2.20)),
        ("Soft w/o Obj", (80.17, 28.11, 1392.48, 1720.47, 318.18, 302.18, 2.41, 2.39, 2.37, 2.31, 2.35, 2.33)),
        ("Hard Sync", (79.92, 28.16, 972.87, 1045.35, 316.14, 251.44, 2.42, 2.40, 2.40, 2.33, 2.37, 2.34)),
        ("Soft Sync", (78.36, 28.22, 906.16, 1036.00, 308.15, 261.02, 2.43, 2.42, 2.41, 2.36, 2.38, 2.36)),
    ),
    "its 200 pairs, its real videos and its CLIP model are not published",
)
V1_TABLE_2 = Table(
    f"{V1}, Table 2",
    (
        "matching confidence > 0.1",
        "matching confidence > 0.5",
        "matching confidence > 0.7",
        "3-D confidence > 2",
        "3-D confidence > 2.5",
        "3-D confidence > 3",
    ),
    (
        ("Sequential", (65.0, 28.6, 18.5, 33.5, 24.6, 16.6)),
        ("Soft w/o Obj", (80.8, 49.6, 36.1, 39.1, 31.4, 24.0)),
        ("Hard Sync", (78.7, 44.8, 31.4, 39.3, 31.5, 23.8)),
        ("Soft Sync", (79.6, 47.1, 33.8, 41.0, 33.4, 25.7)),
    ),
    "matching by GIM and 3-D confidence by Dust3R; shares of other networks do not compare",
)

SV4D2_NINE = ("LPIPS (AlexNet)", "CLIP-S", "PSNR", "SSIM", "MSE", "FVD-F", "FVD-V", "FVD-Diag", "FV4D")
SV4D2_TABLE_1 = Table(
    f"{SV4D2}, Table 1",
    SV4D2_NINE,
    (
        ("SV3D", (0.131, 0.922, 17.60, 0.873, 0.0244, 799.73, 397.37, 531.85, 754.09)),
        ("Diffusion²", (0.133, 0.892, 18.08, 0.886, 0.0225, 987.19, 477.66, 789.12, 1020.15)),
        ("SV4D", (0.122, 0.919, 17.83, 0.881, 0.0217, 647.97, 427.97, 564.24, 458.34)),
        ("SV4D 2.0 w/o 3D attention", (0.115, 0.934, 17.89, 0.878, 0.0214, 548.14, 368.68, 463.59, 283.10)),
        ("SV4D 2.0 w/o improved data", (0.112, 0.931, 18.19, 0.884, 0.0192, 576.66, 344.68, 467.57, 316.91)),
        ("SV4D 2.0 (Ours)", (0.105, 0.939, 18.67, 0.886, 0.0180, 473.90, 272.85, 426.92, 256.84)),
    ),
    f"its validation objects are not listed; {LPIPS_REMARK}",
)
SV4D2_TABLE_2 = Table(
    f"{SV4D2}, Table 2",
    SV4D2_NINE,
    (
        ("Consistent4D", (0.148, 0.899, 16.44, 0.866, 0.0297, 781.38, 510.04, 782.79, 658.31)),
        ("STAG4D", (0.155, 0.868, 16.73, 0.867, 0.0260, 848.83, 539.96, 709.52, 833.08)),
        ("DG4D", (0.156, 0.874, 16.02, 0.860, 0.0293, 826.72, 543.29, 761.58, 741.99)),
        ("L4GM", (0.146, 0.902, 17.65, 0.877, 0.0227, 805.87, 537.46, 782.92, 666.48)),
        ("SV4D", (0.122, 0.902, 18.47, 0.884, 0.0189, 754.23, 436.86, 666.59, 699.04)),
        ("SV4D 2.0 (Ours)", (0.107, 0.916, 19.37, 0.890, 0.0153, 654.64, 375.03, 513.26, 532.55)),
    ),
    f"its validation objects are not listed; {LPIPS_REMARK}",
)
_SV4D2_THREE = ("LPIPS (AlexNet)", "CLIP-S", "FVD-F")
SV4D2_TABLE_3 = Table(
    f"{SV4D2}, Table 3",
    _SV4D2_THREE,
    (
        ("SV3D", (0.129, 0.925, 989.53)),
        ("4Diffusion", (0.164, 0.863, None)),
        ("Diffusion²", (0.189, 0.907, 1205.16)),
        ("SV4D", (0.129, 0.929, 677.68)),
        ("SV4D 2.0 (Ours)", (0.115, 0.946, 553.43)),
    ),
    LPIPS_REMARK,
)
SV4D2_TABLE_4 = Table(
    f"{SV4D2}, Table 4",
    _SV4D2_THREE,
    (
        ("Consistent4D", (0.160, 0.87, 1133.93)),
        ("STAG4D", (0.126, 0.91, 992.21)),
        ("4Diffusion", (0.165, 0.88, None)),
        ("Efficient4D", (0.130, 0.92, None)),
        ("4DGen", (0.140, 0.89, None)),
        ("DG4D", (0.160, 0.87, None)),
        ("GaussianFlow", (0.140, 0.91, None)),
        ("L4GM", (0.120, 0.94, 691.87)),
        ("SV4D", (0.118, 0.92, 732.40)),
        ("SV4D 2.0 (Ours)", (0.117, 0.93, 692.68)),
    ),
    LPIPS_REMARK,
)
