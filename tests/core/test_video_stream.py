"""Frames one by one make the same file as frames at once."""

from __future__ import annotations

import pytest
import torch

from fourreal.core.errors import InputError
from fourreal.core.media import read_clip, write_video, write_video_stream


@pytest.mark.parametrize("quality", ["faithful", "playable"])
def test_a_stream_makes_the_same_file(tmp_path, quality):
    frames = torch.rand(5, 3, 31, 46)
    write_video(tmp_path / "whole.mp4", frames, 10, quality)
    write_video_stream(tmp_path / "stream.mp4", (frame for frame in frames), 10, quality)
    assert (tmp_path / "whole.mp4").read_bytes() == (tmp_path / "stream.mp4").read_bytes()
    assert tuple(read_clip(tmp_path / "stream.mp4").frames.shape[2:]) == (
        (31, 46) if quality == "faithful" else (32, 46)
    )


def test_no_frames_or_a_broken_source_leave_nothing(tmp_path):
    with pytest.raises(InputError, match="at least one frame"):
        write_video_stream(tmp_path / "a.mp4", iter(()), 10)

    def breaks():
        yield torch.rand(3, 16, 16)
        raise RuntimeError("source ended badly")

    with pytest.raises(RuntimeError, match="ended badly"):
        write_video_stream(tmp_path / "a.mp4", breaks(), 10)
    assert list(tmp_path.iterdir()) == []
