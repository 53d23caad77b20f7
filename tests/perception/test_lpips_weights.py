"""LPIPS equals the released lpips package on the same weights, loads the published files, names what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fourreal.core.errors import InputError
from fourreal.perception.laplacian_distance import laplacian_distance
from fourreal.perception.lpips import Lpips, load_lpips
from fourreal.perception.needed_weights import MissingWeights

# What lpips 0.1.4 (with torchvision's trunks) answers for the weights and images of `made_up`.
GOLDEN = {
    "alex": [0.5938710570335388, 0.5541444420814514],
    "vgg": [0.6978617906570435, 0.5721587538719177],
}


def made_up(count: int, phase: float) -> torch.Tensor:
    """Numbers in (-1, 1) that any machine can make again without a random generator."""
    index = torch.arange(count, dtype=torch.float64)
    return torch.frac(torch.sin(index * 12.9898 + phase) * 43758.5453).float()


def published(backbone: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """State dicts in the released layout: torchvision's keys and the lpips package's."""
    shapes = {key: value.shape for key, value in Lpips(backbone).features.state_dict().items()}
    trunk = {}
    for number, (key, shape) in enumerate(shapes.items()):
        fan_in = shape[1:].numel() if len(shape) > 1 else 64
        trunk[f"features.{key}"] = made_up(shape.numel(), number).reshape(shape) * (6 / fan_in) ** 0.5
    trunk["classifier.1.weight"] = torch.zeros(2, 2)
    widths = [head.shape[1] for head in Lpips(backbone).heads]
    heads = {f"lin{i}.model.1.weight": made_up(w, 0.3 + i).abs().reshape(1, w, 1, 1) for i, w in enumerate(widths)}
    return trunk, heads


def images() -> tuple[torch.Tensor, torch.Tensor]:
    one, other = (made_up(2 * 3 * 64 * 80, phase).abs().reshape(2, 3, 64, 80) for phase in (0.1, 0.7))
    return one, 0.6 * one + 0.4 * other


@pytest.mark.parametrize("backbone", ["alex", "vgg"])
def test_equals_the_lpips_package(backbone) -> None:
    model = Lpips(backbone)
    model.load_published(*published(backbone))
    one, other = images()
    with torch.no_grad():
        distance = model(one, other)
        assert distance.tolist() == pytest.approx(GOLDEN[backbone], rel=1e-5)
        torch.testing.assert_close(model(other, one), distance)
        torch.testing.assert_close(model(one.flip(0), other.flip(0)), distance.flip(0))
        assert model(one, one).tolist() == [0, 0]


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_published_files_are_found_in_the_weights_folder(tmp_path: Path, monkeypatch, suffix: str) -> None:
    monkeypatch.setenv("FOURREAL_WEIGHTS", str(tmp_path))
    trunk, heads = published("alex")
    if suffix == "pth":
        torch.save(trunk, tmp_path / "alexnet-owt-7be5be79.pth")
        torch.save(heads, tmp_path / "lpips-alex.pth")
        model = load_lpips("alex")
    else:
        save_file(trunk, tmp_path / "trunk.safetensors")
        save_file(heads, tmp_path / "heads.safetensors")
        files = {"backbone_file": tmp_path / "trunk.safetensors", "heads_file": tmp_path / "heads.safetensors"}
        model = load_lpips("alex", **files)
    assert model(*images()).tolist() == pytest.approx(GOLDEN["alex"], rel=1e-5)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_missing_or_wrong_weights_are_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("FOURREAL_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeights, match=r"LPIPS \(VGG\) needs vgg16-397923af.pth.*torchvision.*FOURREAL_WEIGHTS"):
        load_lpips("vgg")
    trunk, heads = published("alex")
    torch.save(trunk, tmp_path / "alexnet-owt-7be5be79.pth")
    with pytest.raises(MissingWeights, match=r"heads\.pth"):
        load_lpips("alex", heads_file=tmp_path / "heads.pth")
    torch.save({"lin0.model.1.weight": heads["lin1.model.1.weight"]}, tmp_path / "lpips-alex.pth")
    with pytest.raises(InputError, match=r"expected lin0.model.1.weight of shape \[1, 64, 1, 1\]"):
        load_lpips("alex")
    (tmp_path / "lpips-alex.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="cannot be read as weights"):
        load_lpips("alex")
    with pytest.raises(InputError, match="at least 32 x 32"):
        Lpips("alex")(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16))


def test_distances_have_finite_gradients_even_between_equal_images() -> None:
    flat = torch.full((1, 3, 48, 48), 0.5)
    for distance in (Lpips("alex"), laplacian_distance):
        for other in (flat, torch.rand(1, 3, 48, 48)):
            image = flat.clone().requires_grad_()
            distance(image, other).sum().backward()
            assert bool(torch.isfinite(image.grad).all())


def test_the_laplacian_distance_orders_damage() -> None:
    one, _ = images()
    blurred = torch.nn.functional.avg_pool2d(one, 5, stride=1, padding=2)
    damaged = [one, one + 0.01, 0.9 * one + 0.1 * blurred, 0.5 * one + 0.5 * blurred, one.flip(-1)]
    values = [float(laplacian_distance(one, image).mean()) for image in damaged]
    assert values[0] == 0
    assert values == sorted(values)
    torch.testing.assert_close(laplacian_distance(one, blurred), laplacian_distance(blurred, one))
