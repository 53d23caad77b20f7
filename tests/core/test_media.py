"""Footage of every kind in, mp4 and PNG out, and one clear sentence for what is no footage."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from fourreal.core.errors import InputError
from fourreal.core.media import fit, read_clip, read_image, to_uint8, write_image, write_video


def moving_square(times: int = 9, height: int = 48, width: int = 64) -> torch.Tensor:
    """Smooth background, one square that moves two pixels a frame; no two frames are equal."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    frames = torch.stack([x, y, 1 - x]).repeat(times, 1, 1, 1)
    for time in range(times):
        frames[time, :, 10:20, 4 + 2 * time : 14 + 2 * time] = torch.tensor([1.0, 0.2, 0.0])[:, None, None]
    return frames


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * (a - b).square().mean().log10())


def test_a_faithful_video_keeps_colour_detail(tmp_path: Path) -> None:
    frames = moving_square()
    write_video(tmp_path / "a.mp4", frames, fps=12)
    clip = read_clip(tmp_path / "a.mp4")
    assert psnr(clip.frames, frames) > 38
    torch.testing.assert_close(clip.seconds, torch.arange(9) / 12)


@pytest.mark.parametrize("quality", ["faithful", "playable"])
def test_odd_sizes_are_written(tmp_path: Path, quality) -> None:
    frames = moving_square(height=47, width=63)
    write_video(tmp_path / "a.mp4", frames, fps=8, quality=quality)
    clip = read_clip(tmp_path / "a.mp4")
    assert clip.image_size == ((47, 63) if quality == "faithful" else (48, 64))
    assert psnr(clip.frames[..., :47, :63], frames) > 28


@pytest.mark.parametrize("fps", [29.97, 23.976, 0.5])
def test_uncommon_frame_rates(tmp_path: Path, fps: float) -> None:
    write_video(tmp_path / "a.mp4", moving_square(), fps=fps)
    torch.testing.assert_close(read_clip(tmp_path / "a.mp4").seconds, torch.arange(9) / fps, rtol=1e-3, atol=1e-3)


def test_frames_are_chosen_by_count_and_by_rate(tmp_path: Path) -> None:
    frames = moving_square(times=25)
    write_video(tmp_path / "a.mp4", frames, fps=24)
    even = read_clip(tmp_path / "a.mp4", count=5)
    assert psnr(even.frames, frames[[0, 6, 12, 18, 24]]) > 36
    slow = read_clip(tmp_path / "a.mp4", fps=8, count=4)
    assert psnr(slow.frames, frames[[0, 3, 6, 9]]) > 36
    torch.testing.assert_close(slow.seconds, torch.arange(4) / 8)
    assert len(read_clip(tmp_path / "a.mp4", count=1).frames) == 1
    with pytest.raises(InputError, match="fewer than the 26"):
        read_clip(tmp_path / "a.mp4", count=26)
    with pytest.raises(InputError, match="at least one frame"):
        read_clip(tmp_path / "a.mp4", count=0)
    with pytest.raises(InputError, match="positive"):
        read_clip(tmp_path / "a.mp4", fps=0)


def test_reading_at_a_size_is_reading_then_fitting(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving_square(), fps=8)
    whole = read_clip(tmp_path / "a.mp4").frames
    torch.testing.assert_close(read_clip(tmp_path / "a.mp4", size=(32, 32)).frames, fit(whole, (32, 32)))


def write_with_av(
    path: Path, frames: torch.Tensor, codec: str, pixel_format: str, container: str | None = None
) -> None:
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=Fraction(8))
        stream.height, stream.width = frames.shape[-2:]
        stream.pix_fmt = pixel_format
        for pixels in to_uint8(frames):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pixel_format)))
        out.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p10le"),
        ("a.mov", "mjpeg", "yuvj420p"),
    ],
)
def test_other_containers_and_ten_bit_footage(tmp_path: Path, name: str, codec: str, pixel_format: str) -> None:
    frames = moving_square()
    write_with_av(tmp_path / name, frames, codec, pixel_format)
    clip = read_clip(tmp_path / name)
    assert clip.frames.shape == frames.shape
    assert psnr(clip.frames, frames) > (18 if name.endswith("gif") else 26)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotated_phone_footage_comes_upright(tmp_path: Path, turns: int) -> None:
    """A phone stores the sensor's picture and a display matrix; the viewer must see `upright`."""
    upright = moving_square()
    stored = torch.rot90(upright, -turns, dims=(-2, -1))  # what the sensor saw
    write_video(tmp_path / "plain.mp4", stored, fps=8)
    data = bytearray((tmp_path / "plain.mp4").read_bytes())
    # The track header's matrix is its last 36 bytes before width and height: a, b, u, c, d, v, x, y, w.
    start = data.index(b"tkhd") - 4
    end = start + int.from_bytes(data[start : start + 4], "big")
    cosine, sine = {1: (0, -1), 2: (-1, 0), 3: (0, 1)}[turns]
    matrix = [cosine, sine, 0, -sine, cosine, 0, 0, 0, 1]
    for place, value in enumerate(matrix):
        unit = 1 << 30 if place % 3 == 2 else 1 << 16
        data[end - 44 + 4 * place : end - 40 + 4 * place] = int(value * unit).to_bytes(4, "big", signed=True)
    (tmp_path / "phone.mp4").write_bytes(data)
    clip = read_clip(tmp_path / "phone.mp4")
    assert clip.frames.shape == upright.shape
    assert psnr(clip.frames, upright) > 36


def test_image_folders_are_read_in_natural_order(tmp_path: Path) -> None:
    for index in (10, 2, 1):
        write_image(tmp_path / f"shot{index}.png", torch.full((3, 4, 6), index / 10))
    (tmp_path / "notes.txt").write_text("not an image")
    clip = read_clip(tmp_path, fps=4)
    assert (clip.frames[:, 0, 0, 0] * 10).round().tolist() == [1, 2, 10]
    assert clip.seconds.tolist() == [0, 0.25, 0.5]
    write_image(tmp_path / "shot3.png", torch.zeros(3, 5, 6))
    with pytest.raises(InputError, match="differ in size"):
        read_clip(tmp_path)
    assert read_clip(tmp_path, size=(4, 4)).frames.shape == (4, 3, 4, 4)


def test_images_round_trip_and_transparency_is_white(tmp_path: Path) -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 5, 7))).float() / 255
    write_image(tmp_path / "a.png", image)
    torch.testing.assert_close(read_image(tmp_path / "a.png"), image)
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_image(tmp_path / "clear.png") == 1).all()


def test_photos_are_turned_by_their_exif_tag(tmp_path: Path) -> None:
    picture = Image.fromarray(to_uint8(moving_square(1))[0])
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    picture.save(tmp_path / "photo.jpg", exif=exif, quality=98)
    assert read_image(tmp_path / "photo.jpg").shape == (3, 64, 48)


def sound_only(path: Path) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def test_what_is_no_footage_is_one_sentence(tmp_path: Path) -> None:
    write_video(tmp_path / "good.mp4", moving_square(25, 96, 128), fps=8)
    whole = (tmp_path / "good.mp4").read_bytes()
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("hello there" * 100)
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nxxxx")
    (tmp_path / "nothing").mkdir()
    sound_only(tmp_path / "sound.mp4")
    cases = {
        "absent.mp4": "does not exist",
        "empty.mp4": "cannot be read",
        "text.mp4": "cannot be read",
        "half.mp4": "truncated|cannot be",
        "bad.png": "cannot be read .*expected an image",
        "nothing": "holds no images",
        "sound.mp4": "no video stream",
    }
    for name, says in cases.items():
        with pytest.raises(InputError, match=says) as caught:
            read_clip(tmp_path / name)
        assert name.split(".")[0] in str(caught.value)
        assert "\n" not in str(caught.value)


def test_nothing_half_written_remains(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fps"):
        write_video(tmp_path / "a.mp4", moving_square(), fps=0)
    assert list(tmp_path.iterdir()) == []


def test_an_image_that_claims_an_absurd_size_is_refused(tmp_path: Path) -> None:
    """A few bytes that would unpack to ten gigabytes: 60000 x 60000 pixels, said by the header alone."""
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", b"")]
    body = b"".join(struct.pack(">I", len(b)) + t + b + struct.pack(">I", zlib.crc32(t + b)) for t, b in chunks)
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(InputError, match=r"bomb\.png cannot be read .*expected an image"):
        read_image(tmp_path / "bomb.png")
