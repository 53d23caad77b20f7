"""The CUDA path without CUDA: a stand-in for gsplat records the calls and checks what gsplat checks.

The parameter lists and shape rules are those of gsplat 1.5.3. The stand-in computes with our own
CPU code, so a wrongly mapped argument shows as a wrong picture.
"""

from __future__ import annotations

import inspect
import math
import sys
import types

import pytest
import torch
from einops import rearrange

from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians
from fourreal.core.rotations import axis_angle_to_matrix, rigid
from fourreal.splat import gsplat_tiles, numba_tiles, projection
from fourreal.splat import rasterize as rasterize_module
from fourreal.splat.projection import RasterOptions, ScreenGaussians, project
from fourreal.splat.rasterize import rasterize


class StandIn(types.ModuleType):
    def __init__(self):
        super().__init__("gsplat")
        self.calls: list[tuple[str, dict]] = []

    def fully_fused_projection(
        self, means, covars, quats, scales, viewmats, Ks, width, height, eps2d=0.3, near_plane=0.01, far_plane=1e10,
        radius_clip=0.0, packed=False, sparse_grad=False, calc_compensations=False, camera_model="pinhole",
        opacities=None,
    ):  # fmt: skip
        self.calls.append(("fully_fused_projection", dict(locals())))
        count, images = len(means), len(viewmats)
        assert covars is None
        assert opacities is not None
        assert not packed
        assert means.shape == (count, 3)
        assert quats.shape == (count, 4)
        assert scales.shape == (count, 3)
        assert viewmats.shape == (images, 4, 4)
        assert Ks.shape == (images, 3, 3)
        assert opacities.shape == (count,)
        gaussians = Gaussians(means, quats, scales, opacities, torch.zeros(count, 1, 3))
        options = RasterOptions(near_plane, far_plane, eps2d, "antialiased" if calc_compensations else "classic")
        screen = project(gaussians, Cameras(viewmats, Ks.detach(), (height, width)), options)

        def uninitialised_where_hidden(values):
            mask = screen.drawn.reshape(*screen.drawn.shape, *(1,) * (values.ndim - 2))
            return torch.where(mask, values, math.nan)

        compensations = None
        if calc_compensations:
            compensations = uninitialised_where_hidden(screen.opacities / opacities)
        values = (uninitialised_where_hidden(v) for v in (screen.means2d, screen.depths, screen.conics))
        return screen.radii, *values, compensations

    def isect_tiles(
        self, means2d, radii, depths, tile_size, tile_width, tile_height, sort=True, segmented=False, packed=False,
        n_images=None, image_ids=None, gaussian_ids=None,
    ):  # fmt: skip
        self.calls.append(("isect_tiles", dict(locals())))
        images, count = depths.shape
        assert means2d.shape == (images, count, 2)
        assert radii.shape == (images, count, 2)
        assert radii.dtype == torch.int32
        self.pending = (radii, depths, tile_size)
        return torch.zeros(0), torch.tensor([images]), torch.tensor([count])

    def isect_offset_encode(self, isect_ids, n_images, tile_width, tile_height):
        self.calls.append(("isect_offset_encode", dict(locals())))
        assert isect_ids.tolist() == [n_images]
        return torch.zeros(n_images, tile_height, tile_width)

    def rasterize_to_pixels(
        self, means2d, conics, colors, opacities, image_width, image_height, tile_size, isect_offsets, flatten_ids,
        backgrounds=None, masks=None, packed=False, absgrad=False,
    ):  # fmt: skip
        self.calls.append(("rasterize_to_pixels", dict(locals())))
        radii, depths, tile = self.pending
        images, count = depths.shape
        assert tile == tile_size
        assert isect_offsets.shape[-2] * tile_size >= image_height
        assert isect_offsets.shape[-1] * tile_size >= image_width
        assert flatten_ids.tolist() == [count]
        assert colors.shape[:2] == (images, count)
        assert 1 <= colors.shape[2] <= 513
        assert opacities.shape == (images, count)
        screen = ScreenGaussians(means2d, depths, conics, radii, opacities)
        blended, light = numba_tiles.render_tiles(screen, colors, (image_height, image_width))
        return rearrange(blended, "i d h w -> i h w d"), 1 - light[..., None]

    def named(self, name):
        return [arguments for called, arguments in self.calls if called == name]


@pytest.fixture
def gsplat(monkeypatch):
    stand_in = StandIn()
    monkeypatch.setitem(sys.modules, "gsplat", stand_in)
    monkeypatch.setattr(
        rasterize_module, "_backend", lambda device: (gsplat_tiles.project_by_gsplat, gsplat_tiles.render_tiles)
    )
    return stand_in


def scene(batch=(2, 3)):
    gaussians = Gaussians(
        (torch.randn(200, 3) * 0.8).requires_grad_(),
        torch.nn.functional.normalize(torch.randn(200, 4), dim=-1),
        0.1 * torch.rand(200, 3) + 0.01,
        torch.rand(200),
        0.3 * torch.randn(200, 4, 3),
    )
    pose = rigid(axis_angle_to_matrix(0.1 * torch.randn(*batch, 3)), torch.tensor([0.0, 0, 2.5]).expand(*batch, 3))
    cameras = Cameras(pose, intrinsics_from_fov(40.0, (27, 50)).repeat(*batch, 1, 1), (27, 50))
    return gaussians, cameras


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_same_picture_and_gradient_through_gsplat(gsplat, monkeypatch, mode, batch):
    gaussians, cameras = scene(batch)
    arguments = {
        "features": torch.randn(200, 70),
        "background": torch.rand(3),
        "options": RasterOptions(mode=mode, near=0.5, far=9.0, eps2d=0.2),
    }
    via_gsplat = rasterize(gaussians, cameras, **arguments)
    via_gsplat.screen.means2d.retain_grad()
    (via_gsplat.color.sum() + via_gsplat.depth.sum()).backward()
    gradient, screen_gradient = gaussians.means.grad, via_gsplat.screen.means2d.grad
    assert gradient is not None
    assert screen_gradient is not None
    assert screen_gradient.shape == (*batch, 200, 2)

    monkeypatch.undo()
    gaussians.means.grad = None
    direct = rasterize(gaussians, cameras, **arguments)
    direct.screen.means2d.retain_grad()
    (direct.color.sum() + direct.depth.sum()).backward()
    for name in ("color", "alpha", "depth", "features"):
        torch.testing.assert_close(getattr(via_gsplat, name), getattr(direct, name), atol=1e-5, rtol=1e-5)
    for name, value in vars(direct.screen).items():
        torch.testing.assert_close(getattr(via_gsplat.screen, name), value, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradient, gaussians.means.grad, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(screen_gradient, direct.screen.means2d.grad, atol=1e-3, rtol=1e-4)


def test_many_channels_go_in_several_passes(gsplat):
    gaussians, cameras = scene((2,))
    rasterize(gaussians, cameras, features=torch.randn(200, 70))
    assert [call["colors"].shape[2] for call in gsplat.named("rasterize_to_pixels")] == [32, 32, 10]
    assert len(gsplat.named("isect_tiles")) == 1


def test_the_fused_projection_gets_the_options(gsplat):
    gaussians, cameras = scene((2, 3))
    rasterize(gaussians, cameras, options=RasterOptions(near=0.5, far=9.0, eps2d=0.2, mode="antialiased"))
    (call,) = gsplat.named("fully_fused_projection")
    assert (call["width"], call["height"]) == (50, 27)
    assert (call["near_plane"], call["far_plane"], call["eps2d"]) == (0.5, 9.0, 0.2)
    assert call["calc_compensations"] is True
    assert call["viewmats"].shape == (6, 4, 4)


@pytest.mark.parametrize("reason", ["gradient", "skew"])
def test_intrinsics_the_kernel_cannot_do_are_projected_in_torch(gsplat, reason):
    gaussians, cameras = scene((2,))
    intrinsics = cameras.intrinsics.clone()
    if reason == "gradient":
        intrinsics.requires_grad_()
    else:
        intrinsics[:, 0, 1] = 3.0
    rendering = rasterize(gaussians, Cameras(cameras.world_to_cam, intrinsics, cameras.image_size))
    assert not gsplat.named("fully_fused_projection")
    assert gsplat.named("rasterize_to_pixels")
    if reason == "gradient":
        rendering.color.square().sum().backward()
        assert intrinsics.grad is not None
        assert intrinsics.grad[:, 0, 0].abs().min() > 0


@pytest.mark.parametrize(("count", "batch"), [(0, (2,)), (0, ()), (200, (0,))])
def test_nothing_is_launched_on_nothing(gsplat, count, batch):
    gaussians, cameras = scene(batch)
    rendering = rasterize(gaussians.select(torch.arange(count)), cameras, background=torch.ones(3))
    assert rendering.color.shape == (*batch, 3, 27, 50)
    assert (rendering.color == 1).all()
    assert (rendering.alpha == 0).all()
    assert not gsplat.named("rasterize_to_pixels")
    rendering.color.sum().backward()


def test_missing_gsplat_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "gsplat", None)
    gaussians, cameras = scene()
    with pytest.raises(InputError, match=r"fourreal\[cuda\]"):
        gsplat_tiles.project_by_gsplat(gaussians, cameras, RasterOptions())


def test_cuda_is_sent_to_gsplat_and_the_cpu_is_not():
    assert rasterize_module._backend("cuda") == (gsplat_tiles.project_by_gsplat, gsplat_tiles.render_tiles)
    assert rasterize_module._backend("cpu") == (projection.project, numba_tiles.render_tiles)


@pytest.mark.parametrize(
    "name", ["fully_fused_projection", "isect_tiles", "isect_offset_encode", "rasterize_to_pixels"]
)
def test_the_stand_in_has_the_signatures_of_the_installed_gsplat(name):
    real = pytest.importorskip("gsplat")
    parameters = list(inspect.signature(getattr(real, name)).parameters)
    assert list(inspect.signature(getattr(StandIn(), name)).parameters) == parameters
