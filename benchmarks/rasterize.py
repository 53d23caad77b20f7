"""How fast is `rasterize` on a CPU, next to plain torch; and does gsplat agree on a GPU?

    python benchmarks/rasterize.py [--quick] [--threads 1]

Prints one table per question. All figures of a row come from the same run, the two sides taking
turns, best of several; the ratio is what carries over to another machine. Where there is a CUDA
GPU (and the extra `cuda`), gsplat's picture and gradients are compared with the CPU's.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from unittest import mock

import numba
import torch
import torch_tiles
from torch import Tensor

from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.gaussians import Gaussians
from fourreal.core.rotations import rigid
from fourreal.splat import projection
from fourreal.splat.rasterize import RasterOptions, Rendering, rasterize

FIELDS = ("means", "quats_wxyz", "scales", "opacities", "sh")


@dataclass(frozen=True)
class Case:
    gaussians: int
    cameras: int
    side: int  # pixels

    def __str__(self) -> str:
        return f"{self.gaussians // 1000}k Gaussians, {self.cameras} x {self.side}x{self.side}"


FULL = (Case(20_000, 1, 128), Case(100_000, 1, 256), Case(131_072, 4, 128))
QUICK = (Case(2_000, 2, 48),)


def random_box(case: Case, degree: int = 0) -> tuple[Gaussians, Cameras]:
    """Gaussians of about one pixel filling a cube in front of the cameras."""
    generator = torch.Generator().manual_seed(0)
    count, side = case.gaussians, case.side
    gaussians = Gaussians(
        torch.rand(count, 3, generator=generator) * 2 - 1,
        torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=-1),
        4 / side * torch.exp(0.3 * torch.randn(count, 3, generator=generator)) / 2,
        torch.rand(count, generator=generator) * 0.9 + 0.05,
        torch.randn(count, (degree + 1) ** 2, 3, generator=generator) * 0.3,
    )
    shift = torch.zeros(case.cameras, 3)
    shift[:, 0], shift[:, 2] = torch.linspace(-0.3, 0.3, case.cameras), 3.0
    intrinsics = intrinsics_from_fov(50.0, (side, side)).repeat(case.cameras, 1, 1)
    return gaussians, Cameras(rigid(torch.eye(3), shift), intrinsics, (side, side))


def leaves(gaussians: Gaussians, device: str = "cpu") -> Gaussians:
    return Gaussians(*(getattr(gaussians, name).detach().to(device).requires_grad_() for name in FIELDS))


def through_torch_tiles(
    gaussians: Gaussians, cameras: Cameras, options: RasterOptions = projection.DEFAULT_OPTIONS
) -> Rendering:
    backend = (projection.project, torch_tiles.render_tiles)
    with mock.patch("fourreal.splat.rasterize._backend", return_value=backend):
        return rasterize(gaussians, cameras, options=options)


def train_step(render: Callable[[Gaussians, Cameras], Rendering], gaussians: Gaussians, cameras: Cameras) -> None:
    rendering = render(gaussians, cameras)
    (rendering.color.square().sum() + rendering.alpha.sum()).backward()


def seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def time_case(case: Case, repeats: int) -> None:
    gaussians, cameras = random_box(case)
    gaussians = leaves(gaussians)
    sides = {"numba": rasterize, "torch": through_torch_tiles}
    best = {(name, part): float("inf") for name in sides for part in ("forward", "both")}
    for _ in range(repeats):
        for name, render in sides.items():
            with torch.no_grad():
                best[name, "forward"] = min(best[name, "forward"], seconds(lambda r=render: r(gaussians, cameras)))
            both = seconds(lambda r=render: train_step(r, gaussians, cameras))
            best[name, "both"] = min(best[name, "both"], both)
    cells = [f"{best[name, part] * 1e3:8.0f}" for name in sides for part in ("forward", "both")]
    print(f"| {case!s:32} | {' | '.join(cells)} | {best['torch', 'both'] / best['numba', 'both']:6.1f}x |", flush=True)


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found.cpu() - expected).norm() / expected.norm().clamp(min=1e-12))


def compare(
    title: str, found: tuple[Rendering, dict[str, Tensor]], expected: tuple[Rendering, dict[str, Tensor]]
) -> None:
    worst = float((found[0].color.detach().cpu() - expected[0].color.detach()).abs().max())
    gradients = ", ".join(f"{name} {relative(found[1][name], value):.1e}" for name, value in expected[1].items())
    print(f"{title}: colour max error {worst:.1e}; gradient relative errors: {gradients}", flush=True)


def render_with_gradients(
    gaussians: Gaussians,
    cameras: Cameras,
    options: RasterOptions,
    render: Callable[..., Rendering] = rasterize,
) -> tuple[Rendering, dict[str, Tensor]]:
    """A picture, and the gradients of a fixed random projection of it."""
    gaussians = leaves(gaussians, str(gaussians.means.device))
    pose = cameras.world_to_cam.clone().requires_grad_()
    intrinsics = cameras.intrinsics.clone()
    cameras = Cameras(pose, intrinsics, cameras.image_size)
    rendering = render(gaussians, cameras, options=options)
    weight = torch.randn(rendering.color.shape, generator=torch.Generator().manual_seed(1))
    (rendering.color * weight.to(rendering.color.device)).sum().backward()
    gradients = {name: getattr(gaussians, name).grad for name in FIELDS} | {"world_to_cam": pose.grad}
    return rendering, {name: value for name, value in gradients.items() if value is not None}


def check_cuda(case: Case, repeats: int) -> None:
    """gsplat on the GPU against our tiles on the CPU, and its speed."""
    for mode in ("classic", "antialiased"):
        options = RasterOptions(mode=mode)
        gaussians, cameras = random_box(case, degree=3)
        expected = render_with_gradients(gaussians, cameras, options)
        found = render_with_gradients(gaussians.to("cuda"), cameras.to("cuda"), options)
        compare(f"gsplat on CUDA against the CPU, {mode}, {case}", found, expected)
    on_gpu, cameras = leaves(random_box(case)[0], "cuda"), random_box(case)[1].to("cuda")
    best = min(seconds(lambda: train_step(rasterize, on_gpu, cameras)) for _ in range(repeats + 1))
    print(f"gsplat on CUDA, forward + backward, {case}: {best * 1e3:.1f} ms", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small case, once")
    parser.add_argument("--threads", type=int, help="for both sides; all cores when left out")
    quick, threads = vars(parser.parse_args()).values()
    if threads:
        torch.set_num_threads(threads)
        numba.set_num_threads(threads)
    cases, repeats = (QUICK, 1) if quick else (FULL, 4)
    gaussians, cameras = random_box(QUICK[0])
    train_step(rasterize, leaves(gaussians), cameras)  # compile, or load what is compiled
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{os.cpu_count()} CPU cores, {torch.get_num_threads()} threads{load}, torch {torch.__version__}")
    gaussians, cameras = random_box(Case(5_000, 2, 64))
    expected = render_with_gradients(gaussians, cameras, RasterOptions(), through_torch_tiles)
    compare("numba against torch tiles", render_with_gradients(gaussians, cameras, RasterOptions()), expected)
    print("\nmilliseconds, best of", repeats)
    print(f"| {'':32} |  numba f |  numba b |  torch f |  torch b |  ratio |")
    for case in cases:
        time_case(case, repeats)
    if torch.cuda.is_available():
        for case in cases:
            check_cuda(case, repeats)


if __name__ == "__main__":
    main()
