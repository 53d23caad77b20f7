"""Whether footage is what it is given as: a camera that stands still, or a moment that does."""

from __future__ import annotations

from fourreal.data.model_input import Footage, GridWish


def tell_what_moves(fixed: Footage | None, freeze: Footage | None, wish: GridWish) -> None:
    """Tell."""
