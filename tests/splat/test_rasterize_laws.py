"""What any rasteriser must obey, whatever its numbers: order, batches, light, geometry, bad input."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch

from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians
from fourreal.core.rotations import axis_angle_to_matrix, rigid
from fourreal.splat.rasterize import RasterOptions, rasterize

FIELDS = ("means", "quats_wxyz", "scales", "opacities", "sh")


def some_gaussians(count=300, degree=1, size=0.05):
    return Gaussians(
        torch.randn(count, 3) * 0.6,
        torch.nn.functional.normalize(torch.randn(count, 4), dim=-1),
        size * torch.exp(0.5 * torch.randn(count, 3)),
        torch.rand(count),
        0.4 * torch.randn(count, (degree + 1) ** 2, 3),
    )


def some_cameras(*batch, image_size=(30, 45)):
    turns = axis_angle_to_matrix(0.1 * torch.randn(*batch, 3))
    world_to_cam = rigid(turns, torch.tensor([0.0, 0.0, 2.5]) + 0.1 * torch.randn(*batch, 3))
    return Cameras(world_to_cam, intrinsics_from_fov(45.0, image_size).expand(*batch, 3, 3), image_size)


def differentiable(gaussians):
    return Gaussians(*(getattr(gaussians, name).detach().clone().requires_grad_() for name in FIELDS))


def gradients(gaussians):
    found = [getattr(gaussians, name).grad for name in FIELDS]
    return [torch.zeros(0) if grad is None else grad for grad in found]


def assert_same(a, b, tolerance=0.0):
    for name in ("color", "alpha", "depth"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name), atol=tolerance, rtol=0)


def test_order_of_the_gaussians_does_not_matter():
    gaussians, cameras = some_gaussians(), some_cameras(2)
    assert_same(rasterize(gaussians, cameras), rasterize(gaussians.select(torch.randperm(300)), cameras))


def test_equally_deep_gaussians_keep_their_order():
    """Two coplanar Gaussians: the first in the list is in front, on every run."""
    gaussians = Gaussians.from_colors(
        torch.tensor([[0.0, 0, 1], [0.0, 0, 1]]),
        torch.tensor([[1.0, 0, 0, 0]]).expand(2, 4),
        torch.full((2, 3), 0.5),
        torch.tensor([0.9, 0.9]),
        torch.tensor([[1.0, 0, 0], [0.0, 1, 0]]),
    )
    camera = Cameras(torch.eye(4), intrinsics_from_fov(60.0, (9, 9)), (9, 9))
    red, green, _ = rasterize(gaussians, camera).color[:, 4, 4]
    assert red > 5 * green


@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 3), (0,), (2, 0)])
def test_camera_batch_is_the_loop_over_cameras(batch):
    gaussians, cameras = some_gaussians(degree=2), some_cameras(*batch)
    features, background = torch.randn(300, 5), torch.rand(*batch, 3)
    together = rasterize(gaussians, cameras, features=features, background=background)
    assert together.color.shape == (*batch, 3, 30, 45)
    assert together.features is not None
    assert together.features.shape == (*batch, 5, 30, 45)
    assert together.screen.means2d.shape == (*batch, 300, 2)
    assert together.screen.radii.shape == (*batch, 300, 2)
    for index in itertools.product(*map(range, batch)):
        single = rasterize(gaussians, cameras[index], features=features, background=background[index])
        assert single.features is not None
        torch.testing.assert_close(together.color[index], single.color, atol=1e-6, rtol=0)
        torch.testing.assert_close(together.alpha[index], single.alpha, atol=1e-6, rtol=0)
        torch.testing.assert_close(together.features[index], single.features, atol=1e-5, rtol=0)


def test_one_background_serves_all_cameras():
    gaussians, cameras, background = some_gaussians(), some_cameras(2, 2), torch.rand(3)
    assert_same(
        rasterize(gaussians, cameras, background=background),
        rasterize(gaussians, cameras, background=background.expand(2, 2, 3)),
    )


def test_background_shows_by_one_minus_alpha():
    gaussians, cameras, background = some_gaussians(), some_cameras(2), torch.rand(2, 3)
    black, other = rasterize(gaussians, cameras), rasterize(gaussians, cameras, background=background)
    expected = black.color + (1 - black.alpha)[:, None] * background[..., None, None]
    torch.testing.assert_close(other.color, expected, atol=1e-6, rtol=0)


def test_alpha_lies_in_0_1_and_white_stays_below_alpha():
    gaussians = some_gaussians(2000, degree=0, size=0.1)
    white = dataclasses.replace(gaussians, sh=torch.full_like(gaussians.sh, 0.5 / 0.28209479177387814))
    rendering = rasterize(white, some_cameras(2))
    assert rendering.alpha.min() >= 0
    assert rendering.alpha.max() <= 1
    torch.testing.assert_close(rendering.color[:, 0], rendering.alpha, atol=1e-5, rtol=0)


def test_features_are_blended_like_colours():
    gaussians, cameras = some_gaussians(degree=0), some_cameras()
    colors = (0.5 + 0.28209479177387814 * gaussians.sh[:, 0]).clamp(min=0)
    rendering = rasterize(gaussians, cameras, features=torch.cat([colors, torch.ones(300, 1)], -1))
    assert rendering.features is not None
    torch.testing.assert_close(rendering.features[:3], rendering.color, atol=1e-6, rtol=0)
    torch.testing.assert_close(rendering.features[3], rendering.alpha, atol=1e-5, rtol=0)


def test_a_tiny_gaussian_lands_on_its_projected_pixel():
    cameras = some_cameras(5, image_size=(40, 60))
    points = torch.randn(20, 3) * 0.3
    pixels, depths = cameras.project(points.expand(5, -1, -1))
    for n in range(20):
        dot = Gaussians.from_colors(
            points[n : n + 1], torch.tensor([[1.0, 0, 0, 0]]), torch.full((1, 3), 1e-4), torch.ones(1), torch.ones(1, 3)
        )
        rendering = rasterize(dot, cameras)
        alpha = rendering.alpha[..., None]
        centroid = (alpha * cameras.pixel_centers()).sum((1, 2)) / alpha.sum((1, 2))
        torch.testing.assert_close(centroid, pixels[:, n], atol=0.05, rtol=0)
        torch.testing.assert_close(rendering.screen.means2d[:, 0], pixels[:, n], atol=1e-4, rtol=0)
        torch.testing.assert_close(rendering.depth.amax((1, 2)), depths[:, n], atol=1e-4, rtol=0)


def plane_of_gaussians(points):
    count = len(points)
    flat = torch.tensor([0.04, 0.04, 1e-4]).expand(count, 3)
    return Gaussians.from_colors(
        points, torch.tensor([[1.0, 0, 0, 0]]).expand(count, 4), flat, torch.full((count,), 0.8), torch.ones(count, 3)
    )


@pytest.mark.parametrize("opacity", [1.0, 0.3])
def test_depth_of_a_plane_at_any_opacity(opacity):
    """A frontal plane at z = 2, seen by a camera that is moved but not turned."""
    y, x = torch.meshgrid(torch.linspace(-2, 2, 80), torch.linspace(-2, 2, 80), indexing="ij")
    plane = plane_of_gaussians(torch.stack([x, y, torch.full_like(x, 2)], -1).reshape(-1, 3))
    plane = dataclasses.replace(plane, opacities=torch.full((6400,), opacity))
    pose = rigid(torch.eye(3), torch.tensor([0.1, -0.2, 0.5]))
    rendering = rasterize(plane, Cameras(pose, intrinsics_from_fov(50.0, (33, 40)), (33, 40)))
    assert rendering.alpha.min() > 0.5
    torch.testing.assert_close(rendering.depth, torch.full((33, 40), 2.5), atol=1e-4, rtol=0)


def test_depth_is_zero_where_nothing_is():
    plane = plane_of_gaussians(torch.tensor([[0.0, 0, 2]]))
    rendering = rasterize(plane, Cameras(torch.eye(4), intrinsics_from_fov(50.0, (20, 20)), (20, 20)))
    empty = rendering.alpha == 0
    assert empty.any()
    assert not empty.all()
    assert (rendering.depth[empty] == 0).all()
    torch.testing.assert_close(
        rendering.depth[~empty], torch.full_like(rendering.depth[~empty], 2.0), atol=1e-4, rtol=0
    )


def test_antialiased_brightness_does_not_depend_on_the_resolution():
    """The light of a sub-pixel Gaussian, per image area, at 16 and 128 pixels."""
    dot = dataclasses.replace(plane_of_gaussians(torch.tensor([[0.01, 0.02, 2.0]])), scales=torch.full((1, 3), 0.02))
    share = {}
    for mode in ("classic", "antialiased"):
        for size in (16, 128):
            camera = Cameras(torch.eye(4), intrinsics_from_fov(60.0, (size, size)), (size, size))
            share[mode, size] = float(rasterize(dot, camera, options=RasterOptions(mode=mode)).alpha.mean())
    assert share["classic", 16] > 5 * share["classic", 128]
    assert 0.8 < share["antialiased", 16] / share["antialiased", 128] < 1.25


def test_the_same_bits_on_every_run():
    gaussians, cameras = differentiable(some_gaussians(3000)), some_cameras(3, image_size=(64, 64))
    runs = []
    for _ in range(3):
        for name in FIELDS:
            getattr(gaussians, name).grad = None
        rendering = rasterize(gaussians, cameras)
        (rendering.color.square().sum() + rendering.depth.sum()).backward()
        runs.append([rendering.color.detach(), rendering.depth.detach(), *gradients(gaussians)])
    for again in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], again, strict=True))


def degenerate_scenes():
    gaussians = some_gaussians(40)
    count = len(gaussians)
    return {
        "empty": gaussians.select(torch.zeros(0, dtype=torch.long)),
        "behind the camera": dataclasses.replace(gaussians, means=gaussians.means - torch.tensor([0.0, 0, 20])),
        "on the camera": dataclasses.replace(gaussians, means=torch.zeros(count, 3) - torch.tensor([0, 0, 2.5])),
        "far beside": dataclasses.replace(gaussians, means=gaussians.means + torch.tensor([1e4, 0, 0])),
        "points": dataclasses.replace(gaussians, scales=torch.zeros(count, 3)),
        "needles": dataclasses.replace(gaussians, scales=gaussians.scales * torch.tensor([1.0, 0, 0])),
        "huge": dataclasses.replace(gaussians, scales=gaussians.scales * 1e4),
        "beyond float32": dataclasses.replace(gaussians, scales=gaussians.scales * 1e25, means=gaussians.means * 1e25),
        "transparent": dataclasses.replace(gaussians, opacities=torch.zeros(count)),
        "opaque": dataclasses.replace(gaussians, opacities=torch.ones(count)),
    }


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize("name", list(degenerate_scenes()))
def test_degenerate_scenes_render_and_have_finite_gradients(name, mode):
    gaussians = differentiable(degenerate_scenes()[name])
    cameras = Cameras(rigid(torch.eye(3), torch.tensor([0.0, 0, 2.5])), intrinsics_from_fov(60.0, (13, 19)), (13, 19))
    pose = cameras.world_to_cam.clone().requires_grad_()
    cameras = dataclasses.replace(cameras, world_to_cam=pose)
    background = torch.rand(3)
    rendering = rasterize(gaussians, cameras, background=background, options=RasterOptions(mode=mode))
    (rendering.color.square().sum() + rendering.depth.sum() + rendering.alpha.sum()).backward()
    for tensor in (rendering.color, rendering.depth, rendering.alpha, *gradients(gaussians), pose.grad):
        assert tensor is not None
        assert torch.isfinite(tensor).all()
    for tensor in vars(rendering.screen).values():
        assert torch.isfinite(tensor).all()
    if name in ("empty", "behind the camera", "far beside", "transparent"):
        torch.testing.assert_close(rendering.color, background[:, None, None].expand(3, 13, 19))
        assert not rendering.screen.drawn.any()
    if name == "huge" and mode == "classic":
        assert rendering.alpha.min() > 0.5


def test_float64_and_half_inputs():
    gaussians, cameras = some_gaussians(), some_cameras(2)
    expected = rasterize(gaussians, cameras)
    double = rasterize(
        Gaussians(*(getattr(gaussians, name).double() for name in FIELDS)),
        dataclasses.replace(
            cameras, world_to_cam=cameras.world_to_cam.double(), intrinsics=cameras.intrinsics.double()
        ),
    )
    assert double.color.dtype == torch.float64
    torch.testing.assert_close(double.color.float(), expected.color, atol=1e-4, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        assert_same(rasterize(gaussians, cameras), expected)
    half = dataclasses.replace(gaussians, sh=gaussians.sh.half(), opacities=gaussians.opacities.half())
    rendered = rasterize(half, cameras, features=torch.ones(300, 1).bfloat16())
    assert rendered.color.dtype == torch.float32
    torch.testing.assert_close(rendered.color, expected.color, atol=1e-2, rtol=0)


def test_no_graph_without_gradients():
    with torch.no_grad():
        rendering = rasterize(differentiable(some_gaussians()), some_cameras())
    assert not rendering.color.requires_grad


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": torch.zeros(299, 4)}, r"features must have shape \[300, F\]; got \[299, 4\]"),
        ({"background": torch.zeros(3, 3)}, r"background must have shape \[2, 3\]"),
        ({"background": torch.zeros(4)}, r"background must have shape"),
        ({"options": RasterOptions(sh_degree=2)}, "the Gaussians have degree 1"),
        ({"features": torch.zeros(300, 1, device="meta")}, "features must be on cpu"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    # The shape checker of the test run would stop these first, so the checks behind it are called.
    from fourreal.splat.rasterize import _check

    full = {"features": None, "background": None, "options": RasterOptions()} | arguments
    with pytest.raises(InputError, match=message):
        _check(some_gaussians(), some_cameras(2), full["features"], full["background"], full["options"])


@pytest.mark.parametrize(
    "options", [{"near": 0.0}, {"near": 2.0, "far": 1.0}, {"eps2d": 0.0}, {"sh_degree": 4}, {"sh_degree": -1}]
)
def test_bad_options_are_named(options):
    with pytest.raises(InputError, match=next(iter(options))):
        RasterOptions(**options)
