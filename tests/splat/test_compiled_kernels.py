"""Compilation, caching, threads and processes of the CPU kernels."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.gaussians import Gaussians
from fourreal.core.rotations import rigid
from fourreal.splat.rasterize import rasterize

REPOSITORY = Path(__file__).parents[2]
KERNEL_MODULE = """
from fourreal.core.compiled import compiled, kernels
import numba

@compiled
def double(values):
    for i in numba.prange(len(values)):
        values[i] *= 2
"""
RUN_KERNEL = """
import numpy, kernel_module
values = numpy.arange(4.0)
with kernel_module.kernels():
    kernel_module.double(values)
assert values.tolist() == [0, 2, 4, 6]
"""


def picture(seed: int) -> torch.Tensor:
    """One small rendering and a gradient, as bytes that can be compared."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(400, 3, generator=generator, requires_grad=True)
    gaussians = Gaussians.from_colors(
        means,
        torch.nn.functional.normalize(torch.randn(400, 4, generator=generator), dim=-1),
        0.1 * torch.rand(400, 3, generator=generator),
        torch.rand(400, generator=generator),
        torch.rand(400, 3, generator=generator),
    )
    camera = Cameras(rigid(torch.eye(3), torch.tensor([0.0, 0, 4])), intrinsics_from_fov(45.0, (40, 40)), (40, 40))
    color = rasterize(gaussians, camera).color
    color.square().sum().backward()
    assert means.grad is not None
    return torch.cat([color.detach().flatten(), means.grad.flatten()])


def run_python(folder: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "kernel_module.py").write_text(KERNEL_MODULE)
    inherited = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    path = os.pathsep.join([str(REPOSITORY), str(folder)])
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | {"PYTHONPATH": path} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result


def cache_files(folder: Path) -> list[Path]:
    return list(folder.rglob("*.nbi"))


def test_two_threads_at_once_give_the_same_pictures():
    expected = [picture(seed) for seed in range(4)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(picture, range(4)))
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_a_spawned_process_gives_the_same_picture():
    expected = picture(3)  # the parent has rendered before
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert torch.equal(pool.apply(picture, (3,)), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_is_refused_rather_than_left_hanging(tmp_path):
    code = (
        RUN_KERNEL
        + """
import os, sys
child = os.fork()
if child == 0:
    try:
        with kernel_module.kernels():
            os._exit(1)
    except RuntimeError as error:
        os._exit(0 if "spawn" in str(error) else 2)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    )
    run_python(tmp_path, code)


def test_compiles_once_and_says_so_once(tmp_path):
    first = run_python(tmp_path, RUN_KERNEL)
    assert len(first.stderr.strip().splitlines()) == 1
    assert "compiling" in first.stderr
    assert cache_files(tmp_path / "__pycache__")
    assert run_python(tmp_path, RUN_KERNEL).stderr == ""


def test_read_only_source_folder_uses_the_cache_folder_of_the_user(tmp_path):
    source = tmp_path / "site"
    source.mkdir()
    (source / "__pycache__").write_text("a file, so that not even root can write below it")
    user = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    run_python(source, RUN_KERNEL, **user)
    assert cache_files(tmp_path / "cache") or cache_files(tmp_path / "home")
    assert run_python(source, RUN_KERNEL, **user).stderr == ""


def test_no_writable_folder_at_all_still_renders(tmp_path):
    source = tmp_path / "site"
    source.mkdir()
    blocked = tmp_path / "blocked"
    for file in (source / "__pycache__", blocked):
        file.write_text("a file, so that not even root can write below it")
    run_python(source, RUN_KERNEL, HOME=str(blocked), XDG_CACHE_HOME=str(blocked), LOCALAPPDATA=str(blocked))


def test_numba_cache_dir_is_honoured(tmp_path):
    run_python(tmp_path, RUN_KERNEL, NUMBA_CACHE_DIR=str(tmp_path / "mine"))
    assert cache_files(tmp_path / "mine")


def test_kernels_take_as_many_threads_as_torch_and_leave_it_its_own(tmp_path):
    asked = "import torch\ntorch.set_num_threads(1)\n"
    said = "\nimport numba\nprint(torch.get_num_threads(), numba.get_num_threads())\n"
    result = run_python(tmp_path, asked + RUN_KERNEL + said, NUMBA_NUM_THREADS="2")
    assert result.stdout.split() == ["1", "1"]
