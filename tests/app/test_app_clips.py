"""An upload is what opening it says, whatever it is called; a refused one leaves nothing behind."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from job.tiny_jobs import moving_square, write_clip
from PIL import Image

from fourreal.app.clips import NAME_LENGTH, receive_clip, safe_stem
from fourreal.core.errors import InputError

MB = 1_000_000


def write_as(path: Path, container: str, codec: str, pixels: str = "yuv420p") -> Path:
    frames = (moving_square(4) * 255).byte().permute(0, 2, 3, 1).numpy()
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=8)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pixels
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("container", "codec", "pixels", "suffix"),
    [
        ("mp4", "libx264", "yuv420p", ".mp4"),
        ("mov", "mpeg4", "yuv420p", ".mp4"),
        ("matroska", "mpeg4", "yuv420p", ".mkv"),
        ("avi", "mpeg4", "yuv420p", ".avi"),
        ("gif", "gif", "rgb8", ".gif"),
        ("mpegts", "mpeg2video", "yuv420p", ".ts"),
    ],
)
@pytest.mark.parametrize("name", ["clip.png", "no suffix", "clip.mp4"])
def test_a_clip_is_known_by_what_is_in_it(
    tmp_path: Path, container: str, codec: str, pixels: str, suffix: str, name: str
) -> None:
    upload = write_as(tmp_path / name, container, codec, pixels)
    clip = receive_clip(upload, name, tmp_path / "kept", MB)
    assert clip.path.suffix == suffix
    assert clip.info.count == 4
    assert clip.info.image_size == (40, 48)
    assert not upload.exists()
    assert list((tmp_path / "kept").iterdir()) == [clip.path]


def test_the_next_clip_takes_the_place_of_the_last(tmp_path: Path) -> None:
    receive_clip(write_clip(tmp_path / "one.mp4", 3), "one.mp4", tmp_path / "kept", MB)
    second = receive_clip(write_clip(tmp_path / "two.mp4", 5), "two.mp4", tmp_path / "kept", MB)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [second.name] == ["two.mp4"]


def playlist(folder: Path) -> bytes:
    write_clip(folder / "secret.mp4", 3)
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{folder}/secret.mp4\n#EXT-X-ENDLIST\n".encode()


def concatenation(folder: Path) -> bytes:
    write_clip(folder / "secret.mp4", 3)
    return b"ffconcat version 1.0\nfile secret.mp4\n"


def photo(folder: Path) -> bytes:
    Image.new("RGB", (40, 40), "red").save(folder / "photo.png")
    return (folder / "photo.png").read_bytes()


def sound(folder: Path) -> bytes:
    with wave.open(str(folder / "sound.wav"), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(bytes(16000))
    return (folder / "sound.wav").read_bytes()


def sound_only_mp4(folder: Path) -> bytes:
    with av.open(str(folder / "sound.mp4"), "w") as out:
        stream = out.add_stream("aac", rate=16000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 16000
        out.mux(stream.encode(silence))
        out.mux(stream.encode(None))
    return (folder / "sound.mp4").read_bytes()


def cut_off(folder: Path) -> bytes:
    whole = write_as(folder / "whole.mkv", "matroska", "mpeg4").read_bytes()
    return whole[: len(whole) // 8]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda folder: b"", "no video and no GIF"),
        (lambda folder: b"<html>not a clip</html>" * 100, "no video and no GIF"),
        (lambda folder: bytes(4096), "no video and no GIF"),
        (playlist, "no video and no GIF"),
        (concatenation, "no video and no GIF"),
        (photo, "no video and no GIF"),
        (sound, "no video and no GIF"),
        (sound_only_mp4, "holds no pictures"),
        (cut_off, "truncated|damaged|cannot be|no frames|no video"),
    ],
)
@pytest.mark.parametrize("name", ["clip.mp4", "clip.m3u8"])
def test_what_is_no_clip_is_refused_and_gone(tmp_path: Path, content, sentence: str, name: str) -> None:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (uploads / name).write_bytes(content(uploads))
    with pytest.raises(InputError, match=sentence):
        receive_clip(uploads / name, name, tmp_path / "kept", MB)
    assert not (uploads / name).exists()
    assert not (tmp_path / "kept").exists()


def test_too_large_a_clip_is_refused_and_gone(tmp_path: Path) -> None:
    upload = tmp_path / "big.mp4"
    upload.write_bytes(bytes(3 * MB))
    with pytest.raises(InputError, match="big has 3 MB, more than the 2 MB taken here"):
        receive_clip(upload, "big.mp4", tmp_path / "kept", 2 * MB)
    assert not upload.exists()


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("clip.mp4", "clip"),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\my clip.mov", "my-clip"),
        ("<img src=x onerror=1>.mp4", "img-src-x-onerror-1"),
        ("猫と犬.mp4", "猫と犬"),
        (".hidden", "hidden"),
        ("...", "clip"),
        ("", "clip"),
        ("a" * 300 + ".mp4", "a" * NAME_LENGTH),
    ],
)
def test_names_are_made_harmless(name: str, stem: str) -> None:
    assert safe_stem(name) == stem


@given(st.text())
def test_no_name_leaves_its_folder_or_speaks_html(name: str) -> None:
    stem = safe_stem(name)
    assert 0 < len(stem) <= NAME_LENGTH
    assert not set(stem) & set("/\\.<>&'\"\0\n: ")
