"""Animated OpenUSD: one `ParticleField3DGaussianSplat` whose attributes have one time sample per step.

Everything is float32 as in memory. The first step is also the default value, so a reader that
knows no time sees it.

Source: OpenUSD schema UsdVolParticleField3DGaussianSplat (OpenUSD 26.03 and later).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.atomic import atomic_file
from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians
from fourreal.files.fourdgs_file import COLOR_SPACE, UpAxis

PRIM = "/GaussianSplats"


def write_usd(path: str | Path, steps: Sequence[Gaussians], seconds: Float[Tensor, "T"], *, up: UpAxis = "z") -> None:
    """Write a whole scene as `.usdc` (binary), `.usda` (text) or `.usd`, atomically.

    Time codes count mean steps from the first time, so evenly spaced steps fall on frames 0, 1, 2...

    Raises:
        InputError: usd-core is not installed, steps differ in SH degree, or the file cannot be written.
    """
    Usd, UsdGeom, UsdVol = (_pxr(name) for name in ("Usd", "UsdGeom", "UsdVol"))
    degrees = {step.sh_degree for step in steps}
    if len(degrees) > 1:
        raise InputError(f"{path}: a USD scene has one SH degree, the steps have {sorted(degrees)}")
    times = seconds.detach().cpu().double()
    rate = (len(times) - 1) / float(times[-1] - times[0]) if len(times) > 1 else 1.0
    codes = ((times - times[0]) * rate).tolist()

    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z if up == "z" else UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetTimeCodesPerSecond(rate)
    stage.SetStartTimeCode(codes[0])
    stage.SetEndTimeCode(codes[-1])
    splats = UsdVol.ParticleField3DGaussianSplat.Define(stage, PRIM)
    stage.SetDefaultPrim(splats.GetPrim())
    # The schema names no colour space; this is where fourdgs, the other writer, keeps it.
    splats.GetPrim().SetCustomDataByKey("fourdgs:colorSpace", COLOR_SPACE)
    splats.CreateRadianceSphericalHarmonicsDegreeAttr(degrees.pop())
    for step, time in [(steps[0], Usd.TimeCode.Default()), *zip(steps, map(Usd.TimeCode, codes), strict=True)]:
        _set_step(splats, step, time)
    with atomic_file(path) as partial:
        try:
            written = stage.GetRootLayer().Export(str(partial))
        except RuntimeError as error:  # Tf.ErrorException, pages long; the reason is the first quotation
            reason = re.search(r"'([^']*)'\s*$", str(error).strip().partition("\n")[0])
            raise InputError(f"{path} cannot be written as USD: {reason[1] if reason else 'unknown error'}") from error
        if not written:
            raise InputError(f"{path} cannot be written as USD; expected a writable place and .usd, .usda or .usdc")


def _set_step(splats: Any, step: Gaussians, time: Any) -> None:
    Vt = _pxr("Vt")
    step = step.detach().to("cpu")
    extent = torch.stack(torch.aminmax(step.means, dim=0)) if len(step) else torch.zeros(2, 3)
    values = (
        (splats.CreatePositionsAttr(), Vt.Vec3fArray, step.means),
        (splats.CreateScalesAttr(), Vt.Vec3fArray, step.scales),
        (splats.CreateOrientationsAttr(), Vt.QuatfArray, step.quats_wxyz[:, [1, 2, 3, 0]]),
        (splats.CreateOpacitiesAttr(), Vt.FloatArray, step.opacities.clamp(0, 1)),
        (splats.CreateRadianceSphericalHarmonicsCoefficientsAttr(), Vt.Vec3fArray, step.sh.flatten(0, 1)),
        (splats.CreateExtentAttr(), Vt.Vec3fArray, extent),
    )
    for attribute, array, tensor in values:
        attribute.Set(array.FromNumpy(tensor.float().contiguous().numpy()), time)


def _pxr(name: str) -> Any:
    """A module of usd-core, which fills its modules at run time and so has no names a type checker could see."""
    try:
        return importlib.import_module(f"pxr.{name}")
    except ImportError as error:
        raise InputError("writing USD needs usd-core; install it with: pip install 'fourreal[usd]'") from error
