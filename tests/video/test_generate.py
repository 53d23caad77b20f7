"""Generation: known cells are sacred, references reach the network, every mistake is one sentence."""

from __future__ import annotations

import importlib.util
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_generator import AdditiveOracle, additive_grid, only_trainable, tiny_pixels
from tiny_wan import save_released, text_to_video
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.notes import UserNote
from fourreal.video.codec import latent_known
from fourreal.video.conditioning import FREEZE_TIME, STATIC_SHOT
from fourreal.video.generate import generate
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.guidance import Guidance, choose_guidance, guided
from fourreal.video.model_shape import shape_of
from fourreal.video.rectified_flow import TrainingTimes, draw_sigmas, flow_loss, interpolate
from fourreal.video.settings import GenerationSettings, preset
from fourreal.video.split_time import freeze_time_column
from fourreal.video.transformer import ViewTimeTransformer
from fourreal.video.weights import mark_trained
from fourreal.video.windows import WindowSize

FAST = GenerationSettings(steps=2, device="cpu")


def mask(views: int, times: int, *cells: Any) -> Tensor:
    known = torch.zeros(views, times, dtype=torch.bool)
    for cell in cells:
        known[cell] = True
    return known


@pytest.mark.parametrize("pattern", ["none", "row", "column", "cross"])
def test_known_cells_come_out_bit_identical(pattern: Any) -> None:
    grid = additive_grid(3, 9).with_known(pattern)
    done = generate(tiny_pixels(), grid, settings=FAST)
    assert bool(done.known.all())
    assert torch.equal(done.frames[grid.known], grid.frames[grid.known])
    assert torch.equal(done.seconds, grid.seconds)
    unknown = done.frames[~grid.known]
    assert unknown.min() >= 0
    assert unknown.max() <= 1
    assert unknown.std() > 0.01


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(mask(4, 9, 0, (slice(None), 0)), id="cross"),
        pytest.param(mask(4, 9, 2, (slice(None), 0)), id="another row"),
        pytest.param(mask(4, 9, 1, (slice(None), 3)), id="column at a later time"),
        pytest.param(mask(4, 9, 3, (slice(None), 8)), id="column at the last time"),
        pytest.param(mask(4, 9, 0, (slice(None), slice(1, 5))), id="a block of times"),
        pytest.param(mask(4, 9, (slice(0, 2),), (slice(None), 0)), id="a block of views"),
    ],
)
@pytest.mark.parametrize("sampler", ["euler", "unipc"])
@pytest.mark.filterwarnings("ignore:.*frames are not 4k")
def test_a_network_that_knows_the_truth_gives_the_truth(known: Tensor, sampler: Any) -> None:
    truth = additive_grid(*known.shape)
    done = generate(tiny_pixels(AdditiveOracle), truth.with_known(known), settings=replace(FAST, sampler=sampler))
    torch.testing.assert_close(done.frames, truth.frames, rtol=0, atol=2e-6)


def test_references_are_whole_latents_only_and_the_user_is_told() -> None:
    known = mask(3, 9, 0, (slice(None), 0), (1, 6), (2, slice(5, 8)))
    model = tiny_pixels(AdditiveOracle)
    with pytest.warns(UserNote, match="4 known frames lie in groups of 4"):
        done = generate(model, additive_grid(3, 9).with_known(known), settings=FAST)
    call = model.transformer.calls[0]  # pyright: ignore[reportAttributeAccessIssue]
    assert torch.equal(call["mask"][0], latent_known(known))
    assert torch.equal(done.frames[known], additive_grid(3, 9).frames[known])


def test_known_latents_follow_their_own_straight_path() -> None:
    model = tiny_pixels(AdditiveOracle)
    truth = additive_grid(3, 9)
    generate(model, truth.with_known("cross"), settings=replace(FAST, steps=4))
    calls = model.transformer.calls  # pyright: ignore[reportAttributeAccessIssue]
    clean, start = model.codec.encode(truth.frames)[:, :, 0], calls[0]["latents"][0, :, :, 0]
    for call in calls:
        sigma = float(call["timestep"][0]) / 1000
        torch.testing.assert_close(call["latents"][0, :, :, 0], (1 - sigma) * clean + sigma * start, rtol=0, atol=1e-5)
    assert float(calls[0]["timestep"][0]) == 1000


def test_seeds_decide_the_picture() -> None:
    model, grid = tiny_pixels(), additive_grid(2, 5).with_known("row")
    one = generate(model, grid, settings=FAST).frames
    assert torch.equal(one, generate(model, grid, settings=FAST).frames)
    assert not torch.equal(one, generate(model, grid, settings=replace(FAST, seed=1)).frames)


def test_a_complete_grid_comes_back_at_once() -> None:
    grid = additive_grid(2, 5)
    untrained = tiny_pixels(trained="nothing")
    assert generate(untrained, grid, settings=FAST) is grid


@pytest.mark.parametrize("times", [1, 2, 7])
def test_any_length_is_padded_cut_back_and_told(times: int) -> None:
    truth = additive_grid(2, times)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        done = generate(tiny_pixels(), truth.with_known("row"), settings=FAST)
    assert done.frames.shape == truth.frames.shape
    assert [f"{times} frames" in str(w.message) for w in told] == ([] if times == 1 else [True])


def test_progress_counts_the_steps_of_both_directions() -> None:
    told: list[tuple[int, int]] = []
    known = mask(3, 9, (slice(None), 4))
    grid = additive_grid(3, 9).with_known(known)
    generate(tiny_pixels(), grid, settings=FAST, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(("column", "expected"), [(0, None), (1, 1), (3, 3), (8, 8)])
def test_which_columns_need_both_directions(column: int, expected: int | None) -> None:
    assert freeze_time_column(mask(2, 9, (slice(None), column))) == expected
    block = mask(2, 9, (slice(None), slice(5, 9)))
    assert freeze_time_column(block) is None


def test_offloading_and_number_formats_change_nothing_that_matters() -> None:
    model, grid = tiny_pixels(), additive_grid(2, 5).with_known("cross")
    plain = generate(model, grid, settings=FAST).frames
    for offload in ("parts", "blocks", "none"):
        assert torch.equal(generate(model, grid, settings=replace(FAST, offload=offload)).frames, plain), offload
    mixed = generate(model, grid, settings=replace(FAST, compute_type="bfloat16")).frames
    assert not torch.equal(mixed, plain)
    torch.testing.assert_close(mixed, plain, rtol=0, atol=0.05)


class CountsPasses(ViewTimeTransformer):
    """Answers with the conditions it was given: +1 for text, +10 for references."""

    def forward(self, latents: Tensor, timestep: Tensor, text: Tensor, references=None, reference_mask=None, **_):  # pyright: ignore[reportIncompatibleMethodOverride]
        self.__dict__.setdefault("seen", []).append((bool(text.any()), references is not None))
        return torch.zeros_like(latents)


class Words:
    """A text encoder with two embeddings: something, and nothing."""

    dim, reads_text = 32, True

    def encode(self, prompts: Any) -> Tensor:
        return torch.stack([torch.full((1, 32), float(bool(prompt))) for prompt in prompts])

    def to(self, device: Any) -> Words:
        return self

    def save(self, folder: Path) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("pattern", "settings", "passes"),
    [
        ("cross", {}, [(True, True)]),
        ("row", {}, [(True, True), (False, True)]),
        ("column", {}, [(True, True), (False, True)]),
        ("none", {}, [(True, False), (False, False)]),
        ("cross", {"text_guidance": 3.0}, [(True, True), (False, True)]),
        ("row", {"text_guidance": 1.0, "reference_guidance": 2.0}, [(True, True), (True, False)]),
        ("row", {"text_guidance": 2.0, "reference_guidance": 2.0}, [(True, True), (False, True), (True, False)]),
    ],
)
def test_each_guided_condition_costs_one_pass(pattern: Any, settings: dict, passes: list) -> None:
    model = replace(tiny_pixels(CountsPasses), text_encoder=Words())
    grid = additive_grid(2, 5).with_known(pattern)
    generate(model, grid, "a fox", settings=replace(FAST, steps=1, **settings))
    assert model.transformer.seen == passes  # pyright: ignore[reportAttributeAccessIssue]


def test_guidance_moves_away_from_the_prediction_without_the_condition() -> None:
    values = {(True, True): 7.0, (False, True): 4.0, (True, False): 2.0}

    def predict(text: bool, references: bool) -> Tensor:
        return torch.tensor(values[text, references])

    assert guided(predict, Guidance()) == 7
    assert guided(predict, Guidance(text=3)) == 4 + 3 * (7 - 4)
    assert guided(predict, Guidance(references=3)) == 2 + 3 * (7 - 2)
    assert guided(predict, Guidance(text=0)) == 4
    assert guided(predict, Guidance(text=3, references=2)) == 7 + 2 * 3 + 1 * 5


def test_guidance_is_off_by_default_only_where_it_is_marginal() -> None:
    cross, row = mask(3, 2, 0, (slice(None), 0)), mask(3, 2, 0)
    assert choose_guidance(None, 1.0, prompt="a fox", known=cross).passes == 1
    assert choose_guidance(None, 1.0, prompt="a fox", known=row) == Guidance(text=5.0)
    assert choose_guidance(None, 1.0, prompt=" ", known=row).passes == 1


def test_split_arrangements_tell_each_pass_its_kind_of_scene() -> None:
    class Listens(Words):
        def encode(self, prompts: Any) -> Tensor:
            heard.extend(prompts)
            return super().encode(prompts)

    heard: list[str] = []
    model = replace(tiny_pixels(arrangement="sequential_twice"), text_encoder=Listens())
    generate(model, additive_grid(2, 5).with_known("cross"), "a fox", settings=FAST)
    assert heard == [f"a fox {STATIC_SHOT}", "", f"a fox {FREEZE_TIME}"]


def _broken(value: float) -> type[ViewTimeTransformer]:
    class Broken(ViewTimeTransformer):
        def forward(self, latents: Tensor, timestep: Tensor, text: Tensor, *_, **__):  # pyright: ignore[reportIncompatibleMethodOverride]
            return torch.full_like(latents, value if float(timestep[0]) < 700 else 0.0)

    return Broken


def test_nan_while_sampling_names_the_step() -> None:
    grid = additive_grid(2, 5).with_known("row")
    with pytest.raises(InputError, match="NaN or infinity at step 3 of 4"):
        generate(tiny_pixels(_broken(float("nan"))), grid, settings=replace(FAST, steps=4, shift=1.0))


@pytest.mark.parametrize(
    ("model", "grid", "prompt", "options", "sentence"),
    [
        ({"trained": "nothing"}, (2, 5, 8), "", {}, "the weights are random numbers.*train them first"),
        ({"trained": "video"}, (2, 5, 8), "", {}, "no view-time training.*train them first"),
        ({"trained": "video"}, (1, 5, 8), "", {}, "not trained with given frames"),
        ({}, (2, 5, 12), "", {}, "multiples of 8 pixels"),
        ({}, (2, 89, 8), "", {"window": WindowSize(2, 89)}, "at most 81 frames at a time.*windows of"),
        ({}, (14, 5, 8), "", {"window": WindowSize(14, 5)}, "275 rotary positions and the model has 256.*windows of"),
        ({}, (2, 5, 8), "a fox", {}, "no text encoder.*leave the prompt empty"),
        ({}, (2, 5, 8), "", {"settings": replace(FAST, text_guidance=3.0)}, "text guidance of 3 needs a prompt"),
    ],
)
def test_bad_input_is_one_clear_sentence(model: dict, grid: tuple, prompt: str, options: dict, sentence: str) -> None:
    views, times, size = grid
    known = "column" if views == 1 else "cross"
    with pytest.raises(InputError, match=sentence):
        generate(
            tiny_pixels(**model),
            additive_grid(views, times, size).with_known(known),
            prompt,
            **{"settings": FAST, **options},
        )


def test_reference_guidance_needs_references() -> None:
    with pytest.raises(InputError, match="reference guidance of 2 needs known cells"):
        generate(tiny_pixels(), additive_grid(2, 5).with_known("none"), settings=replace(FAST, reference_guidance=2.0))


@pytest.mark.parametrize(
    "values", [{"steps": 0}, {"shift": -1.0}, {"text_guidance": -1.0}, {"reference_guidance": float("nan")}]
)
def test_impossible_settings_are_refused(values: dict) -> None:
    with pytest.raises(InputError, match="got"):
        GenerationSettings(**values)


def test_presets_are_the_papers_step_counts() -> None:
    assert [preset(steps).steps for steps in (4, 8, 16, 40)] == [4, 8, 16, 40]
    assert preset(4, seed=3).seed == 3
    with pytest.raises(InputError, match="presets are for 4, 8, 16, 40 steps; got 5"):
        preset(5)


def test_untrained_weights_are_allowed_for_speed_work_only_when_asked() -> None:
    grid = additive_grid(2, 5).with_known("row")
    done = generate(tiny_pixels(trained="nothing"), grid, settings=replace(FAST, allow_untrained=True))
    assert bool(done.known.all())


def test_own_folder_round_trip(tmp_path: Path) -> None:
    model, grid = tiny_pixels(), additive_grid(2, 5).with_known("cross")
    model.save_pretrained(tmp_path / "model")
    again = ViewTimeGenerator.from_pretrained(tmp_path / "model")
    assert again.shift == model.shift
    # Rotary tables built twice may differ in the last bit.
    torch.testing.assert_close(
        generate(again, grid, settings=FAST).frames, generate(model, grid, settings=FAST).frames, rtol=0, atol=1e-6
    )
    with pytest.raises(InputError, match="already exists"):
        model.save_pretrained(tmp_path / "model")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_released(text_to_video(), tmp_path_factory.mktemp("hub") / "wan")


def test_the_released_layout_works_offline_end_to_end(released: Path, tmp_path: Path, monkeypatch) -> None:
    """Load as downloaded, refuse without training, then complete a grid, save, reload, and get the same."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = ViewTimeGenerator.from_pretrained(released)
    grid = additive_grid(2, 5, size=16).with_known("cross")
    with pytest.raises(InputError, match="no view-time training"):
        generate(model, grid, "a red ball", settings=FAST)
    alone = generate(model, additive_grid(1, 5, size=16).with_known("none"), "a red ball", settings=FAST)
    assert alone.frames.shape == (1, 5, 3, 16, 16)
    mark_trained(model.transformer, "grid")
    guided_settings = replace(FAST, text_guidance=3.0)
    one = generate(model, grid, "a red ball bounces", settings=guided_settings)
    assert torch.equal(one.frames[grid.known], grid.frames[grid.known])
    other = generate(model, grid, "two foxes run", settings=guided_settings)
    assert not torch.equal(one.frames, other.frames)
    model.save_pretrained(tmp_path / "ours")
    again = ViewTimeGenerator.from_pretrained(tmp_path / "ours")
    torch.testing.assert_close(generate(again, grid, "a red ball bounces", settings=guided_settings).frames, one.frames)


def test_int8_weights_are_smaller_and_nearly_the_same(tmp_path: Path) -> None:
    pytest.importorskip("torchao", reason="torchao is not installed")
    tiny_pixels().save_pretrained(tmp_path / "model")
    exact, small = (
        ViewTimeGenerator.from_pretrained(tmp_path / "model", weight_type=kind) for kind in ("float32", "int8")
    )
    assert shape_of(small).bytes_per_value < 0.6 * shape_of(exact).bytes_per_value
    grid = additive_grid(2, 5).with_known("cross")
    with pytest.raises(InputError, match="int8 weights are not saved"):
        small.save_pretrained(tmp_path / "again")
    ours, theirs = (generate(model, grid, settings=FAST).frames for model in (small, exact))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.05)


def test_int8_without_torchao_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_pixels().save_pretrained(tmp_path / "model")
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torchao" else found(name))
    with pytest.raises(InputError, match=r"fourreal\[int8\]"):
        ViewTimeGenerator.from_pretrained(tmp_path / "model", weight_type="int8")


def test_folders_that_are_not_a_generator_are_refused(released: Path, tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(InputError, match="no folder, no hub id"):
        ViewTimeGenerator.from_pretrained(tmp_path / "nowhere" / "at" / "all")
    other = tmp_path / "other"
    other.mkdir()
    for part in released.iterdir():
        (other / part.name).symlink_to(part)
    (other / "vae").unlink()
    (other / "vae").mkdir()
    (other / "vae" / "config.json").write_text(
        json.dumps({"_class_name": "PixelTubelets", "temporal_stride": 4, "spatial_stride": 8})
    )
    with pytest.raises(InputError, match="latents of 16 channels, the codec has 768"):
        ViewTimeGenerator.from_pretrained(other)
    monkeypatch.setattr("huggingface_hub.snapshot_download", _no_network)
    with pytest.raises(InputError, match=r"cannot download Wan-AI/Wan2\.1-T2V-1\.3B-Diffusers .*hf download"):
        ViewTimeGenerator.from_pretrained("wan2.1-1.3b")


def _no_network(*_: Any, **__: Any) -> str:
    raise ConnectionError("network is unreachable")


def _train_step(model: ViewTimeGenerator, optimizer: torch.optim.Optimizer, generator: torch.Generator) -> float:
    """One step of the recipe: noise everything, give the cross, judge what is left."""
    clean = model.codec.encode(additive_grid(3, 5).frames)[None]
    known = latent_known(mask(3, 5, 0, (slice(None), 0)))[None]
    sigmas = draw_sigmas(1, TrainingTimes(), generator)
    noise = torch.randn(clean.shape, generator=generator)
    text = model.text_encoder.encode([""])
    said = model.transformer(interpolate(clean, noise, sigmas), 1000 * sigmas, text, clean, known)
    loss = flow_loss(said, model.transformer.config["prediction"], clean, noise, sigmas, known)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def test_a_model_trains_saves_reloads_and_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    def optimizer_of(model: ViewTimeGenerator) -> torch.optim.Optimizer:
        return torch.optim.SGD(only_trainable(model.transformer), lr=0.05)

    model, draws = tiny_pixels(), torch.Generator().manual_seed(3)
    optimizer = optimizer_of(model)
    first = _train_step(model, optimizer, draws)
    model.save_pretrained(tmp_path / "step1")
    state = draws.get_state()
    losses = [_train_step(model, optimizer, draws) for _ in range(2)]
    grid = additive_grid(3, 5).with_known("cross")
    here = generate(model, grid, settings=FAST).frames

    again, draws = ViewTimeGenerator.from_pretrained(tmp_path / "step1"), torch.Generator()
    draws.set_state(state)
    optimizer = optimizer_of(again)
    torch.testing.assert_close([_train_step(again, optimizer, draws) for _ in range(2)], losses)
    torch.testing.assert_close(generate(again, grid, settings=FAST).frames, here, rtol=0, atol=1e-6)
    assert first != losses[0]


def test_training_on_one_grid_brings_the_generated_cells_to_it() -> None:
    model, draws, truth = tiny_pixels(), torch.Generator().manual_seed(3), additive_grid(3, 5)
    model.transformer.requires_grad_(True)
    optimizer = torch.optim.AdamW(model.transformer.parameters(), lr=3e-3)
    cross = truth.with_known("cross")

    def error() -> float:
        return float((generate(model, cross, settings=FAST).frames - truth.frames)[~cross.known].square().mean())

    before = error()
    for _ in range(60):
        _train_step(model, optimizer, draws)
    assert error() < 0.1 * before
