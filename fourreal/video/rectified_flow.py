"""Rectified flow as pure functions: noise schedule, interpolation, loss, samplers.

A noised latent is `x = (1 - sigma) * clean + sigma * noise`; its velocity `noise - clean` does not
depend on sigma. A network predicts the velocity (Wan) or the clean sample (small pixel models);
either gives the other. Timesteps handed to the network are `1000 * sigma`, not integers.

Source: 4Real-Video-V2, section 3.1 ("Training") and appendix B, Table S2 (4, 8, 16 and 40 steps);
4Real-Video, section 3.3 (velocity matching loss of rectified flow).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.progress import Progress, silent
from fourreal.video.settings import Sampler

Prediction = Literal["velocity", "sample"]
"""What a network's output means. velocity: noise - clean, as Wan's. sample: the clean latent itself, from which the
sampler gets the velocity; for small models in pixel space."""

TIMESTEPS = 1000
"""Sigma 1 in the network's timestep units."""


@dataclass(frozen=True)
class TrainingTimes:
    """From which distribution training draws sigma.

    Attributes:
        distribution: uniform: every noise level alike. logit_normal: more often in the middle,
            where the task is hardest.
        mean, std: of logit(sigma), for logit_normal.
        shift: moves the draws towards noise, sigma -> shift * sigma / (1 + (shift - 1) * sigma);
            large grids need more, because neighbouring cells give noise away. 1 leaves them alone.
    """

    distribution: Literal["uniform", "logit_normal"] = "logit_normal"
    mean: float = 0.0
    std: float = 1.0
    shift: float = 1.0

    def __post_init__(self) -> None:
        if self.std <= 0 or self.shift <= 0:
            raise InputError(f"std and shift of the training times must be positive; got {self.std} and {self.shift}")


def draw_sigmas(count: int, times: TrainingTimes, generator: torch.Generator) -> Float[Tensor, "B"]:
    """Noise levels in (0, 1) for a training batch, on the generator's device."""
    if times.distribution == "uniform":
        sigmas = torch.rand(count, generator=generator, device=generator.device)
    else:
        normal = torch.randn(count, generator=generator, device=generator.device)
        sigmas = torch.sigmoid(times.mean + times.std * normal)
    return shift_sigmas(sigmas.clamp(1e-4, 1 - 1e-4), times.shift)


def shift_sigmas(sigmas: Float[Tensor, "*shape"], shift: float) -> Float[Tensor, "*shape"]:
    """Move noise levels towards 1, keeping 0 and 1 in place."""
    return shift * sigmas / (1 + (shift - 1) * sigmas)


def noise_schedule(steps: int, shift: float = 1.0) -> Float[Tensor, "N"]:
    """Noise levels from 1 down to exactly 0: equal steps, then shifted.

    Computed here and passed explicitly: diffusers' Euler scheduler left to itself shifts its
    smallest sigma twice and ends on a step that does almost nothing (4 steps, shift 5: 1, .910,
    .717, .024, 0).
    """
    if steps < 1:
        raise InputError(f"sampling needs at least 1 step; got {steps}")
    if shift <= 0:
        raise InputError(f"the sigma shift must be positive; got {shift}")
    return shift_sigmas(torch.linspace(1, 0, steps + 1, dtype=torch.float64), shift).float()


def interpolate(
    clean: Float[Tensor, "B *shape"], noise: Float[Tensor, "B *shape"], sigmas: Float[Tensor, "B"]
) -> Float[Tensor, "B *shape"]:
    """The noised latent at each sample's sigma."""
    sigma = _per_sample(sigmas, clean)
    return (1 - sigma) * clean + sigma * noise


def to_velocity(
    prediction: Float[Tensor, "B *shape"],
    kind: Prediction,
    noisy: Float[Tensor, "B *shape"],
    sigmas: Float[Tensor, "B"],
    smallest_sigma: float = 1e-4,
) -> Float[Tensor, "B *shape"]:
    """The velocity a prediction means.

    Args:
        smallest_sigma: floor of the division when the prediction is a sample; below it the
            velocity is damped instead of amplifying rounding.
    """
    if kind == "velocity":
        return prediction
    return (noisy - prediction) / _per_sample(sigmas, noisy).clamp_min(smallest_sigma)


def flow_loss(
    prediction: Float[Tensor, "B V C t h w"],
    kind: Prediction,
    clean: Float[Tensor, "B V C t h w"],
    noise: Float[Tensor, "B V C t h w"],
    sigmas: Float[Tensor, "B"],
    known: Bool[Tensor, "B V t"] | None = None,
    smallest_sigma: float = 0.05,
) -> Float[Tensor, ""]:
    """Mean squared velocity error over the cells that are to be generated.

    A sample prediction is judged by the velocity it implies, which weighs its error by
    1 / sigma^2; `smallest_sigma` keeps that weight finite where there is hardly any noise.

    Args:
        known: latents given as references; they take no part. All known gives 0.

    Source: 4Real-Video, section 3.3; 4Real-Video-V2, section 3.1 ("same rectified flow objective").
    """
    error = prediction.float() - (noise - clean if kind == "velocity" else clean).float()
    if kind == "sample":
        error = error / _per_sample(sigmas, error).clamp_min(smallest_sigma)
    squared = error.square().mean(dim=(2, 4, 5))
    if known is None:
        return squared.mean()
    weight = (~known).to(squared)
    return (squared * weight).sum() / weight.sum().clamp_min(1)


def integrate(
    velocity: Callable[[Tensor, float], Tensor],
    noise: Float[Tensor, "*shape"],
    sigmas: Float[Tensor, "N"],
    sampler: Sampler = "euler",
    progress: Progress = silent,
) -> Float[Tensor, "*shape"]:
    """Walk from noise to a clean latent along explicit sigmas.

    Args:
        velocity: of (latent, sigma).
        sigmas: falling from 1 to 0, one more than there are steps.
        progress: told after each step.

    Raises:
        InputError: a step gives NaN or infinity; the message names the step.
    """
    latent, steps = noise, len(sigmas) - 1
    advance = _euler(sigmas) if sampler == "euler" else _unipc(sigmas)
    for step, move in enumerate(advance):
        sigma = float(sigmas[step])
        latent = move(velocity(latent, sigma), latent)
        if not bool(torch.isfinite(latent).all()):
            raise InputError(
                f"sampling gave NaN or infinity at step {step + 1} of {steps} (sigma {sigma:.3f}); the weights are "
                "damaged or the number format is too narrow: check the checkpoint, or compute in bfloat16 or float32"
            )
        progress(step + 1, steps)
    return latent


def _euler(sigmas: Tensor) -> Iterator[Callable[[Tensor, Tensor], Tensor]]:
    for sigma, following in zip(sigmas[:-1].tolist(), sigmas[1:].tolist(), strict=True):
        change = following - sigma
        yield lambda velocity, latent, change=change: latent + change * velocity


def _unipc(sigmas: Tensor) -> Iterator[Callable[[Tensor, Tensor], Tensor]]:
    from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

    # flow_shift stays 1: the sigmas passed in are final. Its timesteps are truncated to integers
    # and may repeat, so steps are counted (set_begin_index) instead of looked up.
    solver = UniPCMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=1.0)
    solver.set_timesteps(sigmas=cast(list[float], sigmas[:-1].double().numpy()))  # it does array arithmetic on them
    solver.set_begin_index(0)
    for timestep in solver.timesteps:
        yield lambda velocity, latent, at=timestep: solver.step(velocity, at, latent, return_dict=False)[0]


def _per_sample(sigmas: Float[Tensor, "B"], like: Tensor) -> Tensor:
    return sigmas.to(like).reshape(-1, *[1] * (like.ndim - 1))
