"""`fourreal evaluate`: models from folders, baselines by name, what it writes and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fourreal.cli.__main__ import main
from fourreal.cli.evaluated_models import find_generator, training_size
from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.grid_shape import GridShape
from fourreal.core.progress import set_quiet
from fourreal.files.grid_folder import save_grid
from fourreal.recon.config import tiny as tiny_recon
from fourreal.recon.model import ReconModel
from fourreal.recon.weights import save_model
from fourreal.video.codec import PixelTubelets
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.presets import tiny
from fourreal.video.text import NoTextEncoder
from fourreal.video.transformer import ViewTimeTransformer


@pytest.fixture(autouse=True)
def _quiet_and_one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    set_quiet(True)
    yield
    set_quiet(False)
    torch.set_num_threads(before)


def run(*arguments: str | Path) -> None:
    main([str(argument) for argument in arguments])


def fails(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    printed = capsys.readouterr().err.strip()
    assert stop.value.code == 2, printed
    assert "\n" not in printed
    return printed


def tiny_generator(trained: str = "grid") -> ViewTimeGenerator:
    torch.manual_seed(5)
    config = {**tiny(), "in_channels": 768, "out_channels": 768, "patch_size": (1, 1, 1), "prediction": "sample"}
    transformer = ViewTimeTransformer(**config, trained=trained).eval()
    return ViewTimeGenerator(
        transformer=transformer, codec=PixelTubelets(), text_encoder=NoTextEncoder(config["text_dim"]), shift=3.0
    )


def test_a_generator_is_measured_at_its_training_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = GridShape(views=3, frames=5, height=24, width=32, arc_deg=(5.0, 35.0))
    replace(tiny_generator(), training_size=size).save_pretrained(tmp_path / "little" / "model")
    common = "--scenes 2 --steps 2 --no-perceptual --baselines copy-view change-add".split()
    run("evaluate", "worlds", "--model", tmp_path / "little" / "model", "--out", tmp_path / "out", *common)
    printed = capsys.readouterr().out
    assert "PSNR (moving)" in printed
    assert "margin over" in printed
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert document["model"] == "little"
    size = {name: document["settings"][name] for name in ("views", "frames", "height", "width")}
    assert size == {"views": 3, "frames": 5, "height": 24, "width": 32}
    assert document["settings"]["arc_deg"] == [5.0, 35.0]
    assert document["methods"]["little"]["steps"] == 2
    assert len(document["methods"]["little"]["weights"]) == 16
    assert list(document["scores"]) == ["little", "copy-view", "change-add"]
    assert (tmp_path / "out" / "bars.png").is_file()


def test_view_time_weights_and_format_are_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from fourreal.video.weights import save_delta

    base, trained = tiny_generator("video"), tiny_generator()
    base.save_pretrained(tmp_path / "base")
    with torch.no_grad():
        for name, value in trained.transformer.named_parameters():
            if "attn1" in name:
                value.add_(1e-3)
    save_delta(tmp_path / "delta", trained.transformer)
    size = "--scenes 1 --steps 1 --no-perceptual --views 2 --frames 5 --size 16 16 --baselines copy-view".split()
    common = ("evaluate", "worlds", "--model", tmp_path / "base", "--out")
    assert "no view-time training" in fails(capsys, *common, tmp_path / "without", *size)
    hashes = []
    for weight_type in ("float32", "bfloat16"):
        out = tmp_path / weight_type
        run(*common, out, "--delta", tmp_path / "delta", "--weight-type", weight_type, *size)
        hashes.append(json.loads((out / "results.json").read_text())["methods"]["base"]["weights"])
    assert hashes[0] != hashes[1]
    wanted = ("evaluate", "worlds", "--model", "copy-view", "--delta", tmp_path / "delta", "--out", tmp_path / "out")
    assert "copy-view is a baseline and has no weights" in fails(capsys, *wanted)


def test_other_weights_are_told_apart(tmp_path: Path) -> None:
    first = tiny_generator()
    first.save_pretrained(tmp_path / "a")
    with torch.no_grad():
        next(first.transformer.parameters()).add_(1e-3)
    first.save_pretrained(tmp_path / "b")
    one, same, other = (find_generator(str(tmp_path / name)).identity["weights"] for name in "aab")
    assert one == same != other


def test_a_reconstruction_model_is_measured(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_model(tmp_path / "small" / "model", ReconModel(tiny_recon()), 1)
    model = tmp_path / "small" / "model"
    run("evaluate", "worlds-recon", "--model", model, "--out", tmp_path / "out", "--scenes", "1", "--no-perceptual")
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (document["settings"]["height"], document["settings"]["width"]) == (32, 32)
    assert 0 <= document["scores"]["small"]["rotation error"]["value"] <= 180
    assert "not_computed" in document["scores"]["nearest input view"]["depth AbsRel"]


def test_a_run_says_what_it_was_trained_on(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert training_size(tmp_path / "model") is None
    size = {"views": 4, "times": 9, "image_size": [64, 64], "fps": 8.0, "arc_deg": [5.0, 35.0]}
    manifest = {"recipe": {"stages": [{"size": {**size, "views": 1}}, {"size": size}]}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert training_size(tmp_path / "model") == GridShape(views=4, frames=9, height=64, width=64, arc_deg=(5.0, 35.0))


def test_a_grid_folder_is_a_truth(tmp_path: Path) -> None:
    frames = torch.rand(3, 3, 3, 16, 20) * torch.linspace(0.5, 1, 3)[:, None, None, None]
    save_grid(tmp_path / "mine", VideoGrid.complete(frames, torch.arange(3.0)), storage="png")
    run("evaluate", "grid", "--data", tmp_path / "mine", "--model", "change-add", "--out", tmp_path / "out")
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(document["scores"]) == ["change-add"], "a baseline is compared with nothing unless it is asked for"
    assert document["scenes"] == ["mine"]
    assert "at least 32 pixels" in json.dumps(document["scores"]["change-add"]["ST-LPIPS (alex)"])
    assert "alexnet" in json.dumps(document["scores"]["change-add"]["LPIPS (AlexNet)"])


def test_wrong_input_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ("--out", tmp_path / "out")
    assert "give their folder with --data" in fails(capsys, "evaluate", "grid", "--model", "copy-view", *out)
    data = ("--data", tmp_path)
    assert "holds none" in fails(capsys, "evaluate", "grid", "--model", "copy-view", *data, *out)
    assert "lacks 9 of 9 scenes" in fails(capsys, "evaluate", "v2-table-2-nvidia", "--model", "copy-view", *data, *out)
    assert "lacks 8 of 8 scenes" in fails(
        capsys, "evaluate", "v2-table-2-nvidia", "--scenes", 8, "--model", "copy-view", *data, *out
    )
    assert "no model 'copy-view'" in fails(capsys, "evaluate", "worlds-recon", "--model", "copy-view", *out)
    assert "needs a reconstruction model" in fails(
        capsys, "evaluate", "v2-table-s6", "--model", "copy-view", "--data", _with_scenes(tmp_path), *out
    )
    tiny_generator("nothing").save_pretrained(tmp_path / "raw")
    assert "random numbers" in fails(capsys, "evaluate", "worlds", "--model", tmp_path / "raw", *out)
    save_model(tmp_path / "rawrecon", ReconModel(tiny_recon()), 0)
    assert "never trained" in fails(capsys, "evaluate", "worlds-recon", "--model", tmp_path / "rawrecon", *out)
    assert "no folder, no hub id" in fails(capsys, "evaluate", "worlds", "--model", "nothing-like-it", *out)


def _with_scenes(folder: Path) -> Path:
    from fourreal.eval.protocols.v2_generation import NVIDIA_SCENES

    for scene in NVIDIA_SCENES:
        (folder / "nvidia" / scene).mkdir(parents=True, exist_ok=True)
    return folder / "nvidia"


def test_a_manifest_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "manifest.json").write_text(json.dumps({"recipe": {"stages": [{"size": {"views": "four"}}]}}))
    with pytest.raises(InputError, match=r"manifest.json: worlds.views: expected a whole number"):
        training_size(tmp_path / "model")
