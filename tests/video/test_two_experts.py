"""Wan 2.2 A14B's two experts, on folders of the released layout small enough for tests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_wan import save_released, two_experts

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.video.generate import generate
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.rectified_flow import noise_schedule
from fourreal.video.settings import GenerationSettings
from fourreal.video.single_video import VideoRequest, generate_video
from fourreal.video.weights import load_model, mark_trained, save_delta

SETTINGS = GenerationSettings(steps=4, device="cpu", text_guidance=1.0)
REQUEST = VideoRequest("two foxes", "dynamic", 5, (32, 32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_released(two_experts(), tmp_path_factory.mktemp("wan") / "a14b")


def test_each_expert_denoises_its_own_noise_levels(folder: Path) -> None:
    model = ViewTimeGenerator.from_pretrained(folder)
    assert model.transformer_2 is not None
    assert model.boundary_ratio == 0.875
    seen: list[tuple[str, float]] = []

    def recorder(name: str):
        return lambda _, given: seen.append((name, float(given[1].flatten()[0])))

    model.transformer.register_forward_pre_hook(recorder("high"))
    model.transformer_2.register_forward_pre_hook(recorder("low"))
    both = generate_video(model, REQUEST, settings=SETTINGS)
    sigmas = noise_schedule(4, model.shift)[:-1].tolist()
    assert [name for name, _ in seen] == ["high" if sigma >= 0.875 else "low" for sigma in sigmas]
    assert {name for name, _ in seen} == {"high", "low"}
    for offload in ("parts", "blocks"):
        assert torch.equal(generate_video(model, REQUEST, settings=replace(SETTINGS, offload=offload)), both), offload
    alone = replace(model, transformer_2=None)
    assert not torch.equal(generate_video(alone, REQUEST, settings=SETTINGS), both)


def test_one_network_twice_is_one_network(folder: Path) -> None:
    model = ViewTimeGenerator.from_pretrained(folder)
    twice = replace(model, transformer_2=model.transformer)
    for sampler in ("euler", "unipc"):
        settings = replace(SETTINGS, sampler=sampler)
        once = generate_video(replace(model, transformer_2=None), REQUEST, settings=settings)
        assert torch.equal(generate_video(twice, REQUEST, settings=settings), once)


def test_saved_and_loaded_again(folder: Path, tmp_path: Path) -> None:
    model = ViewTimeGenerator.from_pretrained(folder)
    model.save_pretrained(tmp_path / "model")
    again = ViewTimeGenerator.from_pretrained(tmp_path / "model")
    assert again.boundary_ratio == model.boundary_ratio
    for before, after in zip(model.transformers, again.transformers, strict=True):
        for name, value in before.state_dict().items():
            assert torch.equal(value, after.state_dict()[name]), name


def test_view_time_weights_are_needed_for_both(folder: Path, tmp_path: Path) -> None:
    for name in ("transformer", "transformer_2"):
        part = load_model(folder, subfolder=name, arrangement="fused")
        mark_trained(part, "grid")
        if name == "transformer":
            save_delta(tmp_path / "flat", part)
        save_delta(tmp_path / "both" / name, part)
    save_delta(tmp_path / "half" / "transformer", load_model(folder, delta=tmp_path / "both" / "transformer"))
    with pytest.raises(InputError, match=r"has two experts and .* holds no view-time weights for transformer_2"):
        ViewTimeGenerator.from_pretrained(folder, delta=tmp_path / "half")
    with pytest.raises(InputError, match=r"has two experts and .* holds no view-time weights for transformer"):
        ViewTimeGenerator.from_pretrained(folder, delta=tmp_path / "flat")
    model = ViewTimeGenerator.from_pretrained(folder, delta=tmp_path / "both")
    grid = VideoGrid.complete(torch.rand(2, 5, 3, 32, 32), torch.arange(5) / 8).with_known("cross")
    assert bool(generate(model, grid, settings=SETTINGS).known.all())
    mark_trained(model.transformers[1], "video")
    with pytest.raises(InputError, match="no view-time training"):
        generate(model, grid, settings=SETTINGS)


def test_a_folder_with_half_of_it_is_refused(folder: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    half.mkdir()
    for part in folder.iterdir():
        if part.name != "transformer_2":
            (half / part.name).symlink_to(part)
    with pytest.raises(InputError, match="lacks transformer_2, which its model_index"):
        ViewTimeGenerator.from_pretrained(half)
    (half / "transformer_2").symlink_to(folder / "transformer_2")
    index = json.loads((folder / "model_index.json").read_text())
    (half / "model_index.json").unlink()
    (half / "model_index.json").write_text(json.dumps(index | {"boundary_ratio": None}))
    with pytest.raises(InputError, match=r"boundary_ratio between 0 and 1 .* got 0\.0"):
        ViewTimeGenerator.from_pretrained(half)
    (half / "model_index.json").write_text(json.dumps(index | {"boundary_ratio": "most"}))
    with pytest.raises(InputError, match="boundary_ratio must be a number between 0 and 1; got 'most'"):
        ViewTimeGenerator.from_pretrained(half)


def test_training_takes_one_transformer(folder: Path) -> None:
    from fourreal.train.video_recipes import wan_1_3b
    from fourreal.train.video_task import new_generator

    for base in ("wan2.2-14b", str(folder)):
        with pytest.raises(InputError, match="has two experts, and training knows one"):
            new_generator(replace(wan_1_3b(), base=base))
