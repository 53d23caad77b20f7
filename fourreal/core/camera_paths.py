"""Camera paths and rigs: look-at poses, orbits, arcs, dollies, and putting a rig into a standard frame.

Worlds here are z-up; a captured rig of another kind gives its own `up`.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.rotations import matrix_to_quat, quat_slerp, quat_to_matrix, rigid, rigid_inverse

Z_UP = (0.0, 0.0, 1.0)


def look_at(
    eyes: Float[Tensor, "*batch 3"],
    targets: Float[Tensor, "*#batch 3"],
    up: Float[Tensor, "*#batch 3"] | tuple[float, float, float] = Z_UP,
) -> Float[Tensor, "*batch 4 4"]:
    """World-to-camera poses at `eyes` that look at `targets` with `up` upwards in the image.

    Raises:
        InputError: an eye sits on its target. Looking along `up` is fine: any upright is as good
            as another there and one is chosen.
    """
    targets = targets.expand_as(eyes)
    forward = targets - eyes
    if eyes.numel() and bool((forward.norm(dim=-1) < 1e-9).any()):
        raise InputError("a camera cannot look at the point where it stands; move the eye or the target")
    forward = torch.nn.functional.normalize(forward, dim=-1)
    up = torch.as_tensor(up, dtype=eyes.dtype, device=eyes.device).expand_as(eyes)
    right = torch.linalg.cross(forward, up)
    # Looking (almost) along `up`: fall back to an axis that cannot be parallel to it.
    spare = torch.roll(up, 1, dims=-1)
    degenerate = right.norm(dim=-1, keepdim=True) < 1e-6
    right = torch.nn.functional.normalize(torch.where(degenerate, torch.linalg.cross(forward, spare), right), dim=-1)
    down = torch.linalg.cross(forward, right)
    cam_to_world_rotation = torch.stack([right, down, forward], -1)
    return rigid_inverse(rigid(cam_to_world_rotation, eyes))


def orbit(
    target: Float[Tensor, "3"],
    radius: float,
    azimuths_deg: Float[Tensor, "V"],
    elevations_deg: Float[Tensor, "V"] | float = 0.0,
) -> Float[Tensor, "V 4 4"]:
    """Poses on a sphere round `target` in a z-up world, looking at it.

    Azimuth 0 stands on +x and grows counter-clockwise seen from above; elevation is above the horizon.
    """
    azimuth = torch.deg2rad(azimuths_deg)
    elevation = torch.deg2rad(torch.as_tensor(elevations_deg, dtype=azimuth.dtype, device=azimuth.device))
    elevation = elevation.expand_as(azimuth)
    offsets = torch.stack([elevation.cos() * azimuth.cos(), elevation.cos() * azimuth.sin(), elevation.sin()], -1)
    return look_at(target + radius * offsets, target)


def arc(
    target: Float[Tensor, "3"],
    radius: float,
    views: int,
    *,
    span_deg: float,
    start_deg: float = 0.0,
    elevation_deg: float = 0.0,
    elevation_rise_deg: float = 0.0,
) -> Float[Tensor, "V 4 4"]:
    """`views` poses evenly along an arc of an orbit, from `start_deg` over `span_deg` degrees.

    The elevation grows smoothly (half a cosine) by `elevation_rise_deg` along the way.
    """
    steps = torch.linspace(0, 1, views, dtype=target.dtype, device=target.device)
    rise = (1 - torch.cos(torch.pi * steps)) / 2 * elevation_rise_deg
    return orbit(target, radius, start_deg + span_deg * steps, elevation_deg + rise)


def dolly(
    start: Float[Tensor, "3"], end: Float[Tensor, "3"], target: Float[Tensor, "3"], views: int
) -> Float[Tensor, "V 4 4"]:
    """`views` poses evenly along a straight line, all looking at `target`."""
    steps = torch.linspace(0, 1, views, dtype=start.dtype, device=start.device)[:, None]
    return look_at(start + (end - start) * steps, target)


def interpolate(cameras: Cameras, stops: Float[Tensor, "S"]) -> Cameras:
    """Cameras between the given ones: 0 is the first, V - 1 the last, fractions in between.

    Positions and intrinsics move in straight lines, rotations by slerp. Stops outside are held at the ends.
    """
    last = len(cameras) - 1
    stops = stops.clamp(0, last)
    before = stops.floor().long().clamp(max=max(last - 1, 0))
    after = (before + 1).clamp(max=last)
    fraction = (stops - before).to(cameras.world_to_cam)
    mix = fraction[:, None]
    quats = matrix_to_quat(cameras.cam_to_world[..., :3, :3])
    rotation = quat_to_matrix(quat_slerp(quats[before], quats[after], fraction))
    centers = cameras.centers[before] * (1 - mix) + cameras.centers[after] * mix
    intrinsics = cameras.intrinsics[before] * (1 - mix[..., None]) + cameras.intrinsics[after] * mix[..., None]
    return Cameras(rigid_inverse(rigid(rotation, centers)), intrinsics, cameras.image_size)


def focus_point(cameras: Cameras) -> Float[Tensor, "3"]:
    """The point nearest to all viewing axes (least squares), where a rig looks.

    Parallel axes have no such point: then one camera distance ahead of the middle camera is taken.
    """
    flat = cameras.reshape(-1)
    centers, forward = flat.centers, flat.cam_to_world[..., :3, 2]
    identity = torch.eye(3, dtype=centers.dtype, device=centers.device)
    across = identity - forward[:, :, None] * forward[:, None, :]
    system = across.sum(0)
    spread = (centers - centers.mean(0)).norm(dim=-1).max()
    # The smallest eigenvalue is about V sin^2 of the angle between axes: below that, no crossing.
    if torch.linalg.eigvalsh(system)[0] < 1e-4 * len(centers):
        ahead = torch.nn.functional.normalize(forward.mean(0), dim=-1)
        return centers.mean(0) + ahead * torch.clamp(2 * spread, min=1.0)
    return torch.linalg.solve(system, (across @ centers[..., None]).sum(0)).squeeze(-1)
