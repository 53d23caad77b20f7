"""Rectified flow: identities of the straight path, solvers on equations with known answers."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from fourreal.core.errors import InputError
from fourreal.video.rectified_flow import (
    TrainingTimes,
    draw_sigmas,
    flow_loss,
    integrate,
    interpolate,
    noise_schedule,
    shift_sigmas,
    to_velocity,
)
from fourreal.video.settings import STEP_PRESETS, Sampler


def _pair() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    clean, noise = torch.randn(2, 2, 4, 3, 2, 2), torch.randn(2, 2, 4, 3, 2, 2)
    return clean, noise, torch.tensor([0.2, 0.9])


def test_schedule_is_the_closed_form_and_ends_at_zero() -> None:
    torch.testing.assert_close(noise_schedule(4), torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0]))
    torch.testing.assert_close(noise_schedule(4, 5.0), torch.tensor([1, 0.9375, 5 / 6, 0.625, 0]))
    for steps in STEP_PRESETS:
        sigmas = noise_schedule(steps, 3.0)
        assert len(sigmas) == steps + 1
        assert (sigmas.diff() < 0).all()
        assert sigmas[0] == 1
        assert sigmas[-1] == 0


def test_shift_composes_and_inverts() -> None:
    sigmas = torch.linspace(0, 1, 11, dtype=torch.float64)
    torch.testing.assert_close(shift_sigmas(shift_sigmas(sigmas, 3.0), 2.0), shift_sigmas(sigmas, 6.0))
    torch.testing.assert_close(shift_sigmas(shift_sigmas(sigmas, 3.0), 1 / 3), sigmas)


@pytest.mark.parametrize(("steps", "shift"), [(0, 1.0), (4, 0.0)])
def test_impossible_schedules_are_refused(steps: int, shift: float) -> None:
    with pytest.raises(InputError, match=r"step|shift"):
        noise_schedule(steps, shift)


@pytest.mark.parametrize("shift", [1.0, 5.0])
def test_euler_equals_diffusers_given_the_same_sigmas(shift: float) -> None:
    start = torch.randn(2, 3)
    sigmas = noise_schedule(6, shift)
    ours = integrate(lambda x, sigma: torch.sin(3 * x) + sigma, start, sigmas)
    theirs = FlowMatchEulerDiscreteScheduler(shift=1.0)
    theirs.set_timesteps(sigmas=sigmas[:-1].tolist())
    x = start
    for timestep in theirs.timesteps:
        x = theirs.step(torch.sin(3 * x) + timestep / 1000, timestep, x).prev_sample
    torch.testing.assert_close(ours, x, rtol=0, atol=1e-5)


def test_euler_on_a_linear_equation_is_the_product_of_its_steps() -> None:
    sigmas, rate = noise_schedule(8, 2.0).double(), 0.7
    factor = math.prod(1 + rate * float(b - a) for a, b in itertools.pairwise(sigmas))
    start = torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close(integrate(lambda x, _: rate * x, start, sigmas), start * factor)


def test_orders_of_the_solvers() -> None:
    """Halving the step halves Euler's error; UniPC's falls faster and is far smaller (true answer: e^-1)."""

    def error(sampler: Sampler, steps: int) -> float:
        end = integrate(lambda x, _: x, torch.ones(1, 1, 1, dtype=torch.float64), noise_schedule(steps), sampler)
        return abs(float(end) - math.exp(-1))

    assert 1.8 < error("euler", 20) / error("euler", 40) < 2.2
    assert error("unipc", 20) / error("unipc", 40) > 2.8
    assert error("unipc", 20) < error("euler", 20) / 10


@pytest.mark.parametrize("sampler", ["euler", "unipc"])
@pytest.mark.parametrize("steps", STEP_PRESETS)
@pytest.mark.parametrize("kind", ["velocity", "sample"])
def test_a_network_that_knows_the_truth_is_recovered(sampler: Sampler, steps: int, kind: str) -> None:
    clean, noise, _ = _pair()

    def truth(x: torch.Tensor, sigma: float) -> torch.Tensor:
        said = noise - clean if kind == "velocity" else clean
        return to_velocity(said, kind, x, torch.full((2,), sigma))  # pyright: ignore[reportArgumentType]

    end = integrate(truth, noise, noise_schedule(steps, 5.0), sampler)
    torch.testing.assert_close(end, clean, rtol=0, atol=2e-4)


def test_a_sample_and_a_velocity_mean_the_same() -> None:
    clean, noise, sigmas = _pair()
    noisy = interpolate(clean, noise, sigmas)
    velocity = noise - clean
    torch.testing.assert_close(to_velocity(clean, "sample", noisy, sigmas), velocity)
    assert to_velocity(velocity, "velocity", noisy, sigmas) is velocity


def test_sample_predictions_stay_finite_without_noise() -> None:
    clean, _, _ = _pair()
    assert torch.isfinite(to_velocity(clean + 1e-7, "sample", clean, torch.zeros(2))).all()


def test_loss_is_zero_for_the_truth_and_counts_generated_cells_only() -> None:
    clean, noise, sigmas = _pair()
    known = torch.zeros(2, 2, 3, dtype=torch.bool)
    known[:, 0] = True
    assert flow_loss(noise - clean, "velocity", clean, noise, sigmas) == 0
    assert flow_loss(clean, "sample", clean, noise, sigmas) == 0
    wrong = (noise - clean).clone()
    wrong[:, 0] += 5  # only in known cells
    assert flow_loss(wrong, "velocity", clean, noise, sigmas, known) == 0
    wrong[:, 1] += 2
    torch.testing.assert_close(flow_loss(wrong, "velocity", clean, noise, sigmas, known), torch.tensor(4.0))
    assert flow_loss(wrong, "velocity", clean, noise, sigmas, torch.ones_like(known)) == 0


def test_sample_loss_is_the_velocity_loss_it_implies() -> None:
    clean, noise, sigmas = _pair()
    said = (clean + 0.1 * torch.randn_like(clean)).requires_grad_()
    noisy = interpolate(clean, noise, sigmas)
    as_sample = flow_loss(said, "sample", clean, noise, sigmas)
    as_velocity = flow_loss(to_velocity(said, "sample", noisy, sigmas), "velocity", clean, noise, sigmas)
    torch.testing.assert_close(as_sample, as_velocity)
    (one,) = torch.autograd.grad(as_sample, said)
    (two,) = torch.autograd.grad(as_velocity, said)
    torch.testing.assert_close(one, two)


def test_sample_loss_weight_is_bounded_near_zero_noise() -> None:
    clean, noise, _ = _pair()
    loss = flow_loss(clean + 1, "sample", clean, noise, torch.full((2,), 1e-4))
    torch.testing.assert_close(loss, torch.tensor(1 / 0.05**2))


@pytest.mark.parametrize("distribution", ["uniform", "logit_normal"])
def test_training_times_have_the_right_median(distribution: str) -> None:
    def draw(shift: float) -> torch.Tensor:
        times = TrainingTimes(distribution, shift=shift)  # pyright: ignore[reportArgumentType]
        return draw_sigmas(20_000, times, torch.Generator().manual_seed(0))

    plain, shifted = draw(1.0), draw(3.0)
    assert plain.min() > 0
    assert plain.max() < 1
    torch.testing.assert_close(plain.median(), torch.tensor(0.5), rtol=0, atol=0.02)
    torch.testing.assert_close(shifted.median(), torch.tensor(0.75), rtol=0, atol=0.02)
    assert torch.equal(plain, draw(1.0))
    spread = plain.quantile(0.84) - plain.quantile(0.16)
    expected = 0.68 if distribution == "uniform" else 2 * torch.sigmoid(torch.tensor(1.0)).item() - 1
    torch.testing.assert_close(spread, torch.tensor(expected), rtol=0, atol=0.02)


@pytest.mark.parametrize("sampler", ["euler", "unipc"])
def test_nan_stops_and_names_the_step(sampler: Sampler) -> None:
    def breaks(x: torch.Tensor, sigma: float) -> torch.Tensor:
        return x * (float("nan") if sigma < 0.6 else 1)

    with pytest.raises(InputError, match="step 3 of 4"):
        integrate(breaks, torch.ones(2, 1, 1), noise_schedule(4), sampler)


def test_progress_is_told_after_each_step() -> None:
    told: list[tuple[int, int]] = []
    integrate(lambda x, _: x, torch.ones(1), noise_schedule(3), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
