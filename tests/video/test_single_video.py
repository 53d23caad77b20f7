"""Single videos against diffusers' own Wan pipelines, weights, noise and sigmas alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanImageToVideoPipeline, WanPipeline
from PIL import Image
from tiny_generator import tiny_pixels
from tiny_wan import first_frame_channels, first_frame_pasted, save_released, text_to_video

from fourreal.core.errors import InputError
from fourreal.core.grid_shape import GridShape
from fourreal.video.conditioning import ContextMode, prompt_for
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.rectified_flow import noise_schedule
from fourreal.video.settings import GenerationSettings
from fourreal.video.single_video import VideoRequest, generate_video
from fourreal.video.text_to_grid import text_to_grid
from fourreal.video.weights import mark_trained

STEPS, GUIDANCE = 3, 2.5
SETTINGS = GenerationSettings(steps=STEPS, text_guidance=GUIDANCE, device="cpu", seed=7)
REQUEST = VideoRequest("a red ball bounces", "dynamic", 5, (32, 32))


class OurSigmas(FlowMatchEulerDiscreteScheduler):
    """Euler steps where `flow.noise_schedule` puts them; the stock pipelines cannot be given sigmas."""

    def set_timesteps(self, num_inference_steps=None, device=None, **_) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().set_timesteps(sigmas=self.own_sigmas, device=device)


def scheduler(shift: float) -> OurSigmas:
    made = OurSigmas(shift=1.0)
    made.own_sigmas = noise_schedule(STEPS, shift)[:-1].tolist()
    return made


def stock_video(pipeline: WanPipeline | WanImageToVideoPipeline, shift: float, **inputs: Any) -> torch.Tensor:
    pipeline.scheduler = scheduler(shift)
    pipeline.set_progress_bar_config(disable=True)
    result = pipeline(
        prompt=prompt_for(REQUEST.prompt, "dynamic"),
        negative_prompt="",
        height=32,
        width=32,
        num_frames=5,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        output_type="pt",
        **inputs,
    )
    return result.frames[0]


def noise(channels: int, stride: int) -> torch.Tensor:
    return torch.randn(1, channels, 2, 32 // stride, 32 // stride, generator=torch.Generator().manual_seed(7))


@pytest.fixture(scope="module")
def pictures() -> tuple[torch.Tensor, Image.Image]:
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    return torch.from_numpy(pixels).permute(2, 0, 1) / 255, Image.fromarray(pixels)


def test_text_to_video_equals_the_stock_pipeline(tmp_path: Path) -> None:
    pipeline = text_to_video()
    ours = ViewTimeGenerator.from_pretrained(save_released(pipeline, tmp_path / "wan"))
    assert ours.shift == 3.0
    assert ours.first_frame == "none"
    expected = stock_video(pipeline, 3.0, latents=noise(16, 8))
    torch.testing.assert_close(generate_video(ours, REQUEST, settings=SETTINGS), expected, rtol=0, atol=2e-5)


def test_a_pasted_first_frame_equals_the_stock_ti2v_pipeline(tmp_path: Path, pictures) -> None:
    frame, image = pictures
    pipeline = first_frame_pasted()
    ours = ViewTimeGenerator.from_pretrained(save_released(pipeline, tmp_path / "wan"))
    assert ours.first_frame == "pasted"
    expected = stock_video(pipeline, 5.0, image=image, latents=noise(48, 16))
    video = generate_video(ours, REQUEST, first_frame=frame, settings=SETTINGS)
    torch.testing.assert_close(video[1:], expected[1:], rtol=0, atol=2e-5)
    assert torch.equal(video[0], frame)


def test_first_frame_channels_equal_the_stock_i2v_pipeline(tmp_path: Path, pictures) -> None:
    frame, image = pictures
    pipeline = first_frame_channels()
    ours = ViewTimeGenerator.from_pretrained(save_released(pipeline, tmp_path / "wan"))
    assert ours.first_frame == "channels"
    expected = stock_video(pipeline, 3.0, image=image, latents=noise(16, 8))
    video = generate_video(ours, REQUEST, first_frame=frame, settings=SETTINGS)
    torch.testing.assert_close(video[1:], expected[1:], rtol=0, atol=2e-5)
    assert torch.equal(video[0], frame)
    with pytest.raises(InputError, match="image-to-video only"):
        generate_video(ours, REQUEST, settings=SETTINGS)
    ours.save_pretrained(tmp_path / "saved")
    again = ViewTimeGenerator.from_pretrained(tmp_path / "saved")
    torch.testing.assert_close(generate_video(again, REQUEST, first_frame=frame, settings=SETTINGS), video)


def test_our_own_base_takes_the_first_frame_as_a_reference_and_the_mode_as_a_token() -> None:
    base = tiny_pixels(context_tokens=True, trained="video")
    assert base.first_frame == "reference"
    frame = torch.rand(3, 16, 16)

    def video(mode: ContextMode) -> torch.Tensor:
        return generate_video(base, VideoRequest("", mode, 8, (16, 16)), first_frame=frame, settings=SETTINGS_PLAIN)

    moving, still = video("dynamic"), video("freeze_time")
    assert moving.shape == (8, 3, 16, 16)
    assert torch.equal(moving[0], frame)
    assert torch.equal(still[0], frame)
    assert (moving - still).abs().max() > 1e-3
    assert torch.equal(moving, video("dynamic"))


SETTINGS_PLAIN = GenerationSettings(steps=2, device="cpu")


def test_text_to_grid_with_our_own_base_keeps_both_videos() -> None:
    model, told = tiny_pixels(context_tokens=True), []
    size = GridShape.of(3, 9, (16, 16))
    grid = text_to_grid(model, "", size, settings=SETTINGS_PLAIN, progress=lambda d, n: told.append((d, n)))
    assert grid.frames.shape == (3, 9, 3, 16, 16)
    assert bool(grid.known.all())
    assert grid.fps == pytest.approx(8)
    assert told[-1][0] == told[-1][1]
    row = generate_video(model, VideoRequest("", "dynamic", 9, (16, 16)), settings=SETTINGS_PLAIN)
    assert torch.equal(grid.frames[0], row)


@pytest.mark.parametrize(("views", "frames"), [(1, 5), (3, 1)])
def test_text_to_a_single_row_or_column(views: int, frames: int) -> None:
    model = tiny_pixels(context_tokens=True)
    grid = text_to_grid(model, "", GridShape.of(views, frames, (16, 16)), settings=SETTINGS_PLAIN)
    assert grid.frames.shape[:2] == (views, frames)
    assert bool(grid.known.all())


def test_text_to_grid_through_a_base_that_pastes_and_one_with_channels(tmp_path: Path) -> None:
    model = ViewTimeGenerator.from_pretrained(save_released(text_to_video(), tmp_path / "t2v"))
    mark_trained(model.transformer, "grid")
    for name, pipeline in (("pasted", first_frame_pasted()), ("channels", first_frame_channels())):
        base = ViewTimeGenerator.from_pretrained(save_released(pipeline, tmp_path / name))
        size = GridShape.of(2, 5, (32, 32))
        grid = text_to_grid(model, "two foxes run", size, base=base, settings=SETTINGS_PLAIN)
        assert grid.frames.shape == (2, 5, 3, 32, 32)
        assert bool(grid.known.all())


def test_a_grid_model_makes_no_freeze_time_video(tmp_path: Path) -> None:
    """Trained on grids alone it never went round a given frame; with its delta on a TI2V base it would paste."""
    model = tiny_pixels()
    assert model.first_frame == "reference"
    with pytest.raises(InputError, match=r"this model was not trained to make a freeze-time video.*--base"):
        text_to_grid(model, "", GridShape.of(2, 5, (16, 16)), settings=SETTINGS_PLAIN)
    pastes = ViewTimeGenerator.from_pretrained(save_released(first_frame_pasted(), tmp_path / "ti2v"))
    mark_trained(pastes.transformer, "grid")
    with pytest.raises(InputError, match=r"this model was not trained to make a freeze-time video.*--base"):
        text_to_grid(pastes, "two foxes", GridShape.of(2, 5, (32, 32)), settings=SETTINGS_PLAIN)


def test_a_base_that_cannot_start_from_a_frame_is_refused_before_anything_runs(tmp_path: Path) -> None:
    base = ViewTimeGenerator.from_pretrained(save_released(text_to_video(), tmp_path / "wan"))

    def never(done: int, total: int) -> None:
        raise AssertionError("something was generated")

    with pytest.raises(InputError, match=r"cannot start a video from a given frame.*Wan 2\.2 TI2V"):
        text_to_grid(base, "two foxes", GridShape.of(2, 5, (32, 32)), settings=SETTINGS, progress=never)
    with pytest.raises(InputError, match="cannot start a video from a given frame"):
        generate_video(base, REQUEST, first_frame=torch.rand(3, 32, 32), settings=SETTINGS)
    untrained = tiny_pixels(context_tokens=True, trained="video")
    with pytest.raises(InputError, match="no view-time training"):
        text_to_grid(untrained, "", GridShape.of(2, 5, (16, 16)), settings=SETTINGS_PLAIN, progress=never)
