"""Names of the models that come with the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from fourreal.core import shipped
from fourreal.core.errors import InputError
from fourreal.core.notes import UserNote
from fourreal.core.shipped import is_shipped, shipped_folder


def test_the_old_name_is_accepted_with_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "_WEIGHTS", tmp_path)
    for kind in ("video", "recon"):
        (tmp_path / f"mini-{kind}").mkdir()
        assert not is_shipped(kind)
        with pytest.raises(InputError, match=f"fourreal train {kind}"):
            shipped_folder("mini", kind)
        (tmp_path / f"mini-{kind}" / "model.safetensors").touch()
        assert shipped_folder("mini", kind) == tmp_path / f"mini-{kind}"
        with pytest.warns(UserNote, match="is called 'mini' now"):
            assert shipped_folder("small", kind) == tmp_path / f"mini-{kind}"


def test_other_names_are_somebody_elses(tmp_path: Path) -> None:
    assert shipped_folder("wan2.1-1.3b", "video") is None
    assert shipped_folder(tmp_path / "mini", "recon") is None
