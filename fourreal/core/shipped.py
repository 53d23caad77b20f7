"""The small trained models that come with the package, found by name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from fourreal.core.errors import InputError
from fourreal.core.notes import notify

SHIPPED_NAME = "mini"

ModelKind = Literal["video", "recon"]
"""video: the view-time generator. recon: the reconstruction network."""

_WEIGHTS = Path(__file__).parents[1] / "weights"


def shipped_folder(name: str | Path, kind: ModelKind) -> Path | None:
    """The folder of a shipped model; None where the name is not one of theirs.

    Raises:
        InputError: the name is one of theirs, but this installation came without the weights.
    """
    if str(name) == "small":
        notify("the model 'small' is called 'mini' now; the old name goes in the next release")
        name = SHIPPED_NAME
    if str(name) != SHIPPED_NAME:
        return None
    if not is_shipped(kind):
        raise InputError(
            f"the {kind} model '{name}' does not come with this installation; train one (fourreal train {kind} "
            "--recipe mini --out RUN) and give its folder RUN/model instead of the name"
        )
    return _folder(kind)


def is_shipped(kind: ModelKind) -> bool:
    """Whether weights of that kind come with this installation."""
    return any(_folder(kind).rglob("*.safetensors"))


def _folder(kind: ModelKind) -> Path:
    return _WEIGHTS / f"mini-{kind}"
