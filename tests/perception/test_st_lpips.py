"""ST-LPIPS: the laws of a distance, the order of small changes, and golden values of its authors' code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fourreal.core.errors import InputError
from fourreal.perception.needed_weights import MissingWeights
from fourreal.perception.picture_distance import picture_distance
from fourreal.perception.st_lpips import WEIGHTS, BlurPool, StLpips, load_st_lpips


@pytest.fixture(scope="module")
def distance() -> StLpips:
    return load_st_lpips()


def _picture(size: int = 48, phase: float = 0.0) -> torch.Tensor:
    """Smooth stripes with an edge, so that shifts and blurs mean something."""
    y, x = torch.meshgrid(torch.arange(size) / size, torch.arange(size) / size, indexing="ij")
    channels = [0.5 + 0.4 * torch.sin(6 * x + 3 * y + k + phase) * (1 if k else (x > 0.5).float()) for k in range(3)]
    return torch.stack(channels)[None]


def test_golden_values_of_the_authors_code(distance: StLpips):
    """Answers of stlpips-pytorch 0.0.2 for these pictures; this package stores float16 weights, hence 1e-3."""
    pairs = [
        (_picture(), _picture(phase=0.3)),
        (_picture(64), 1 - _picture(64)),
        (_picture(), _picture().flip(-1)),
    ]
    for (a, b), value in zip(pairs, (0.050516, 0.746276, 0.549997), strict=True):
        assert float(distance(a, b)) == pytest.approx(value, rel=1e-3)


def test_laws_of_a_distance(distance: StLpips):
    a, b = _picture(), _picture(phase=1.0)
    assert float(distance(a, a)) == 0
    assert float(distance(a, b)) > 0
    torch.testing.assert_close(distance(a, b), distance(b, a))
    both = distance(torch.cat([a, b]), torch.cat([b, b]))
    torch.testing.assert_close(both, torch.stack([distance(a, b)[0], torch.zeros(())]))


def test_more_noise_is_further_and_a_shift_by_a_pixel_is_near(distance: StLpips):
    a = _picture()
    noise = torch.randn(a.shape, generator=torch.Generator().manual_seed(0))
    steps = [float(distance(a, (a + level * noise).clamp(0, 1))) for level in (0.02, 0.05, 0.1, 0.2)]
    assert steps == sorted(steps)
    assert float(distance(a, a.roll(1, -1))) < steps[1]


def test_the_gradient_leads_back_to_the_picture(distance: StLpips):
    target = _picture(32)
    start = (target + 0.1 * torch.randn(target.shape, generator=torch.Generator().manual_seed(1))).requires_grad_()
    before = distance(start, target)
    (gradient,) = torch.autograd.grad(before.sum(), start)
    assert torch.isfinite(gradient).all()
    after = distance(start - 0.01 * gradient / gradient.norm(), target)
    assert float(after.detach()) < float(before.detach())


def test_flat_pictures_have_a_finite_gradient(distance: StLpips):
    flat = torch.zeros(1, 3, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(distance(flat, _picture(32)).sum(), flat)
    assert torch.isfinite(gradient).all()


def test_blur_pooling_equals_its_plain_loop():
    maps = torch.rand(1, 2, 5, 6)
    padded = torch.nn.functional.pad(maps, (2, 2, 2, 2), mode="reflect")
    kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    rows, columns = (padded.shape[2] - 3) // 2 + 1, (padded.shape[3] - 3) // 2 + 1
    expected = torch.zeros(1, 2, rows, columns)
    for channel in range(2):
        for y in range(rows):
            for x in range(columns):
                patch = padded[0, channel, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3]
                expected[0, channel, y, x] = (patch * kernel).sum()
    torch.testing.assert_close(BlurPool()(maps), expected)


def test_its_weights_do_not_learn(distance: StLpips):
    assert not any(parameter.requires_grad for parameter in distance.parameters())


def test_small_pictures_are_refused(distance: StLpips):
    with pytest.raises(InputError, match=r"at least 32 pixels a side; got \(20, 40\)"):
        distance(torch.rand(1, 3, 20, 40), torch.rand(1, 3, 20, 40))


def test_damaged_and_foreign_files_are_refused(tmp_path: Path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(WEIGHTS.read_bytes()[:5000])
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        load_st_lpips(broken)
    tensors = load_file(WEIGHTS)
    tensors.popitem()
    foreign = tmp_path / "foreign.safetensors"
    save_file(tensors, foreign)
    with pytest.raises(InputError, match="does not hold the weights"):
        load_st_lpips(foreign)


def test_without_the_users_weights_the_stand_in_says_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FOURREAL_WEIGHTS", str(tmp_path))
    assert picture_distance("auto").name == "ST-LPIPS (alex)"
    assert "LPIPS" not in picture_distance("laplacian").name
    with pytest.raises(MissingWeights):
        picture_distance("lpips-vgg")
    a, b = _picture(), _picture(phase=0.5)
    assert float(picture_distance("laplacian")(a, b)) > float(picture_distance("laplacian")(a, a))
