"""`rasterize` against the dense float64 twin, forward and every gradient."""

from __future__ import annotations

import pytest
import torch
from dense_rasterizer import DenseScene, render_dense

from fourreal.core.cameras import Cameras
from fourreal.core.gaussians import Gaussians
from fourreal.core.rotations import axis_angle_to_matrix, rigid
from fourreal.splat.rasterize import RasterOptions, rasterize

FORWARD_TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 1e-4


def random_inputs(seed, count=150, cameras=2, degree=0, image_size=(37, 50), features=2, size=0.08):
    """Float64 leaves whose values are float32 numbers, so that both sides start from the same."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    turns = axis_angle_to_matrix(0.15 * normal(cameras, 3))
    height, width = image_size
    intrinsics = torch.zeros(cameras, 3, 3)
    intrinsics[:, 0, 0], intrinsics[:, 1, 1], intrinsics[:, 2, 2] = 1.1 * width, 1.3 * width, 1
    intrinsics[:, 0, 2], intrinsics[:, 1, 2] = 0.45 * width, 0.53 * height
    intrinsics[:, :2] += 0.3 * torch.rand(cameras, 2, 3, generator=generator) * torch.tensor([[1, 1, 1], [0, 1, 1]])
    inputs = {
        "means": normal(count, 3) * torch.tensor([0.7, 0.5, 0.6]),
        "quats_wxyz": torch.nn.functional.normalize(normal(count, 4), dim=-1),
        "scales": size * torch.exp(0.8 * normal(count, 3)),
        "opacities": torch.rand(count, generator=generator).clamp(0.02, 0.98),
        "sh": 0.5 * normal(count, (degree + 1) ** 2, 3),
        "features": normal(count, features),
        "background": torch.rand(cameras, 3, generator=generator),
        "world_to_cam": rigid(turns, torch.tensor([0.0, 0.0, 2.5]) + 0.2 * normal(cameras, 3)),
        "intrinsics": intrinsics,
    }
    return {name: value.float().double() for name, value in inputs.items()}, image_size


def leaves(inputs, dtype):
    return {name: value.to(dtype).detach().requires_grad_() for name, value in inputs.items()}


def ours(inputs, image_size, options):
    gaussians = Gaussians(*(inputs[name] for name in ("means", "quats_wxyz", "scales", "opacities", "sh")))
    cameras = Cameras(inputs["world_to_cam"], inputs["intrinsics"], image_size)
    result = rasterize(
        gaussians, cameras, features=inputs["features"], background=inputs["background"], options=options
    )
    return {name: getattr(result, name) for name in ("color", "alpha", "depth", "features")}


def dense(inputs, image_size, options):
    views = []
    for index in range(len(inputs["world_to_cam"])):
        shared = {name: inputs[name] for name in ("means", "quats_wxyz", "scales", "opacities", "sh", "features")}
        scene = DenseScene(**shared, background=inputs["background"][index])
        views.append(
            render_dense(
                scene,
                inputs["world_to_cam"][index],
                inputs["intrinsics"][index],
                image_size,
                antialiased=options.mode == "antialiased",
                degree=options.sh_degree,
                near=options.near,
                far=options.far,
            )
        )
    names = ("color", "alpha", "depth", "features", "decided")
    return {name: torch.stack([getattr(view, name) for view in views]) for name in names}


def compare(inputs, image_size, options=RasterOptions()):  # noqa: B008 (frozen)
    mine, theirs = leaves(inputs, torch.float32), leaves(inputs, torch.float64)
    got, expected = ours(mine, image_size, options), dense(theirs, image_size, options)
    decided = expected.pop("decided")
    assert decided.float().mean() > 0.95
    assert expected["alpha"].mean() > 0.1  # the scene is not empty
    my_loss, their_loss = torch.zeros(()).double(), torch.zeros(()).double()
    for index, (name, value) in enumerate(expected.items()):
        mask = decided if value.ndim == decided.ndim else decided[:, None]
        scale = max(1.0, float(value.detach().abs().max()))
        error = ((got[name] - value) * mask).abs().max() / scale
        assert error < FORWARD_TOLERANCE, f"{name} is off by {error:.2g}"
        cotangent = torch.randn(value.shape, generator=torch.Generator().manual_seed(index)).double() * mask
        my_loss = my_loss + (got[name].double() * cotangent).sum()
        their_loss = their_loss + (value * cotangent).sum()
    my_loss.backward()
    their_loss.backward()
    for name, leaf in theirs.items():
        gradient, reference = mine[name].grad.double(), leaf.grad
        if name == "world_to_cam":  # its last row is fixed
            gradient, reference = gradient[:, :3], reference[:, :3]
        assert reference.norm() > 0, name
        error = (gradient - reference).norm() / reference.norm()
        assert error < GRADIENT_TOLERANCE, f"the gradient of {name} is off by {error:.2g}"


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_twin_with_harmonics(degree):
    compare(*random_inputs(seed=degree, degree=degree))


def test_twin_antialiased():
    compare(*random_inputs(seed=4, degree=1, size=0.02, count=600), RasterOptions(mode="antialiased"))


def test_twin_with_some_harmonics_switched_off():
    inputs, image_size = random_inputs(seed=5, degree=3)
    compare(inputs, image_size, RasterOptions(sh_degree=1))


def test_twin_where_opaque_layers_end_the_pixel():
    """Nearly opaque and clamped (0.999) Gaussians: most pixels finish before their list does."""
    inputs, image_size = random_inputs(seed=6, count=400, size=0.15)
    inputs["opacities"] = torch.where(torch.arange(400) % 2 == 0, 1.0, 0.9).float().double()
    compare(inputs, image_size)


def test_twin_with_gaussians_wider_than_the_image_and_beside_it():
    """The Jacobian is clamped outside the image; near ones are cut off."""
    inputs, image_size = random_inputs(seed=7, count=60, size=0.6)
    inputs["means"] = (inputs["means"] * torch.tensor([4.0, 4.0, 3.0])).float().double()
    inputs["opacities"] = inputs["opacities"] * 0.5
    compare(inputs, image_size, RasterOptions(near=0.5, far=6.0))


def test_twin_with_thin_and_flat_gaussians():
    inputs, image_size = random_inputs(seed=8, count=120, size=0.1)
    inputs["scales"][:, 0] = 0.0
    inputs["scales"][::2, 1] *= 1e-3
    inputs = {name: value.float().double() for name, value in inputs.items()}
    compare(inputs, image_size)


@pytest.mark.parametrize("image_size", [(1, 1), (16, 16), (17, 33), (3, 40)])
def test_twin_at_any_image_size(image_size):
    compare(*random_inputs(seed=9, image_size=image_size, cameras=1, count=80, size=0.3))


def test_twin_with_many_feature_channels():
    compare(*random_inputs(seed=10, features=37, cameras=3, count=80))


def test_screen_gradients_are_retrievable():
    inputs, image_size = random_inputs(seed=11, cameras=1)
    mine, theirs = leaves(inputs, torch.float32), leaves(inputs, torch.float64)
    gaussians = Gaussians(*(mine[name] for name in ("means", "quats_wxyz", "scales", "opacities", "sh")))
    rendering = rasterize(gaussians, Cameras(mine["world_to_cam"], mine["intrinsics"], image_size))
    rendering.screen.means2d.retain_grad()
    shared = {name: theirs[name] for name in ("means", "quats_wxyz", "scales", "opacities", "sh", "features")}
    scene = DenseScene(**shared, background=torch.zeros(3).double())
    expected = render_dense(scene, theirs["world_to_cam"][0], theirs["intrinsics"][0], image_size)
    expected.means2d.retain_grad()
    cotangent = torch.randn(3, *image_size).double() * expected.decided
    (rendering.color[0] * cotangent).sum().backward()
    (expected.color * cotangent).sum().backward()
    gradient, reference = rendering.screen.means2d.grad, expected.means2d.grad
    assert gradient is not None
    assert reference is not None
    assert gradient.shape == (1, len(gaussians), 2)
    assert (gradient[0, expected.kept] - reference).norm() < GRADIENT_TOLERANCE * reference.norm()
