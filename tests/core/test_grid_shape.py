"""GridShape and the keys of older files."""

import pytest

from fourreal.core.configs import from_dict, to_dict
from fourreal.core.errors import InputError
from fourreal.core.grid_shape import GridShape, with_shape_keys

SHAPE = GridShape(views=4, frames=9, height=64, width=96, fps=8.0, arc_deg=(5.0, 35.0))


def test_a_shape_survives_json_and_prints_as_a_person_would_say_it() -> None:
    assert from_dict(GridShape, to_dict(SHAPE)) == SHAPE
    assert SHAPE.image_size == (64, 96)
    assert SHAPE.seconds == 1.0
    assert str(SHAPE) == "4 views x 9 frames of 64x96"


@pytest.mark.parametrize("wrong", [{"views": 0}, {"frames": -1}, {"width": 0}, {"fps": 0.0}, {"fps": float("nan")}])
def test_numbers_that_are_not_positive_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="must be positive"):
        GridShape(**({"views": 1, "frames": 1, "height": 8, "width": 8} | wrong))  # pyright: ignore[reportArgumentType]


def test_keys_of_older_files_are_read_at_every_depth() -> None:
    old = {"stages": [{"size": {"views": 4, "times": 9, "image_size": [64, 96], "fps": 8.0}}], "seed": 1}
    new = {"stages": [{"size": {"views": 4, "frames": 9, "height": 64, "width": 96, "fps": 8.0}}], "seed": 1}
    assert with_shape_keys(old) == new
    assert with_shape_keys(new) == new
