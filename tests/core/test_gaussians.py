"""The Gaussian nouns: physical values, checked at the door."""

from __future__ import annotations

import pytest
import torch

from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.errors import InputError
from fourreal.core.gaussians import DynamicScene, Gaussians, GaussianSequence, concatenate


def some(count: int = 5, bases: int = 1) -> Gaussians:
    quats = torch.nn.functional.normalize(torch.randn(count, 4), dim=-1)
    return Gaussians(
        torch.randn(count, 3), quats, torch.rand(count, 3), torch.rand(count), torch.randn(count, bases, 3)
    )


def cameras(views: int = 2) -> Cameras:
    return Cameras(torch.eye(4).repeat(views, 1, 1), intrinsics_from_fov(50.0, (8, 8)).repeat(views, 1, 1), (8, 8))


def test_colours_round_trip_through_the_constant_harmonic() -> None:
    parts = some()
    colors = torch.rand(5, 3)
    made = Gaussians.from_colors(parts.means, parts.quats_wxyz, parts.scales, parts.opacities, colors)
    torch.testing.assert_close(made.base_colors, colors)
    assert made.sh_degree == 0
    assert some(bases=16).sh_degree == 3


def test_joining_and_selecting() -> None:
    a, b = some(3), some(4)
    both = concatenate([a, b])
    assert len(both) == 7
    assert torch.equal(both.select(torch.arange(7) >= 3).means, b.means)
    with pytest.raises(InputError, match="degree"):
        concatenate([a, some(2, bases=4)])
    with pytest.raises(InputError, match="at least one"):
        concatenate([])


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("scales", -torch.ones(5, 3), "negative"),
        ("opacities", torch.full((5,), 4.0), "sigmoid"),
        ("quats_wxyz", torch.full((5, 4), 1.0), "unit"),
        ("means", torch.full((5, 3), float("inf")), "NaN or infinity"),
        ("sh", torch.zeros(5, 2, 3), "1, 4, 9, 16"),
    ],
)
def test_impossible_gaussians_are_refused(name: str, value: torch.Tensor, says: str) -> None:
    good = some()
    values = {key: getattr(good, key) for key in ("means", "quats_wxyz", "scales", "opacities", "sh")} | {name: value}
    with pytest.raises(InputError, match=says):
        Gaussians(**values).validated()


def test_an_empty_set_is_a_set() -> None:
    empty = some(0)
    assert len(empty) == 0
    assert len(concatenate([empty, some(2)])) == 2


def test_a_sequence_answers_with_the_nearest_step() -> None:
    steps = tuple(some(count) for count in (1, 2, 3))
    scene = GaussianSequence(steps, torch.tensor([0.0, 0.5, 2.0]), cameras())
    assert isinstance(scene, DynamicScene)
    asked = {-1.0: 1, 0.2: 1, 0.25: 1, 0.26: 2, 1.2: 2, 1.3: 3, 99.0: 3}
    assert {seconds: len(scene.at(seconds)) for seconds in asked} == asked
    assert scene.fps == pytest.approx(1.0)


def test_impossible_sequences_are_refused() -> None:
    steps = (some(), some())
    with pytest.raises(InputError, match="strictly increasing"):
        GaussianSequence(steps, torch.tensor([1.0, 1.0]), cameras()).validated()
    with pytest.raises(InputError, match="one per step"):
        GaussianSequence(steps, torch.tensor([1.0]), cameras())
    with pytest.raises(InputError, match="at least one time"):
        GaussianSequence((), torch.zeros(0), cameras())
    with pytest.raises(InputError, match="one camera per view"):
        GaussianSequence(steps, torch.tensor([0.0, 1.0]), cameras(4).reshape(2, 2))
