"""`.4dgs`, one seekable file for a whole scene, and glTF with `KHR_gaussian_splatting`, one file a moment.

Both go through the fourdgs library, whose scene is one list of Gaussians that each live in a
window of time. One of our steps lives from its time to the next one's; the last lives as long as
the mean step. A `.4dgs` starts at second 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.atomic import atomic_file
from fourreal.core.errors import InputError
from fourreal.core.gaussians import SH_C0, Gaussians, concatenate

if TYPE_CHECKING:
    from fourdgs import GaussianSet

UpAxis = Literal["z", "y"]
"""Which world axis points up, written into formats that say so. z: worlds of this package. y: many captures."""

COLOR_SPACE = "srgb-rec709-display"


def write_4dgs(
    path: str | Path, steps: Sequence[Gaussians], seconds: Float[Tensor, "T"], *, up: UpAxis = "z", source: str = ""
) -> None:
    """Write a whole scene as `.4dgs`, atomically; lossy, see `docs/formats.md`.

    Raises:
        InputError: no Gaussians at any time, steps of different SH degree, or the file cannot be written.
    """
    import fourdgs

    start, end = step_windows(seconds)
    gaussians = _to_set(steps, start, end)
    if not gaussians.count:
        raise InputError(f"{path}: a .4dgs file cannot be empty, and no moment of this scene has Gaussians")
    metadata = {"coordinate_system": _coordinate_system(up), "color_space": COLOR_SPACE, "source": source or "fourreal"}
    options = fourdgs.WriteOptions(profile="fine", metadata=metadata)
    with atomic_file(path) as partial:
        fourdgs.write(str(partial), gaussians, float(end[-1]), options=options)


def write_gltf(path: str | Path, gaussians: Gaussians, *, up: UpAxis = "z") -> None:
    """Write one moment as a binary glTF (`.glb`), atomically. Values are float32 and kept.

    glTF is y-up; a z-up scene gets a node that turns it upright.

    Raises:
        InputError: no Gaussians, or the file cannot be written.
    """
    import fourdgs

    if not len(gaussians):
        raise InputError("a .glb file cannot be empty, and this moment has no Gaussians; leave it out")
    always = _to_set([gaussians], np.zeros(1), np.full(1, np.inf), exact_sh=True)
    with atomic_file(path) as partial:
        fourdgs.to_gltf(
            str(partial), always, 0.0, cutoff=0.5, coordinate_system=_coordinate_system(up), color_space=COLOR_SPACE
        )


def step_windows(seconds: Float[Tensor, "T"]) -> tuple[np.ndarray, np.ndarray]:
    """When each step starts and ends, the first at 0; a single step lasts one second."""
    times = seconds.detach().cpu().double().numpy()
    start = times - times[0]
    last = start[-1] / (len(start) - 1) if len(start) > 1 else 1.0
    return start, np.append(start[1:], start[-1] + last)


def _to_set(steps: Sequence[Gaussians], start: np.ndarray, end: np.ndarray, *, exact_sh: bool = False) -> GaussianSet:
    from fourdgs import GaussianSet

    joined = concatenate(list(steps)).detach().to("cpu")
    counts = [len(step) for step in steps]
    starts, ends = np.repeat(start, counts), np.repeat(end, counts)
    base = 0.5 + SH_C0 * joined.sh[:, 0]
    colors = torch.cat([base, joined.opacities.clamp(0, 1)[:, None]], -1)
    return GaussianSet(
        positions=joined.means.float().numpy(),
        scales=joined.scales.float().numpy(),
        rotations=joined.quats_wxyz[:, [1, 2, 3, 0]].float().numpy(),
        colors=colors.float().numpy(),
        motions=np.zeros((len(joined), 3), np.float32),
        mu_t=starts.astype(np.float32),
        sigma_t=np.full(len(joined), np.inf, np.float32),
        win_lo=starts,
        win_hi=ends,
        sh=_sh_codes(joined.sh[:, 1:], exact_sh) if joined.sh_degree else None,
        sh_degree=joined.sh_degree,
    )


def _sh_codes(rest: Float[Tensor, "N K 3"], exact: bool) -> np.ndarray:
    """Higher coefficients as the library's byte codes, red first.

    Its glTF writer decodes the codes to floats before writing, so unrounded codes pass through
    it exactly; a test compares what is read back.
    """
    from fourdgs.quantization import SH_QUANT_HI, SH_QUANT_LO

    codes = (rest.double() - SH_QUANT_LO) * (255.0 / (SH_QUANT_HI - SH_QUANT_LO))
    flat = codes.permute(0, 2, 1).flatten(1).numpy()
    return flat if exact else np.clip(np.rint(flat), 0, 255).astype(np.uint8)


def _coordinate_system(up: UpAxis) -> str:
    return f"{up}-up-right-handed"
