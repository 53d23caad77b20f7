"""Half a turn about the x axis, which stands a y-down world on its feet, exactly.

Only signs change, so nothing is rounded; view-dependent colour turns with the world.
"""

from __future__ import annotations

import torch
from einops import rearrange

from fourreal.core.gaussians import Gaussians

HARMONIC_SIGNS = (
    *(1,),
    *(-1, -1, 1),
    *(-1, 1, 1, -1, 1),
    *(-1, 1, -1, -1, 1, -1, 1),
)
"""What becomes of the harmonics of degrees 0 to 3 when y and z change sign; each is even or odd in them together."""


def flip_y_down(gaussians: Gaussians) -> Gaussians:
    """The same Gaussians in a world turned by 180 degrees about x: y and z point the other way.

    Twice half a turn is no turn (quaternions then have the other sign, which is the same rotation).
    """
    signs = torch.tensor(HARMONIC_SIGNS[: gaussians.sh.shape[1]]).to(gaussians.sh)
    w, x, y, z = gaussians.quats_wxyz.unbind(-1)
    return Gaussians(
        gaussians.means * gaussians.means.new_tensor([1.0, -1.0, -1.0]),
        torch.stack([-x, w, -z, y], -1),  # the quaternion of the turn, (0, 1, 0, 0), times ours
        gaussians.scales,
        gaussians.opacities,
        gaussians.sh * rearrange(signs, "k -> k 1"),
    )
