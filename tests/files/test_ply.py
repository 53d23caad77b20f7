"""`.ply` round trips: exact where the format allows, other programs' files too, damage refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fourreal.core.errors import InputError
from fourreal.core.gaussians import Gaussians
from fourreal.files.ply import read_ply, read_ply_sequence, to_gsplat_data, write_ply

CANONICAL = [
    *"xyz",
    *(f"f_dc_{i}" for i in range(3)),
    "opacity",
    *(f"scale_{i}" for i in range(3)),
    *(f"rot_{i}" for i in range(4)),
]


def moment(count: int = 50, degree: int = 2) -> Gaussians:
    return Gaussians(
        torch.randn(count, 3),
        torch.nn.functional.normalize(torch.randn(count, 4), dim=-1),
        torch.rand(count, 3) * 0.1 + 1e-6,
        torch.rand(count),
        torch.randn(count, (degree + 1) ** 2, 3),
    )


def foreign_ply(path: Path, columns: dict[str, list[float]], header: str = "format binary_little_endian 1.0") -> None:
    """A file with the given properties in the given order, written from the specification."""
    count = len(next(iter(columns.values())))
    properties = "".join(f"property float {name}\n" for name in columns)
    text = f"ply\n{header}\nelement vertex {count}\n{properties}end_header\n"
    path.write_bytes(text.encode() + np.array(list(columns.values()), "<f4").T.tobytes())


def columns(**changed: list[float]) -> dict[str, list[float]]:
    values = {name: [0.1, 0.2] for name in CANONICAL} | {"rot_0": [2.0, 0.0], "rot_1": [0.0, 0.0]}
    return values | {"rot_2": [0.0, 0.0], "rot_3": [0.0, 0.0]} | changed


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_what_is_written_is_read(tmp_path: Path, degree: int) -> None:
    """Stored numbers exactly; physical ones to the last digits that logits and logarithms can hold."""
    given = moment(degree=degree)
    write_ply(tmp_path / "a.ply", given)
    came = read_ply(tmp_path / "a.ply")
    assert torch.equal(came.means, given.means)
    assert torch.equal(came.quats_wxyz, given.quats_wxyz)
    assert torch.equal(came.sh, given.sh)
    torch.testing.assert_close(came.scales, given.scales, rtol=1e-6, atol=0)
    torch.testing.assert_close(came.opacities, given.opacities, rtol=1e-6, atol=2e-8)
    write_ply(tmp_path / "b.ply", came)
    write_ply(tmp_path / "c.ply", read_ply(tmp_path / "b.ply"))
    assert (tmp_path / "b.ply").stat().st_size == (tmp_path / "a.ply").stat().st_size


def test_opacities_and_scales_at_their_ends_survive(tmp_path: Path) -> None:
    ends = Gaussians(
        torch.zeros(4, 3),
        torch.tensor([[1.0, 0, 0, 0]]).expand(4, 4),
        torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 1e-7], [1e6, 1e-3, 0.0], [1.0, 1.0, 1.0]]),
        torch.tensor([0.0, 1.0, 1.0 + 5e-7, 0.5]),
        torch.zeros(4, 1, 3),
    )
    stored = to_gsplat_data(ends)
    assert np.isfinite(stored.scales).all()
    assert np.isfinite(stored.opacities).all()
    write_ply(tmp_path / "ends.ply", ends)
    came = read_ply(tmp_path / "ends.ply")
    torch.testing.assert_close(came.scales, ends.scales, rtol=2e-6, atol=0)
    assert torch.equal(came.scales == 0, ends.scales == 0)
    assert came.opacities.tolist() == [0.0, 1.0, 1.0, 0.5]


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_any_opacity_survives(values: list[float]) -> None:
    count = len(values)
    opacities = torch.tensor(values)
    quats = torch.tensor([[1.0, 0, 0, 0]]).expand(count, 4)
    data = to_gsplat_data(
        Gaussians(torch.zeros(count, 3), quats, torch.ones(count, 3), opacities, torch.zeros(count, 1, 3))
    )
    back = torch.from_numpy(np.array(data.opacities)).double().sigmoid().float()
    torch.testing.assert_close(back, opacities, rtol=1e-6, atol=2e-8)


def test_gradients_do_not_stand_in_the_way(tmp_path: Path) -> None:
    given = moment(3)
    given.means.requires_grad_()
    write_ply(tmp_path / "a.ply", given)


def test_files_of_other_programs(tmp_path: Path) -> None:
    """Normals, another order of properties, rotations that are not unit or zero."""
    layout = columns()
    layout = {"rot_3": layout.pop("rot_3"), "nx": [0.0, 0.0], "ny": [0.0, 0.0], "nz": [0.0, 0.0]} | layout
    foreign_ply(tmp_path / "a.ply", layout)
    came = read_ply(tmp_path / "a.ply")
    assert came.quats_wxyz.tolist() == [[1, 0, 0, 0], [1, 0, 0, 0]]
    torch.testing.assert_close(came.means, torch.tensor([[0.1] * 3, [0.2] * 3]))
    torch.testing.assert_close(came.opacities, torch.tensor([0.1, 0.2]).sigmoid())
    torch.testing.assert_close(came.scales, torch.tensor([[0.1] * 3, [0.2] * 3]).exp())
    torch.testing.assert_close(came.sh, torch.tensor([[[0.1] * 3], [[0.2] * 3]]))


def test_a_sequence_in_natural_order(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        write_ply(tmp_path / f"frame{number}.ply", moment(number))
    scene = read_ply_sequence(tmp_path, fps=4)
    assert [len(step) for step in scene.steps] == [1, 2, 10]
    assert scene.seconds.tolist() == [0, 0.25, 0.5]
    assert scene.cameras.batch_shape == (0,)
    with pytest.raises(InputError, match="fps must be positive"):
        read_ply_sequence(tmp_path, fps=0)
    with pytest.raises(InputError, match=r"holds no \.ply files"):
        read_ply_sequence(tmp_path / "nowhere")


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    write_ply(path, moment())
    whole = path.read_bytes()
    huge = whole.replace(b"element vertex 50\n", b"element vertex 50000000000000\n")
    negative = whole.replace(b"element vertex 50\n", b"element vertex -50\n")
    for damaged in (b"", b"ply", whole[:300], whole[:-1], b"\xff" * 5000, huge, negative, b"ply\nformat ascii 1.0\n"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"a\.ply cannot be read .*3D Gaussians"):
            read_ply(path)
    with pytest.raises(InputError, match="No such file"):
        read_ply(tmp_path / "b.ply")
    points = {name: values for name, values in columns().items() if name in "xyz"}
    foreign_ply(path, points)
    with pytest.raises(InputError, match=r"expected a whole binary .ply"):
        read_ply(path)
    foreign_ply(path, columns(x=[float("nan"), 0.0]))
    with pytest.raises(InputError, match=r"a\.ply: means hold NaN"):
        read_ply(path)
    foreign_ply(path, columns(scale_0=[200.0, 0.0]))
    with pytest.raises(InputError, match=r"a\.ply: scales hold NaN or infinity"):
        read_ply(path)
