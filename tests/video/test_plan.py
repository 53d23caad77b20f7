"""Plans: counted against real networks, consistent with themselves, and what they propose does fit."""

from __future__ import annotations

import importlib
import weakref
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLWan
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_generator import additive_grid, tiny_pixels
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from fourreal.core.errors import InputError
from fourreal.core.grid_shape import GridShape
from fourreal.video.generate import generate
from fourreal.video.hardware import GPUS, DeviceSpec, device_spec
from fourreal.video.model_shape import WAN_2_1_CODEC, CodecCost, ModelShape, named_shape, shape_of
from fourreal.video.plan import (
    RESERVE,
    choose_offload,
    choose_weight_type,
    format_plan,
    in_weight_type,
    largest_window,
    plan_generation,
)
from fourreal.video.settings import GenerationSettings
from fourreal.video.transformer import ViewTimeTransformer
from fourreal.video.windows import WindowSize

PAPER_GRID = GridShape.of(8, 61, (288, 512))
ROOMY = DeviceSpec("roomy", 10_000, 100)
# The counter knows the attention kernels of GPUs only.
CPU_ATTENTION: Any = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v)
}


@pytest.mark.parametrize(
    ("name", "billions", "tokens", "operations"),
    [
        # Backbone notes: parameters, tokens of 8 x 29 frames at 288x512, operations a pass.
        ("wan2.1-1.3b", 1.419, 36_864, 1.5e14),
        ("wan2.1-14b", 14.288, 36_864, 1.2e15),
        ("wan2.2-ti2v-5b", 5.000, 9_216, 8.9e13),
    ],
)
def test_released_models_have_the_known_numbers(name: str, billions: float, tokens: int, operations: float) -> None:
    shape = named_shape(name)
    plan = plan_generation(shape, GridShape.of(8, 29, (288, 512)), ROOMY)
    assert shape.parameters / 1e9 == pytest.approx(billions, abs=6e-4)
    assert shape.text_parameters / 1e9 == pytest.approx(5.681, abs=1e-3)
    assert plan.tokens == tokens
    assert plan.pass_flops == pytest.approx(operations, rel=0.07)
    assert plan.weights_gb == pytest.approx(2 * billions, rel=1e-3)


def test_the_papers_own_pass_takes_about_its_time() -> None:
    """Table 4: 11.7 s for one pass of an 11B model on an A100, which the estimate must come near."""
    shape = replace(named_shape("paper-11b"), codec=CodecCost(spatial_stride=8))
    plan = plan_generation(shape, PAPER_GRID, GPUS["a100-80gb"], steps=1)
    assert plan.tokens == 73_728
    assert plan.seconds == pytest.approx(11.7, rel=0.4)


def _shape(transformer: ViewTimeTransformer) -> ModelShape:
    return replace(
        named_shape("tiny"),
        width=transformer.config["num_attention_heads"] * transformer.config["attention_head_dim"],
        ffn=transformer.config["ffn_dim"],
        layers=transformer.config["num_layers"],
        text_tokens=7,
        codec=CodecCost(spatial_stride=8, bytes_per_pixel=0),
        bytes_per_value=4,
    )


@pytest.mark.parametrize("arrangement", ["fused", "sequential_twice", "sequential_alternate"])
def test_operations_are_those_that_run(arrangement: Any) -> None:
    sizes: dict[str, Any] = {"num_attention_heads": 2, "attention_head_dim": 64, "ffn_dim": 384, "num_layers": 2}
    model = ViewTimeTransformer(**sizes, text_dim=32, freq_dim=32, arrangement=arrangement, attention="merged")
    shape = replace(_shape(model), arrangement=arrangement)
    for views, times in ((1, 4), (3, 4)):
        latents, text = torch.zeros(1, views, 16, times, 16, 16), torch.zeros(1, 7, 32)
        with FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION) as counter, torch.no_grad():
            model(latents, torch.ones(1), text)
        plan = plan_generation(shape, GridShape.of(views, 4 * times - 3, (128, 128)), ROOMY)
        # The plan leaves out embeddings and the output projection, small in any real model.
        assert plan.pass_flops == pytest.approx(counter.get_total_flops(), rel=0.12), (views, times)


class LiveBytes(TorchDispatchMode):
    """Sums the storages that are alive; the slow twin of the formula for activations."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.peak, self.sizes = 0, 0, {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage()._cdata not in self.sizes:
                storage = tensor.untyped_storage()
                self.sizes[storage._cdata] = storage.nbytes()
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._free, storage._cdata)
        return result

    def _free(self, key: int) -> None:
        self.now -= self.sizes.pop(key, 0)


@pytest.mark.parametrize("ffn", [512, 1536])
def test_activations_are_those_that_are_alive(ffn: int) -> None:
    sizes: dict[str, Any] = {"num_attention_heads": 4, "attention_head_dim": 64, "ffn_dim": ffn, "num_layers": 1}
    model = ViewTimeTransformer(**sizes, text_dim=32, freq_dim=32, attention="merged")
    shape, peaks, planned = _shape(model), [], []
    for times in (2, 6):
        latents, text = torch.zeros(1, 4, 16, times, 16, 16), torch.zeros(1, 7, 32)
        known = torch.ones(1, 4, times, dtype=torch.bool)
        with LiveBytes() as live, torch.no_grad():
            model(latents, torch.ones(1), text, latents, known)
        peaks.append(live.peak)
        planned.append(plan_generation(shape, GridShape.of(4, 4 * times - 3, (128, 128)), ROOMY).activations_gb * 1e9)
    # Differences, because the tracker counts weights as alive, too, once they are read.
    assert planned[1] - planned[0] == pytest.approx(peaks[1] - peaks[0], rel=0.25)


def test_codec_costs_are_those_of_the_released_vae() -> None:
    with torch.device("meta"):
        vae = AutoencoderKLWan()
        clip = torch.empty(1, 3, 5, 32, 32)
    assert sum(p.numel() for p in vae.parameters()) == WAN_2_1_CODEC.parameters
    counts = []
    for frames in (1, 5):
        with FlopCounterMode(display=False) as encoding, torch.no_grad():
            latents = vae.encode(clip[:, :, :frames]).latent_dist.mean
        with FlopCounterMode(display=False) as decoding, torch.no_grad():
            vae.decode(latents)
        counts.append((encoding.get_total_flops(), decoding.get_total_flops()))
    pixels = 4 * 32 * 32
    assert (counts[1][0] - counts[0][0]) / pixels == pytest.approx(WAN_2_1_CODEC.encode_flops, rel=0.05)
    assert (counts[1][1] - counts[0][1]) / pixels == pytest.approx(WAN_2_1_CODEC.decode_flops, rel=0.05)


@given(views=st.integers(1, 12), frames=st.integers(1, 81), height=st.sampled_from([144, 288, 480]))
@settings(max_examples=15, deadline=None)
def test_more_costs_more_and_what_is_proposed_fits(views: int, frames: int, height: int) -> None:
    shape, device = named_shape("wan2.1-14b"), GPUS["rtx-4090"]
    grid = GridShape.of(views, frames, (height, 512))
    plan = plan_generation(shape, grid, device)
    larger = plan_generation(shape, replace(grid, views=views + 1), device)
    assert larger.peak_gb >= plan.peak_gb
    assert larger.seconds > plan.seconds
    peaks = [plan_generation(shape, grid, device, offload=way).peak_gb for way in ("none", "parts", "blocks")]
    assert peaks == sorted(peaks, reverse=True)
    assert plan.fits == (plan.peak_gb <= RESERVE * device.memory_gb)
    for way in ("none", "parts", "blocks"):
        window = largest_window(shape, grid, device, way)
        if window is not None:
            assert plan_generation(shape, window, device, offload=way).fits
            assert window.views <= views
            assert window.frames <= frames


def test_an_impossible_plan_says_why_and_what_would_fit() -> None:
    plan = plan_generation(named_shape("wan2.1-14b"), GridShape.of(8, 61, (480, 832)), GPUS["rtx-4090"])
    with pytest.raises(InputError, match=r"it takes \d+\.\d GB and rtx-4090 has 24 GB; what fits: .*windows of"):
        plan.require()
    text = format_plan(plan)
    assert "does not fit" in text
    assert "would fit" in text
    assert "fits         yes" in format_plan(plan_generation(named_shape("tiny"), PAPER_GRID, ROOMY))


def test_remedies_do_what_they_say() -> None:
    grid = GridShape.of(8, 61, (480, 832))
    plan = plan_generation(named_shape("wan2.1-1.3b"), grid, GPUS["rtx-4090"], offload="none")
    assert plan.remedies[0].startswith("offload 'parts'")
    assert plan_generation(named_shape("wan2.1-1.3b"), grid, GPUS["rtx-4090"], offload="parts").fits
    int8 = replace(named_shape("wan2.1-14b"), bytes_per_value=1)
    small = plan_generation(
        named_shape("wan2.1-14b"), GridShape.of(2, 29, (288, 512)), GPUS["rtx-4090"], offload="none"
    )
    assert any(remedy.startswith("int8 weights and offload") for remedy in small.remedies)
    assert plan_generation(int8, GridShape.of(2, 29, (288, 512)), GPUS["rtx-4090"], offload="parts").fits


def test_reach_is_checked_before_memory() -> None:
    shape = named_shape("wan2.1-1.3b")
    long = plan_generation(shape, GridShape.of(8, 121, (288, 512)), ROOMY)
    assert long.problems == ("it knows at most 81 frames at a time",)
    assert long.remedies == ("windows of 8 views x 81 frames",)
    assert plan_generation(shape, GridShape.of(1, 121, (288, 512)), ROOMY).fits
    wide = plan_generation(shape, GridShape.of(50, 29, (288, 512)), ROOMY)
    assert "1037 rotary positions and the model has 1024" in wide.problems[0]
    odd = plan_generation(shape, GridShape.of(2, 5, (290, 512)), ROOMY)
    assert "multiples of 16 pixels high and wide (for instance 288x512)" in odd.problems[0]


def test_generate_refuses_a_window_with_the_plan_or_finds_one(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("fourreal.video.generate")
    model, grid = tiny_pixels(), additive_grid(6, 17, size=64).with_known("cross")
    settings_ = GenerationSettings(steps=1, device="cpu")
    needs = plan_generation(
        shape_of(model), GridShape.of(6, 17, (64, 64)), DeviceSpec("cpu", 1, 1, is_cpu=True)
    ).peak_gb
    monkeypatch.setattr(module, "memory_gb", lambda device: 0.6 * needs)
    with pytest.raises(
        InputError, match=r"this model cannot generate 6 views x 17 frames of 64x64: it takes .* what fits: windows"
    ):
        generate(model, grid, window=WindowSize(6, 17), settings=settings_)
    assert bool(generate(model, grid, settings=settings_).known.all())
    monkeypatch.setattr(module, "memory_gb", lambda device: 1e-4)
    with pytest.raises(InputError, match="cannot generate 1 views x 5 frames"):
        generate(model, grid, settings=settings_)


def test_devices_by_name_and_by_measurement() -> None:
    assert device_spec("H200").memory_gb == 141
    here = device_spec("cpu")
    assert here.is_cpu
    assert here.tflops > 0
    assert here.memory_gb > 0.5
    with pytest.raises(InputError, match=r"plan for one of rtx-3090.*h200"):
        device_spec("abacus")


def test_unknown_models_are_refused() -> None:
    with pytest.raises(InputError, match=r"'wan9' is no model whose size is known; known are mini, wan2\.1-1\.3b"):
        named_shape("wan9")


def test_a_loaded_model_is_planned_by_its_own_numbers() -> None:
    model = tiny_pixels()
    shape = shape_of(model)
    assert shape.parameters == sum(p.numel() for p in model.transformer.parameters())
    assert shape.bytes_per_value == 4
    assert shape.frame_multiple == 8
    plan = plan_generation(shape, GridShape.of(2, 5, (16, 16)), ROOMY)
    assert plan.tokens == 2 * 2 * 2 * 2


def test_what_is_chosen_is_what_the_plan_says() -> None:
    """The README's hardware table: which format and which offloading `run` takes on a device."""
    expected = {
        ("wan2.1-1.3b", "rtx-4090"): ("bfloat16", "none"),
        ("wan2.1-1.3b", "h200"): ("bfloat16", "none"),
        ("wan2.2-ti2v-5b", "rtx-4090"): ("bfloat16", "parts"),
        ("wan2.2-ti2v-5b", "h200"): ("bfloat16", "none"),
        ("wan2.1-14b", "rtx-4090"): ("bfloat16", "blocks"),
        ("wan2.1-14b", "h200"): ("bfloat16", "none"),
        ("mini", "rtx-4090"): ("float32", "none"),
    }
    for (model, gpu), (weight_type, offload) in expected.items():
        shape, device = named_shape(model), GPUS[gpu]
        assert choose_weight_type(shape, PAPER_GRID, device) == weight_type, (model, gpu)
        chosen = in_weight_type(shape, weight_type)  # pyright: ignore[reportArgumentType]
        plan = plan_generation(chosen, PAPER_GRID if model != "mini" else GridShape.of(4, 9, (64, 64)), device)
        assert plan.offload == offload, (model, gpu)
        assert plan.fits
    laptop = DeviceSpec("laptop", 16, 0.1, is_cpu=True)
    assert choose_weight_type(named_shape("mini"), PAPER_GRID, laptop) == "float32"
    assert choose_weight_type(named_shape("wan2.1-1.3b"), PAPER_GRID, laptop) == "bfloat16"
    assert choose_weight_type(named_shape("wan2.1-1.3b"), PAPER_GRID, ROOMY, "int8") == "int8"
    assert choose_offload(named_shape("wan2.1-14b"), PAPER_GRID, laptop) == "none"


def test_two_experts_count_twice_and_are_there_one_at_a_time() -> None:
    one, two = named_shape("wan2.1-14b"), named_shape("wan2.2-14b")
    grid, device = GridShape.of(8, 29, (288, 512)), GPUS["h200"]
    plans = [plan_generation(shape, grid, device, offload="none") for shape in (one, two)]
    assert plans[1].weights_gb == pytest.approx(57.2, abs=0.1)
    assert plans[1].peak_gb - plans[0].peak_gb == pytest.approx(plans[0].weights_gb)
    assert plans[1].pass_flops == plans[0].pass_flops
    parts = [plan_generation(shape, grid, device, offload="parts").peak_gb for shape in (one, two)]
    assert parts[0] == parts[1]
