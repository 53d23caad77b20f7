"""`Gaussians` for one moment, and the question every 4D scene answers: `at(seconds)`.

Source: 4Real-Video-V2, section 3.2 (one set of Gaussians per time step, one camera per view).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError

SH_C0 = 0.28209479177387814  # the constant spherical harmonic, 1 / (2 sqrt(pi))


@dataclass(frozen=True)
class Gaussians:
    """3D Gaussians by their physical values, never logits or logarithms.

    Attributes:
        means: centres, world units.
        quats_wxyz: unit rotations from the Gaussian's axes to the world's.
        scales: standard deviations along those axes, world units, not negative.
        opacities: in [0, 1].
        sh: spherical harmonics coefficients, K = (degree + 1)^2, degree 0 to 3. The colour of a
            view direction is `0.5 + sum_k sh[k] * basis_k(direction)`, sRGB.

    Raises:
        InputError: shapes do not fit. `validated` checks the values.
    """

    means: Float[Tensor, "N 3"]
    quats_wxyz: Float[Tensor, "N 4"]
    scales: Float[Tensor, "N 3"]
    opacities: Float[Tensor, "N"]
    sh: Float[Tensor, "N K 3"]

    def __post_init__(self) -> None:
        count = self.means.shape[0] if self.means.ndim else -1
        expected = {"means": (count, 3), "quats_wxyz": (count, 4), "scales": (count, 3), "opacities": (count,)}
        for name, shape in expected.items():
            if tuple(getattr(self, name).shape) != shape:
                raise InputError(f"{name} must have shape {list(shape)}; got {list(getattr(self, name).shape)}")
        if (
            self.sh.ndim != 3
            or self.sh.shape[0] != count
            or self.sh.shape[1] not in (1, 4, 9, 16)
            or self.sh.shape[2] != 3
        ):
            raise InputError(f"sh must have shape [{count}, K, 3] with K one of 1, 4, 9, 16; got {list(self.sh.shape)}")

    def validated(self) -> Gaussians:
        """Itself, values checked. Raises InputError: ranges or finiteness do not hold."""
        for name in _FIELDS:
            if not torch.isfinite(getattr(self, name).detach()).all():
                raise InputError(f"{name} hold NaN or infinity; drop those Gaussians first")
        if len(self) == 0:
            return self
        if (self.scales.detach() < 0).any():
            raise InputError(f"scales are standard deviations and cannot be negative; got {self.scales.min():.4g}")
        low, high = torch.aminmax(self.opacities.detach())
        if low < -1e-6 or high > 1 + 1e-6:
            raise InputError(
                f"opacities must lie in [0, 1]; got values from {low:.4g} to {high:.4g} (apply the sigmoid)"
            )
        off = (self.quats_wxyz.detach().norm(dim=-1) - 1).abs().max()
        if off > 1e-3:
            raise InputError(f"quats_wxyz must be unit; a norm is off by {off:.3g} (normalise them)")
        return self

    @classmethod
    def from_colors(
        cls,
        means: Float[Tensor, "N 3"],
        quats_wxyz: Float[Tensor, "N 4"],
        scales: Float[Tensor, "N 3"],
        opacities: Float[Tensor, "N"],
        colors: Float[Tensor, "N 3"],
    ) -> Gaussians:
        """Gaussians of one colour each (sRGB in [0, 1]), SH degree 0."""
        return cls(means, quats_wxyz, scales, opacities, ((colors - 0.5) / SH_C0)[:, None])

    def __len__(self) -> int:
        return self.means.shape[0]

    @property
    def sh_degree(self) -> int:
        return {1: 0, 4: 1, 9: 2, 16: 3}[self.sh.shape[1]]

    @property
    def base_colors(self) -> Float[Tensor, "N 3"]:
        """The view-independent part of the colour, sRGB, clipped to [0, 1]."""
        return (0.5 + SH_C0 * self.sh[:, 0]).clamp(0, 1)

    def select(self, keep: Bool[Tensor, "N"] | Tensor) -> Gaussians:
        """The Gaussians of a mask or of integer indices."""
        return Gaussians(
            self.means[keep], self.quats_wxyz[keep], self.scales[keep], self.opacities[keep], self.sh[keep]
        )

    def to(self, device: torch.device | str) -> Gaussians:
        return Gaussians(*(getattr(self, name).to(device) for name in _FIELDS))

    def detach(self) -> Gaussians:
        return Gaussians(*(getattr(self, name).detach() for name in _FIELDS))


_FIELDS = ("means", "quats_wxyz", "scales", "opacities", "sh")


def concatenate(parts: Sequence[Gaussians]) -> Gaussians:
    """All Gaussians of `parts` in one, which must share the SH degree."""
    if not parts:
        raise InputError("expected at least one set of Gaussians to join; got none")
    if len({part.sh_degree for part in parts}) > 1:
        raise InputError(f"Gaussians to join must share the SH degree; got {[part.sh_degree for part in parts]}")
    return Gaussians(*(torch.cat([getattr(part, name) for part in parts]) for name in _FIELDS))


@runtime_checkable
class DynamicScene(Protocol):
    """A 4D scene: gives the Gaussians that exist at a time.

    Viewing, export and evaluation ask only this, so they do not know whether the scene was
    reconstructed in one pass or fitted.
    """

    @property
    def seconds(self) -> Float[Tensor, "T"]:
        """The times the scene was made for, strictly increasing."""
        ...

    def at(self, seconds: float) -> Gaussians: ...


@dataclass(frozen=True)
class GaussianSequence:
    """A `DynamicScene` with one set of Gaussians per time.

    Attributes:
        steps: one `Gaussians` per time; their number may differ from time to time.
        seconds: strictly increasing.
        cameras: the input cameras, one per view, shared by all times.

    Source: 4Real-Video-V2, section 3.2.
    """

    steps: tuple[Gaussians, ...]
    seconds: Float[Tensor, "T"]
    cameras: Cameras

    def __post_init__(self) -> None:
        if not self.steps:
            raise InputError("a Gaussian sequence needs at least one time; got none")
        if tuple(self.seconds.shape) != (len(self.steps),):
            raise InputError(
                f"seconds must have shape {[len(self.steps)]}, one per step; got {list(self.seconds.shape)}"
            )
        if len(self.cameras.batch_shape) != 1:
            raise InputError(
                f"a sequence has one camera per view; got cameras of shape {list(self.cameras.batch_shape)}"
            )

    def validated(self) -> GaussianSequence:
        """Itself, all values checked: times, cameras and every step. Raises InputError."""
        if not torch.isfinite(self.seconds).all() or not bool((self.seconds.diff() > 0).all()):
            raise InputError(f"seconds must be finite and strictly increasing; got {self.seconds.tolist()}")
        self.cameras.validated()
        for step in self.steps:
            step.validated()
        return self

    def at(self, seconds: float) -> Gaussians:
        """The step nearest in time (the earlier one of two equally near)."""
        return self.steps[int((self.seconds.double() - seconds).abs().argmin())]

    @property
    def fps(self) -> float:
        """Mean step rate; 1 for a single time, which has none."""
        span = float(self.seconds[-1] - self.seconds[0])
        return (len(self.steps) - 1) / span if span > 0 else 1.0

    def to(self, device: torch.device | str) -> GaussianSequence:
        return GaussianSequence(
            tuple(step.to(device) for step in self.steps), self.seconds.to(device), self.cameras.to(device)
        )
