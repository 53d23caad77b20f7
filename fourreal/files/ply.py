"""3D Gaussian splatting `.ply` files: the format every other program reads, one moment each.

The file holds logits of opacities, logarithms of standard deviations, and spherical harmonics as
`f_dc_0..2` and `f_rest_*` with all coefficients of red before those of green and blue. Ours are
physical values; they are converted here, in double precision, and nowhere else. An opacity of 0
or 1 and a scale of 0 have no finite logit or logarithm: they are written as the limits below, so
faint or so small that no program draws them, and read back exactly.

Source: Kerbl et al., "3D Gaussian Splatting for Real-Time Radiance Field Rendering", the file
layout of its released code.
"""

from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.atomic import atomic_file
from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians, GaussianSequence
from fourreal.core.media import natural_order
from fourreal.core.reading import reading

if TYPE_CHECKING:
    from gsply import GSData

MAX_LOGIT = 18.0  # the sigmoid is 1 in float32, and 1.5e-8 at the other end
MIN_LOG_SCALE = -27.5  # 1e-12 world units


def write_ply(path: str | Path, gaussians: Gaussians) -> None:
    """Write one moment as a 3DGS `.ply`, atomically.

    Raises:
        InputError: the file cannot be written.
    """
    import gsply

    with atomic_file(path) as partial:
        try:
            gsply.plywrite(partial, to_gsplat_data(gaussians))
        except OSError as error:
            # NumPy reports a short write without saying why; a full disk is why.
            raise OSError(error.errno or errno.ENOSPC, error.strerror or str(error)) from error


def read_ply(path: str | Path) -> Gaussians:
    """Read a 3DGS `.ply`, plain or compressed, of any program. Rotations are normalised.

    Raises:
        InputError: missing, truncated, no Gaussian splats, or values that are not finite.
    """
    import gsply

    path = Path(path)
    expected = "a whole binary .ply of 3D Gaussians with x, f_dc_0, opacity, scale_0, rot_0 and so on"
    with reading(path, expected):
        _require_header(path)
        return from_gsplat_data(gsply.plyread(path))


def read_ply_sequence(folder: str | Path, *, fps: float = 1.0, cameras: Cameras | None = None) -> GaussianSequence:
    """Read a folder of numbered `.ply` files, one per time, in natural name order.

    Args:
        fps: times per second; the files do not say.
        cameras: the views the scene was made from, when known.

    Raises:
        InputError: no such files, `fps` is not positive, or as `read_ply`.
    """
    folder = Path(folder)
    files = natural_order([path for path in folder.glob("*.ply") if path.name[0] != "."])
    if not files:
        raise InputError(f"{folder} holds no .ply files; expected one per time")
    if not 0 < fps < float("inf"):
        raise InputError(f"fps must be positive; got {fps}")
    if cameras is None:
        cameras = Cameras(torch.zeros(0, 4, 4), torch.zeros(0, 3, 3), (1, 1))
    seconds = torch.arange(len(files), dtype=torch.float64) / fps
    return GaussianSequence(tuple(read_ply(path) for path in files), seconds.float(), cameras).validated()


def to_gsplat_data(gaussians: Gaussians) -> GSData:
    """The numbers of a `.ply` file: logits, logarithms and harmonics coefficients, as NumPy arrays."""
    from gsply import GSData

    rest = _numpy(gaussians.sh[:, 1:])
    return GSData.from_arrays(
        means=_numpy(gaussians.means),
        scales=_numpy(gaussians.scales.double().log().clamp(min=MIN_LOG_SCALE)),
        quats=_numpy(gaussians.quats_wxyz),
        opacities=_numpy(gaussians.opacities.double().clamp(0, 1).logit().clamp(-MAX_LOGIT, MAX_LOGIT)),
        sh0=_numpy(gaussians.sh[:, 0]),
        shN=rest if rest.shape[1] else None,
        format="ply",
    )


def from_gsplat_data(data: GSData) -> Gaussians:
    """The physical values of what gsply read. Raises InputError when they are not finite."""
    logits, log_scales = _tensor(data.opacities).reshape(-1).double(), _tensor(data.scales).double()
    opacities = torch.where(logits <= -MAX_LOGIT, 0.0, logits.sigmoid())
    scales = torch.where(log_scales <= MIN_LOG_SCALE, 0.0, log_scales.exp())
    sh = _tensor(data.sh0)[:, None]
    if data.shN is not None and data.shN.size:
        sh = torch.cat([sh, _tensor(data.shN)], 1)
    quats = unit_quats(_tensor(data.quats))
    return Gaussians(_tensor(data.means), quats, scales.float(), opacities.float(), sh).validated()


def _require_header(path: Path) -> None:
    """Refuse a header that does not end (gsply would look for the end forever) or declares more than the file holds."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
        size = file.seek(0, 2)
    if not head.startswith(b"ply") or not (end := re.search(rb"\nend_header[ \r]*\n", head)):
        raise ValueError("no .ply header")
    # Every element has at least one property of at least one byte.
    if any(int(count) > size for count in re.findall(rb"\nelement \w+ +(\d+)", head[: end.end()])):
        raise ValueError(f"the header declares more than its {size:,} bytes hold")


def unit_quats(quats_wxyz: Float[Tensor, "N 4"]) -> Float[Tensor, "N 4"]:
    """Normalised rotations; the zero quaternion, which renderers take as none, becomes the identity.

    Rotations that already are unit to float32 stay untouched, so that what is read is what was written.
    """
    norm = quats_wxyz.double().norm(dim=-1, keepdim=True)
    identity = quats_wxyz.new_tensor([1.0, 0.0, 0.0, 0.0])
    unit = torch.where((norm - 1).abs() < 1e-6, quats_wxyz, (quats_wxyz / norm.clamp(min=1e-30)).float())
    return torch.where(norm < 1e-20, identity, unit)


def _numpy(values: Tensor):
    return values.detach().cpu().float().contiguous().numpy()


def _tensor(values) -> Tensor:
    import numpy as np

    return torch.from_numpy(np.array(values, dtype=np.float32))
