"""Laws of quaternions and rigid motions."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial.transform import Rotation, Slerp

from fourreal.core.rotations import (
    axis_angle_to_matrix,
    matrix_to_quat,
    quat_multiply,
    quat_slerp,
    quat_to_matrix,
    rigid,
    rigid_inverse,
    rotation_angle_deg,
)


def random_quats(count: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(count, 4, dtype=torch.float64), dim=-1)


def test_quaternion_to_matrix_agrees_with_scipy() -> None:
    quats = random_quats(64)
    expected = Rotation.from_quat(quats.numpy(), scalar_first=True).as_matrix()
    torch.testing.assert_close(quat_to_matrix(quats), torch.from_numpy(expected))


def test_matrix_to_quaternion_inverts_and_has_positive_w() -> None:
    quats = random_quats(256)
    back = matrix_to_quat(quat_to_matrix(quats))
    assert (back[:, 0] >= 0).all()
    torch.testing.assert_close(back, torch.where(quats[:, :1] < 0, -quats, quats))


@pytest.mark.parametrize("axis", range(3))
def test_half_turns_survive(axis: int) -> None:
    vector = torch.zeros(3, dtype=torch.float64)
    vector[axis] = torch.pi
    matrix = axis_angle_to_matrix(vector)
    torch.testing.assert_close(quat_to_matrix(matrix_to_quat(matrix)), matrix)


def test_product_is_composition() -> None:
    a, b = random_quats(32), random_quats(32)
    torch.testing.assert_close(quat_to_matrix(quat_multiply(a, b)), quat_to_matrix(a) @ quat_to_matrix(b))


def test_slerp_agrees_with_scipy_and_takes_the_short_way() -> None:
    a, b = random_quats(2)
    fractions = torch.linspace(0, 1, 9, dtype=torch.float64)
    expected = Slerp([0, 1], Rotation.from_quat([a.tolist(), b.tolist()], scalar_first=True))(fractions.numpy())
    got = quat_slerp(a.expand(9, 4), b.expand(9, 4), fractions)
    torch.testing.assert_close(quat_to_matrix(got), torch.from_numpy(expected.as_matrix()))
    torch.testing.assert_close(quat_to_matrix(quat_slerp(a[None], -a[None], 0.5)), quat_to_matrix(a[None]))


def test_axis_angle_agrees_with_scipy_down_to_zero() -> None:
    vectors = torch.randn(16, 3, dtype=torch.float64) * torch.logspace(-9, 0, 16, dtype=torch.float64)[:, None]
    expected = Rotation.from_rotvec(vectors.numpy()).as_matrix()
    torch.testing.assert_close(axis_angle_to_matrix(vectors), torch.from_numpy(expected))
    zero = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(axis_angle_to_matrix(zero), torch.eye(3, dtype=torch.float64))


def test_rigid_inverse() -> None:
    motion = rigid(quat_to_matrix(random_quats(8)), torch.randn(8, 3, dtype=torch.float64))
    torch.testing.assert_close(rigid_inverse(motion) @ motion, torch.eye(4, dtype=torch.float64).expand(8, 4, 4))


def test_angles_are_true_from_a_thousandth_of_a_degree_to_half_a_turn() -> None:
    angles = torch.tensor([1e-3, 0.1, 30.0, 179.999, 180.0])
    turns = axis_angle_to_matrix(torch.deg2rad(angles)[:, None] * torch.tensor([0.0, 0.6, 0.8]))
    torch.testing.assert_close(rotation_angle_deg(torch.eye(3).expand(5, 3, 3), turns), angles, rtol=1e-3, atol=1e-4)
