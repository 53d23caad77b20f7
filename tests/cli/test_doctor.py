"""Optional packages: said by `fourreal doctor`, and checked before work that needs them."""

import importlib.metadata
import importlib.util
import re
from pathlib import Path

import pytest

from fourreal.cli.__main__ import main
from fourreal.core.extras import EXTRAS, packages_of


def test_every_extra_of_the_package_is_explained() -> None:
    named = set(importlib.metadata.metadata("fourreal").get_all("Provides-Extra") or [])
    assert set(EXTRAS) == named - {"dev"}
    assert all(packages_of(extra) for extra in EXTRAS)


def test_doctor_names_what_is_missing_and_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    version = importlib.metadata.version

    def without_gradio(name: str) -> str:
        if name == "gradio":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without_gradio)
    main(["doctor"])
    said = capsys.readouterr().out
    assert "app: missing gradio: pip install 'fourreal[app]' (for fourreal app)" in said
    assert re.search(r"^train: matplotlib \d", said, re.MULTILINE)
    assert "model mini (video): installed" in said


def test_an_evaluation_asks_for_its_packages_before_it_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    hidden = lambda name, *rest: None if name == "matplotlib" else find(name, *rest)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", hidden)
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "worlds", "--model", "copy-view", "--out", str(tmp_path / "out")])
    assert stop.value.code == 2
    assert "pip install 'fourreal[train]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
