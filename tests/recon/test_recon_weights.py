"""Weights: what was written comes back, released checkpoints load strictly, all else is refused in a sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from awake import awake_model
from rebuildable import weights_like
from safetensors.torch import load_file, save_file

from fourreal.core.errors import InputError
from fourreal.recon.config import ReconConfig, base, tiny
from fourreal.recon.model import ReconModel
from fourreal.recon.weights import find_model, load_model, load_released, load_vggt, save_model


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A checkpoint as released, in a tiny size: no parts of ours, a tracking head of no use."""
    config = replace(tiny(), temporal="none", gaussian_head=False)
    tensors = weights_like(ReconModel(config).state_dict())
    tensors["track_head.tracker.query_ref_token"] = torch.zeros(1, 2, 3)
    path = tmp_path / "model.safetensors"
    save_file(tensors, path)
    return path


def test_a_saved_network_comes_back_with_its_name_and_training(tmp_path: Path):
    model = awake_model()
    save_model(tmp_path / "mine", model, trained_steps=7)
    loaded = load_model(tmp_path / "mine")
    assert (loaded.name, loaded.trained_steps, loaded.trained) == ("mine", 7, True)
    assert loaded.model.config == model.config
    frames = torch.rand(1, 2, 2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(frames).depth, model(frames).depth)
    assert all(
        parameter.requires_grad for name, parameter in loaded.model.named_parameters() if "mask_token" not in name
    )


def test_half_the_size_is_every_value_rounded_to_bfloat16(tmp_path: Path):
    model = awake_model()
    save_model(tmp_path / "full", model, 1)
    save_model(tmp_path / "half", model, 1, half=True)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.65 * sizes[0]
    loaded = load_model(tmp_path / "half").model.state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(loaded[name], value.bfloat16().float()), name
    frames = torch.rand(1, 2, 1, 3, 16, 16)
    with torch.no_grad():
        full, half = model(frames).depth, load_model(tmp_path / "half").model(frames).depth
    torch.testing.assert_close(full, half, atol=1e-2, rtol=1e-2)


def test_random_weights_are_known_as_such(tmp_path: Path):
    save_model(tmp_path / "fresh", awake_model(), trained_steps=0)
    assert not find_model(str(tmp_path / "fresh")).trained


def test_a_released_checkpoint_loads_and_our_parts_start_silent(released: Path):
    config = replace(tiny(), temporal="block")
    model = load_released(released, config)
    plain = load_released(released, replace(config, temporal="none", gaussian_head=False))
    frames = torch.rand(1, 2, 1, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(model(frames).depth, plain(frames).depth, atol=1e-5, rtol=1e-5)
        gaussians = model(frames).gaussians
    assert gaussians is not None
    assert gaussians.abs().max() == 0
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), load_released(released, config).parameters(), strict=True)
    )


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_no_key_but_the_tracking_heads_may_differ(released: Path, change: str):
    tensors = load_file(released)
    key = "aggregator.frame_blocks.0.attn.q_norm.weight"
    if change == "missing":
        del tensors[key]
    elif change == "extra":
        tensors["aggregator.surprise"] = torch.zeros(1)
    else:
        tensors[key] = torch.zeros(3)
    save_file(tensors, released)
    expected = {
        "missing": f"1 of .* are missing and 0 are unknown .'{key}' is missing",
        "extra": "0 of .* are missing and 1 are unknown .'aggregator.surprise' is unknown",
        "shape": rf"'{key}' has shape \[3\], expected \[16\]",
    }[change]
    with pytest.raises(InputError, match=expected):
        load_released(released, tiny())


def test_a_small_checkpoint_is_not_vggt_1b(released: Path):
    with pytest.raises(InputError, match="is not a checkpoint of this network"):
        load_vggt(released)


def test_a_folder_as_released_is_taken_for_vggt_1b(released: Path):
    """Its own config.json says nothing of this project's, so the weights decide."""
    (released.parent / "config.json").write_text('{"img_size": 518, "patch_size": 14}')
    for name in (released.parent, released):
        with pytest.raises(InputError, match=r"model\.safetensors is not a checkpoint of this network"):
            find_model(str(name))


def test_formats_that_can_run_code_are_not_opened(tmp_path: Path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"anything")
    with pytest.raises(InputError, match=r"not a \.safetensors file"):
        load_vggt(path)


def test_a_truncated_file_is_refused(released: Path):
    released.write_bytes(released.read_bytes()[:1000])
    with pytest.raises(InputError, match="damaged or truncated"):
        load_released(released, tiny())


def test_nan_in_weights_is_refused(released: Path):
    tensors = load_file(released)
    tensors["camera_head.token_norm.weight"][0] = torch.nan
    save_file(tensors, released)
    with pytest.raises(InputError, match=r"NaN or infinity in 'camera_head\.token_norm\.weight'"):
        load_released(released, tiny())


def test_names_that_mean_nothing_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="expected mini, vggt-1b, or a folder"):
        find_model(str(tmp_path / "nowhere"))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: None)
    with pytest.raises(InputError, match="not in the Hugging Face cache"):
        find_model("vggt-1b")


def test_a_misspelt_config_names_the_key(tmp_path: Path):
    save_model(tmp_path / "mine", awake_model(), 1)
    values = json.loads((tmp_path / "mine" / "config.json").read_text())
    values["config"]["widht"] = values["config"].pop("width")
    (tmp_path / "mine" / "config.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match="did you mean 'width'"):
        load_model(tmp_path / "mine")


def test_weights_of_another_config_are_refused(tmp_path: Path):
    save_model(tmp_path / "mine", awake_model(), 1)
    values = json.loads((tmp_path / "mine" / "config.json").read_text())
    values["config"]["depth"] = 3
    (tmp_path / "mine" / "config.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match="are missing"):
        load_model(tmp_path / "mine")


def test_the_base_network_stays_under_nine_million_values():
    with torch.device("meta"):
        values = sum(parameter.numel() for parameter in ReconModel(base()).parameters())
    assert 4e6 < values <= 9e6


@pytest.mark.parametrize(
    "wrong",
    [{"native_size": 30}, {"heads": 3}, {"camera_heads": 3}, {"head_layers": (0, 1, 2, 3)}, {"dense_features": 12}],
)
def test_configs_that_cannot_be_built_are_refused(wrong: dict[str, object]):
    with pytest.raises(InputError):
        replace(tiny(), **wrong)


def test_defaults_are_the_released_sizes():
    assert (ReconConfig().width, ReconConfig().depth, ReconConfig().head_layers) == (1024, 24, (4, 11, 17, 23))
