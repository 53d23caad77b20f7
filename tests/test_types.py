"""Shapes on signatures are checked while the tests run. If this fails to fail, nothing is checked."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import TypeCheckError

from fourreal.core.rotations import quat_to_matrix


def test_a_wrong_shape_is_caught() -> None:
    with pytest.raises(TypeCheckError):
        quat_to_matrix(torch.zeros(5, 3))
