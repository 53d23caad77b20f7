"""Codecs: causality, lengths, round trips, known cells at the granularity of latents."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLWan
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from fourreal.core.errors import InputError
from fourreal.core.notes import UserNote
from fourreal.video.codec import (
    PixelTubelets,
    WanCodec,
    encode_known,
    frames_of_latents,
    latent_known,
    latent_times,
    load_codec,
    padded_times,
)

SMALL: dict[str, Any] = {"dim_mult": [1, 1, 1, 1], "num_res_blocks": 1, "temperal_downsample": [False, True, True]}


def _wan21() -> WanCodec:
    torch.manual_seed(1)
    statistics: dict[str, Any] = {
        "latents_mean": torch.linspace(-0.5, 0.5, 16).tolist(),
        "latents_std": torch.linspace(0.5, 2, 16).tolist(),
    }
    return WanCodec(AutoencoderKLWan(base_dim=4, z_dim=16, **SMALL, **statistics))


def _wan22() -> WanCodec:
    torch.manual_seed(2)
    sixteen: dict[str, Any] = {"is_residual": True, "in_channels": 12, "out_channels": 12, "patch_size": 2}
    statistics: dict[str, Any] = {"latents_mean": [0.1] * 48, "latents_std": [1.5] * 48}
    vae = AutoencoderKLWan(
        base_dim=8, decoder_base_dim=8, z_dim=48, scale_factor_spatial=16, **sixteen, **SMALL, **statistics
    )
    return WanCodec(vae)


CODECS = {"wan 2.1": _wan21, "wan 2.2": _wan22, "tubelets": PixelTubelets}


@pytest.fixture(scope="module", params=CODECS, ids=lambda name: name.replace(" ", "-"))
def codec(request: pytest.FixtureRequest) -> WanCodec | PixelTubelets:
    return CODECS[request.param]()


def test_shapes_follow_the_strides(codec: WanCodec | PixelTubelets) -> None:
    frames = torch.rand(2, 9, 3, 32, 48)
    latents = codec.encode(frames)
    assert latents.shape == (2, codec.channels, 3, 32 // codec.spatial_stride, 48 // codec.spatial_stride)
    assert codec.decode(latents).shape == frames.shape


def test_first_latent_is_the_first_frame_alone_and_prefixes_are_exact(codec: WanCodec | PixelTubelets) -> None:
    frames = torch.rand(1, 9, 3, 32, 32)
    whole = codec.encode(frames)
    torch.testing.assert_close(codec.encode(frames[:, :1]), whole[:, :, :1], rtol=0, atol=1e-6)
    torch.testing.assert_close(codec.encode(frames[:, :5]), whole[:, :, :2], rtol=0, atol=1e-6)


def test_views_do_not_see_each_other(codec: WanCodec | PixelTubelets) -> None:
    frames = torch.rand(3, 5, 3, 32, 32)
    together = codec.encode(frames)
    for view in range(3):
        torch.testing.assert_close(codec.encode(frames[view : view + 1])[0], together[view], rtol=0, atol=1e-6)


def test_other_lengths_are_padded_cut_back_and_told(codec: WanCodec | PixelTubelets) -> None:
    frames = torch.rand(1, 7, 3, 32, 32)
    with pytest.warns(UserNote, match="7 frames are not 4k \\+ 1"):
        latents = codec.encode(frames)
    held = torch.cat([frames, frames[:, -1:], frames[:, -1:]], dim=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.testing.assert_close(latents, codec.encode(held))
    assert codec.decode(latents, 7).shape == frames.shape


def test_sizes_that_do_not_fit_are_refused_with_the_nearest_that_does(codec: WanCodec | PixelTubelets) -> None:
    with pytest.raises(InputError, match=r"multiples of (8|16).*\(32, 32\)"):
        codec.encode(torch.rand(1, 1, 3, 30, 33))


def test_save_and_load(codec: WanCodec | PixelTubelets, tmp_path: Path) -> None:
    codec.save(tmp_path / "vae")
    frames = torch.rand(1, 5, 3, 32, 32)
    loaded = load_codec(tmp_path / "vae")
    assert torch.equal(loaded.encode(frames), codec.encode(frames))


def test_wan_latents_are_normalised_with_the_checkpoint_statistics() -> None:
    codec = _wan21()
    frames = torch.rand(1, 5, 3, 16, 16)
    raw = codec.vae.encode((frames[0] * 2 - 1).transpose(0, 1)[None]).latent_dist.mode()
    mean, std = (torch.tensor(codec.vae.config[k]).reshape(1, 16, 1, 1, 1) for k in ("latents_mean", "latents_std"))
    torch.testing.assert_close(codec.encode(frames), (raw - mean) / std)
    decoded = codec.vae.decode(raw).sample
    expected = (decoded[0].transpose(0, 1) + 1) / 2
    torch.testing.assert_close(codec.decode(codec.encode(frames))[0], expected, rtol=0, atol=1e-5)


def test_tubelets_are_lossless_and_every_value_is_in_its_place() -> None:
    codec = PixelTubelets()
    frames = torch.rand(2, 9, 3, 16, 24)
    latents = codec.encode(frames)
    torch.testing.assert_close(codec.decode(latents), frames, rtol=0, atol=1e-6)
    # The slow twin: channel (colour, time, y, x) of latent j, cell (r, s) is one pixel of one frame.
    grid = latents.reshape(2, 3, 4, 8, 8, 3, 2, 3)
    for colour, a, b, d, j, row, column in [(0, 3, 0, 7, 1, 1, 2), (2, 0, 5, 1, 2, 0, 0), (1, 2, 7, 7, 0, 1, 1)]:
        time = 0 if j == 0 else 4 * j - 3 + a
        pixel = frames[1, time, colour, 8 * row + b, 8 * column + d]
        torch.testing.assert_close(grid[1, colour, a, b, d, j, row, column], pixel * 2 - 1)


def test_tubelets_average_disagreeing_copies_of_the_first_frame() -> None:
    codec = PixelTubelets()
    latents = codec.encode(torch.full((1, 1, 3, 8, 8), 0.5)).reshape(1, 3, 4, 64)
    latents = latents + torch.tensor([-0.4, 0.0, 0.2, 0.6]).reshape(1, 1, 4, 1)
    torch.testing.assert_close(codec.decode(latents.reshape(1, 768, 1, 1, 1)), torch.full((1, 1, 3, 8, 8), 0.55))


@given(times=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_lengths_and_masks_agree(times: int) -> None:
    assert padded_times(times) == 4 * (latent_times(times) - 1) + 1 >= times
    assert padded_times(times) - times < 4
    known = torch.rand(3, times, generator=torch.Generator().manual_seed(times)) < 0.7
    mask = latent_known(known)
    assert mask.shape == (3, latent_times(times))
    for view in range(3):
        for j in range(mask.shape[1]):
            covered = [0] if j == 0 else [min(f, times - 1) for f in range(4 * j - 3, 4 * j + 1)]
            assert bool(mask[view, j]) == all(bool(known[view, f]) for f in covered)
    frames = frames_of_latents(mask, times)
    assert not (frames & ~known).any()
    assert torch.equal(latent_known(frames), mask)


def test_only_known_cells_are_encoded_and_gaps_are_held(codec: WanCodec | PixelTubelets) -> None:
    frames = torch.rand(3, 9, 3, 32, 32)
    known = torch.zeros(3, 9, dtype=torch.bool)
    known[0] = True  # a whole row
    known[1, 0] = True  # the first column's cell
    known[2, 5:9] = True  # a block that starts late
    known[1, 6] = True  # a lone frame inside a latent: cannot condition
    frames = frames * known[..., None, None, None]
    latents, mask = encode_known(codec, frames, known)
    assert mask.tolist() == [[True] * 3, [True, False, False], [False, False, True]]
    assert not latents.transpose(1, 2)[~mask].any()
    torch.testing.assert_close(latents[0], codec.encode(frames[:1])[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(latents[1, :, 0], codec.encode(frames[1:2, :1])[0, :, 0], rtol=0, atol=1e-6)
    held = frames[2:3].clone()
    held[:, :5] = frames[2, 5]
    torch.testing.assert_close(latents[2, :, 2], codec.encode(held)[0, :, 2], rtol=0, atol=1e-6)


def test_nothing_known_encodes_nothing() -> None:
    latents, mask = encode_known(PixelTubelets(), torch.zeros(2, 6, 3, 8, 8), torch.zeros(2, 6, dtype=torch.bool))
    assert not mask.any()
    assert not latents.any()
    assert latents.shape == (2, 768, 3, 1, 1)


def test_a_damaged_codec_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing"):
        load_codec(tmp_path)
    (tmp_path / "config.json").write_text('{"_class_name": "AutoencoderKL"}')
    with pytest.raises(InputError, match="AutoencoderKL'; expected"):
        load_codec(tmp_path)
    (tmp_path / "config.json").write_text('{"_class_name": "AutoencoderKLWan", "base_dim": 4}')
    with pytest.raises(InputError, match="cannot be loaded"):
        load_codec(tmp_path)


def test_a_vae_with_missing_weights_is_refused(tmp_path: Path) -> None:
    _wan21().save(tmp_path)
    weights = tmp_path / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors.pop("quant_conv.weight")
    save_file(tensors, weights)
    with pytest.raises(InputError, match=r"quant_conv\.weight"):
        load_codec(tmp_path)
    weights.write_bytes(b"cut")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_codec(tmp_path)
