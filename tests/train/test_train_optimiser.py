"""Muon's steps are orthogonal and equal a slow twin by SVD; rates rise and fall; averages average."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from fourreal.train.muon import Muon, orthogonalised
from fourreal.train.optimiser import RunningAverage, build_optimisers, lr_scale
from fourreal.train.recipe import OptimiserConfig
from fourreal.video.transformer import ViewTimeTransformer


def _nearest_orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    left, _, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    return (left @ right).float()


@pytest.mark.parametrize("shape", [(32, 32), (24, 96), (96, 24), (17, 40)])
def test_a_step_is_the_nearest_orthogonal_matrix(shape):
    generator = torch.Generator().manual_seed(1)
    # Singular values from 1 down to a fiftieth, as gradients have them.
    left, values, right = torch.linalg.svd(torch.randn(shape, generator=generator), full_matrices=False)
    matrix = left @ torch.diag(torch.logspace(0, -1.7, len(values))) @ right
    step = orthogonalised(matrix)
    singular = torch.linalg.svdvals(step)
    assert singular.min() > 0.95
    assert singular.max() < 1.02
    assert (step - _nearest_orthogonal(matrix)).norm() / step.norm() < 0.05


def test_scale_and_transposition_of_the_gradient_do_not_matter():
    matrix = torch.randn(20, 50)
    assert torch.allclose(orthogonalised(1e4 * matrix), orthogonalised(matrix), atol=1e-4)
    assert torch.allclose(orthogonalised(matrix.mT), orthogonalised(matrix).mT, atol=1e-5)
    assert torch.equal(orthogonalised(torch.zeros(4, 4)), torch.zeros(4, 4))


def test_the_optimiser_moves_as_its_slow_twin():
    weight = nn.Parameter(torch.randn(48, 24))
    slow, running = weight.detach().clone(), torch.zeros(48, 24)
    optimiser = Muon([weight], lr=0.1, momentum=0.9, weight_decay=0.5)
    for _ in range(3):
        gradient = torch.randn(48, 24)
        weight.grad = gradient.clone()
        optimiser.step()
        running = 0.9 * running + 0.1 * gradient
        ahead = 0.1 * gradient + 0.9 * running
        slow = slow * (1 - 0.1 * 0.5) - 0.1 * 2**0.5 * _nearest_orthogonal(ahead)
    assert (weight - slow).norm() / slow.norm() < 0.01


def test_muon_takes_the_matrices_of_the_blocks_and_adamw_the_rest():
    model = ViewTimeTransformer.tiny()
    chosen = build_optimisers(dict(model.named_parameters()), OptimiserConfig(kind="muon"))
    of_muon = {chosen.names[p] for group in chosen.parts[0].param_groups for p in group["params"]}
    assert "blocks.0.attn1.to_q.weight" in of_muon
    assert "blocks.1.ffn.net.2.weight" in of_muon
    assert not any(name.startswith(("patch_embedding", "proj_out", "condition_embedder")) for name in of_muon)
    count = sum(len(group["params"]) for part in chosen.parts for group in part.param_groups)
    assert count == len(list(model.parameters()))
    alone = build_optimisers(dict(model.named_parameters()), OptimiserConfig(kind="adamw"))
    assert len(alone.parts) == 1


def test_the_rate_rises_stays_and_falls():
    config = OptimiserConfig(warmup=10, decay=0.5)
    shares = [lr_scale(config, step, 100) for step in range(100)]
    assert shares[0] == 0.1
    assert shares[9:51] == [1.0] * 42
    assert all(b <= a for a, b in itertools.pairwise(shares[50:]))
    assert 0.009 < shares[-1] < 0.02


def test_the_average_follows_and_gives_the_weights_back():
    weight = nn.Parameter(torch.zeros(3))
    average = RunningAverage({"w": weight}, 0.9)
    slow = torch.zeros(3)
    for update in range(1, 60):
        with torch.no_grad():
            weight.copy_(torch.full((3,), float(update)))
        average.update({"w": weight})
        decay = min(0.9, (1 + update) / (10 + update))
        slow = decay * slow + (1 - decay) * update
    assert torch.allclose(average.values["w"], slow)
    with average.in_place({"w": weight}):
        assert torch.allclose(weight, slow)
    assert torch.equal(weight, torch.full((3,), 59.0))
