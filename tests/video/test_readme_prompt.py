"""README's line for a sentence, on folders of the released layout small enough for tests."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from tiny_wan import first_frame_pasted, save_released, text_to_video

from fourreal.cli.__main__ import main
from fourreal.files.grid_folder import load_grid
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.weights import load_model, mark_trained, save_delta

README = Path(__file__).parents[2] / "README.md"


def test_readmes_prompt_line_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = re.findall(r"^fourreal (run --prompt [^#\n]*)", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    base, released = (tmp_path / name for name in ("ti2v", "t2v"))
    save_released(first_frame_pasted(), base)
    save_released(text_to_video(), released)
    model = load_model(released, arrangement="fused")
    mark_trained(model, "grid")
    save_delta(tmp_path / "MY_WEIGHTS", model)
    monkeypatch.chdir(tmp_path)
    stands_for = {"wan2.1-1.3b": str(released), "wan2.2-ti2v-5b": str(base)}
    words = [stands_for.get(word, word) for word in shlex.split(line)]
    little = "--views 2 --frames 5 --size 32 32 --steps 1 --device cpu --until generate --quiet".split()
    main([*words, *little, "--weight-type", "bfloat16", "--offload", "parts"])
    stored = load_grid(tmp_path / "out" / "fox" / "grid")
    assert stored.grid.frames.shape == (2, 5, 3, 32, 32)
    assert stored.record.caption == "a fox on a rock"
    # Without the base there is nothing that was trained to make the freeze-time video.
    cut = words.index("--base")
    with pytest.raises(SystemExit) as stop:
        main([*words[:cut], *words[cut + 2 :], *little])
    assert stop.value.code == 2
    assert "give a base that can: --base" in capsys.readouterr().err


def test_the_same_seed_in_another_format_is_another_picture(tmp_path: Path) -> None:
    """The flag reaches the weights."""
    from fourreal.pipeline import FourDPipeline

    folder = save_released(text_to_video(), tmp_path / "t2v")
    for asked, stored in (("auto", "float32"), ("bfloat16", "bfloat16")):
        pipe = FourDPipeline.from_pretrained(folder, recon=None, weight_type=asked, device="cpu")  # pyright: ignore[reportArgumentType]
        assert isinstance(pipe.generator, ViewTimeGenerator)
        assert str(pipe.generator.transformer.dtype) == f"torch.{stored}"
