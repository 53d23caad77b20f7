"""Loading and saving view-time models: what comes back, and what is said when a folder does not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import load_file, save_file
from tiny_generator import only_trainable

from fourreal.core.errors import InputError
from fourreal.video.checkpoint_files import WEIGHTS
from fourreal.video.presets import PRESETS, tiny
from fourreal.video.transformer import ViewTimeTransformer
from fourreal.video.weights import (
    DELTA_CONFIG,
    DELTA_WEIGHTS,
    load_delta,
    load_model,
    mark_trained,
    require_trained,
    save_delta,
    save_model,
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stock checkpoint as it lies in a released pipeline: transformer/ in a folder."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("base")
    WanTransformer3DModel(**tiny()).save_pretrained(folder / "transformer")
    return folder


@pytest.fixture
def copy(base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base / "transformer", tmp_path / "copy"))


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(1, 3, 16, 2, 4, 4, generator=generator),
        torch.tensor([700.0]),
        torch.randn(1, 5, 32, generator=generator),
    )


def trained_copy(model: ViewTimeTransformer) -> ViewTimeTransformer:
    """One real training step on what the arrangement trains."""
    optimiser = torch.optim.SGD(only_trainable(model), lr=1.0)
    model.zero_grad()
    model(*batch()).square().mean().backward()
    optimiser.step()
    mark_trained(model, "grid")
    return model.eval()


def test_a_pipeline_folder_and_its_transformer_folder_are_the_same_model(base: Path) -> None:
    whole, part = load_model(base), load_model(base / "transformer")
    assert whole.config["trained"] == part.config["trained"] == "video"
    for name, tensor in load_file(base / "transformer" / WEIGHTS).items():
        assert torch.equal(whole.state_dict()[name], tensor)
        assert torch.equal(part.state_dict()[name], tensor)


def test_saved_loaded_and_trained_on_is_identical(base: Path, tmp_path: Path) -> None:
    model = trained_copy(load_model(base, arrangement="parallel_soft"))
    save_model(tmp_path / "saved", model)
    again = load_model(tmp_path / "saved")
    assert again.config["trained"] == "grid"
    with torch.no_grad():
        torch.testing.assert_close(again(*batch()), model(*batch()), rtol=0, atol=1e-6)
    ahead, resumed = trained_copy(model), trained_copy(again)
    for name, tensor in ahead.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], tensor, rtol=0, atol=1e-5, msg=name)


@pytest.mark.parametrize("arrangement", ["fused", "sequential_added", "parallel_hard"])
def test_a_delta_over_its_base_is_the_trained_model_and_smaller(base: Path, tmp_path: Path, arrangement: str) -> None:
    model = trained_copy(load_model(base, arrangement=arrangement, rope_theta=100.0))
    save_delta(tmp_path / "delta", model)
    again = load_model(base, delta=tmp_path / "delta")
    assert again.config["trained"] == "grid"
    assert again.config["arrangement"] == arrangement
    with torch.no_grad():
        torch.testing.assert_close(again(*batch()), model(*batch()), rtol=0, atol=1e-6)
        assert not torch.allclose(load_model(base, rope_theta=100.0)(*batch()), model(*batch()), atol=1e-3)
    assert (tmp_path / "delta" / DELTA_WEIGHTS).stat().st_size < (base / "transformer" / WEIGHTS).stat().st_size / 1.8


def test_a_delta_is_the_same_over_a_base_in_bfloat16(base: Path, tmp_path: Path) -> None:
    save_delta(tmp_path / "delta", trained_copy(load_model(base)))
    half = load_model(base, delta=tmp_path / "delta", dtype=torch.bfloat16)
    assert half.blocks[0].attn1.to_q.weight.dtype == torch.bfloat16


def test_a_delta_refuses_what_it_was_not_trained_for(base: Path, tmp_path: Path) -> None:
    model = trained_copy(load_model(base))
    save_delta(tmp_path / "delta", model)
    with pytest.raises(InputError, match="another base model of the same size"):
        load_delta(load_model("tiny"), tmp_path / "delta")
    with pytest.raises(InputError, match=r"is for a base model of .*'num_layers': 2"):
        load_delta(load_model("tiny", num_layers=3), tmp_path / "delta")
    with pytest.raises(InputError, match="needs arrangement 'fused', the model has 'sequential_twice'"):
        load_delta(load_model(base, arrangement="sequential_twice"), tmp_path / "delta")
    tensors = load_file(tmp_path / "delta" / DELTA_WEIGHTS)
    tensors.pop("blocks.1.attn1.to_q.bias")
    save_file(tensors, tmp_path / "delta" / DELTA_WEIGHTS)
    with pytest.raises(InputError, match=r"does not hold exactly .*first: blocks.1.attn1.to_q.bias"):
        load_model(base, delta=tmp_path / "delta")
    (tmp_path / "delta" / DELTA_WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(InputError, match="missing or broken"):
        load_model(base, delta=tmp_path / "delta")
    (tmp_path / "delta" / DELTA_CONFIG).unlink()
    with pytest.raises(InputError, match=r"holds no view_time\.json"):
        load_model(base, delta=tmp_path / "delta")


def test_training_free_arrangements_have_no_delta(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="trains nothing"):
        save_delta(tmp_path / "delta", load_model("tiny", arrangement="parallel_blend"))


def test_untrained_weights_are_refused_and_the_way_out_is_named(base: Path) -> None:
    random, video = load_model("tiny"), load_model(base)
    with pytest.raises(InputError, match=r"random numbers.*fourreal train"):
        require_trained(random)
    with pytest.raises(InputError, match=r"no view-time training, so a generated grid.*fourreal train"):
        require_trained(video)
    require_trained(video, "video")
    require_trained(random, allow_untrained=True)
    require_trained(load_model(base, arrangement="parallel_average"))
    mark_trained(video, "grid")
    require_trained(video)


def test_another_arrangement_makes_grid_weights_a_video_model(base: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "grid", trained_copy(load_model(base)))
    assert load_model(tmp_path / "grid", attention="gather").config["trained"] == "grid"
    assert load_model(tmp_path / "grid", arrangement="sequential_twice").config["trained"] == "video"
    assert load_model(tmp_path / "grid", view_positions="sum").config["trained"] == "video"


def test_presets_come_in_the_asked_precision_with_sensitive_parts_in_float32() -> None:
    model = load_model("tiny", dtype=torch.bfloat16)
    assert model.blocks[0].attn1.to_q.weight.dtype == torch.bfloat16
    assert model.blocks[0].scale_shift_table.dtype == torch.float32
    assert model.rope.freqs_cos.dtype == torch.float32
    assert model(*(x.bfloat16() if x.ndim > 1 else x for x in batch())).dtype == torch.bfloat16
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize(
    ("preset", "arrangement", "billions"),
    [
        ("wan-1.3b", "fused", 1.419),
        ("wan-14b", "fused", 14.288),
        ("wan-ti2v-5b", "fused", 5.000),
        ("paper-11b", "fused", 11.0),
        ("paper-11b", "sequential_twice", 11.0),
        ("paper-11b", "sequential_added", 16.5),
    ],
)
def test_parameter_counts_are_those_of_the_papers(preset: str, arrangement: str, billions: float) -> None:
    with torch.device("meta"):
        model = ViewTimeTransformer(**PRESETS[preset](), arrangement=arrangement)
    assert sum(p.numel() for p in model.parameters()) / 1e9 == pytest.approx(billions, rel=3e-3)


def edit_config(folder: Path, **changes: object) -> None:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | changes))


def edit_weights(folder: Path, change) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "holds no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "is not valid JSON"),
        (lambda f: edit_config(f, _class_name="CogVideoXTransformer3DModel"), "describes 'CogVideoX"),
        (lambda f: edit_config(f, num_layer=3), "unknown key 'num_layer'; did you mean 'num_layers'"),
        (lambda f: edit_config(f, arrangement="sideways"), "arrangement must be one of"),
        (lambda f: edit_config(f, num_layers=3), r"lacks blocks\.2\..* and \d+ more"),
        (lambda f: edit_config(f, num_layers=1), r"no place for, blocks\.1"),
        (lambda f: edit_config(f, ffn_dim=100), r"has shape \[96.*asks for \[100"),
        (lambda f: edit_weights(f, lambda t: t.pop("proj_out.weight")), r"lacks proj_out\.weight; the download"),
        (lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:2000]), "broken or cut short"),
        (lambda f: (f / WEIGHTS).rename(f / "pytorch_model.bin"), "only safetensors"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_in_one_sentence(copy: Path, spoil, message: str) -> None:
    spoil(copy)
    with pytest.raises(InputError, match=message) as caught:
        load_model(copy)
    assert "\n" not in str(caught.value)


def test_shards_are_read_and_a_missing_one_is_named(base: Path, tmp_path: Path) -> None:
    model = load_model(base)
    model.save_pretrained(tmp_path / "shards", max_shard_size="100KB")
    shards = sorted((tmp_path / "shards").glob("*.safetensors"))
    assert len(shards) > 2
    again = load_model(tmp_path / "shards")
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    shards[1].unlink()
    with pytest.raises(InputError, match=f"lacks 1 of {len(shards)} weight files, {shards[1].name}"):
        load_model(tmp_path / "shards")


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'wan9' is no folder, no hub id .*wan2.1-1.3b.*tiny"):
        load_model("wan9")
    with pytest.raises(InputError, match="attention must be one of"):
        load_model("tiny", attention="fast")


def test_without_a_network_the_download_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*arguments: object, **options: object) -> str:
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(InputError, match=r"hf download Wan-AI/Wan2.1-T2V-1.3B-Diffusers --local-dir"):
        load_model("wan2.1-1.3b")


def test_an_interrupted_save_leaves_the_old_model(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(base)
    save_model(tmp_path / "model", model)
    before = (tmp_path / "model" / WEIGHTS).read_bytes()

    def half(folder: Path) -> None:
        (Path(folder) / "config.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "save_pretrained", half)
    with pytest.raises(KeyboardInterrupt):
        save_model(tmp_path / "model", model, overwrite=True)
    assert (tmp_path / "model" / WEIGHTS).read_bytes() == before
    with pytest.raises(InputError, match="already exists"):
        save_model(tmp_path / "model", model)
