"""Temporal layers: the identity at first, alive in gradient, one view at a time, for any number of times."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from fourreal.recon.aggregator import Aggregator
from fourreal.recon.config import ReconConfig, tiny
from fourreal.recon.model import ReconModel
from fourreal.recon.temporal import TemporalLayer, temporal_rotary

EVERY_KIND = [(where, scope) for where in ("pair", "block") for scope in ("place", "view")]


def _config(where: str, scope: str) -> ReconConfig:
    return replace(tiny(), temporal=where, temporal_scope=scope)


def _open(model: nn.Module) -> None:
    """Let temporal layers act: their scales leave zero."""
    for name, parameter in model.named_parameters():
        if "temporal_blocks" in name and name.endswith("gamma"):
            nn.init.constant_(parameter, 0.5)


@pytest.mark.parametrize(("where", "scope"), EVERY_KIND)
def test_first_output_on_every_time_equals_the_network_without_temporal_layers(where: str, scope: str):
    model = ReconModel(replace(_config(where, scope), share_cameras=False)).eval()
    plain = ReconModel(replace(tiny(), temporal="none", share_cameras=False)).eval()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "temporal_blocks" not in k})
    frames = torch.rand(1, 2, 3, 3, 16, 24)
    with torch.no_grad():
        together = model(frames)
        for time in range(3):
            alone = plain(frames[:, :, time : time + 1])
            for name in ("depth", "depth_confidence", "points", "gaussians"):
                mine, theirs = getattr(together, name)[:, :, time], getattr(alone, name)[:, :, 0]
                torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(together.poses[:, :, :, time], alone.poses[:, :, :, 0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("where", "scope"), EVERY_KIND)
def test_the_zero_does_not_stop_learning(where: str, scope: str):
    model = Aggregator(_config(where, scope))
    frames = torch.rand(1, 2, 2, 3, 16, 16)
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    before = {name: value.clone() for name, value in model.temporal_blocks.named_parameters()}
    for _ in range(2):
        optimiser.zero_grad()
        model(frames).last.square().mean().backward()
        optimiser.step()
    still = [n for n, v in model.temporal_blocks.named_parameters() if torch.equal(v, before[n])]
    assert not still


@pytest.mark.parametrize("scope", ["place", "view"])
def test_a_layer_equals_its_plain_loop_forward_and_gradient(scope: str):
    config = _config("pair", scope)
    layer = TemporalLayer(config)
    for scale in (layer.block.ls1, layer.block.ls2):
        nn.init.constant_(scale.gamma, 0.7)
    rows, columns, times = 2, 2, 3
    rotary = temporal_rotary(config, times, rows, columns, torch.device("cpu"))
    places = config.special_tokens + rows * columns
    tokens = torch.randn(2, 2, times, places, config.width, requires_grad=True)
    slow = []
    for sample in tokens:
        for view in sample:
            if scope == "place":
                sequences = [view[:, place] for place in range(places)]
                slow.append(torch.stack([layer.block(one[None], rotary)[0] for one in sequences], 1))
            else:
                slow.append(layer.block(view.reshape(1, -1, config.width), rotary).reshape(view.shape))
    slow_output = torch.stack(slow).reshape(tokens.shape)
    fast_output = layer(tokens, rotary)
    torch.testing.assert_close(fast_output, slow_output, atol=1e-5, rtol=1e-5)
    (slow_gradient,) = torch.autograd.grad(slow_output.square().sum(), tokens)
    (fast_gradient,) = torch.autograd.grad(fast_output.square().sum(), tokens)
    torch.testing.assert_close(fast_gradient, slow_gradient, atol=1e-4, rtol=1e-4)


def test_times_see_each_other_through_temporal_layers_alone():
    frames = torch.rand(1, 2, 3, 3, 16, 16)
    changed = frames.clone()
    changed[:, :, 2] = torch.rand_like(changed[:, :, 2])
    for where, sees in (("none", False), ("pair", True), ("block", True)):
        model = Aggregator(replace(tiny(), temporal=where)).eval()
        _open(model)
        with torch.no_grad():
            difference = (model(frames).last[:, :, 0] - model(changed).last[:, :, 0]).abs().max()
        assert bool(difference > 1e-5) == sees, where


def test_no_view_leaks_into_another_within_a_temporal_layer():
    config = tiny()
    layer = TemporalLayer(config)
    nn.init.constant_(layer.block.ls1.gamma, 1.0)
    rotary = temporal_rotary(config, 4, 2, 2, torch.device("cpu"))
    tokens = torch.randn(1, 2, 4, 9, config.width, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(tokens, rotary)[:, 0].sum(), tokens)
    assert gradient[:, 0].abs().max() > 0
    assert gradient[:, 1].abs().max() == 0


@pytest.mark.parametrize("times", [1, 2, 5, 9])
def test_any_number_of_times_works(times: int):
    model = Aggregator(tiny()).eval()
    _open(model)
    with torch.no_grad():
        assert torch.isfinite(model(torch.rand(1, 2, times, 3, 16, 16)).last).all()


def test_recomputing_blocks_changes_no_gradient():
    model = Aggregator(tiny())
    _open(model)
    frames = torch.rand(1, 2, 2, 3, 16, 16)
    gradients = []
    for checkpointing in (False, True):
        model.checkpointing = checkpointing
        model.zero_grad()
        model(frames).last.square().mean().backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)
