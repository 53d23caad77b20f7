"""The sample pair is what its card says."""

from __future__ import annotations

from pathlib import Path

from fourreal.core.media import read_clip
from fourreal.job.request import SAMPLE_CLIPS, SAMPLES
from fourreal.job.sample import write_sample


def test_the_committed_command_makes_the_committed_clips(tmp_path: Path) -> None:
    write_sample(tmp_path)
    assert (tmp_path / "sample.json").read_bytes() == (SAMPLES / "sample.json").read_bytes()
    for path in SAMPLE_CLIPS.values():
        shipped, made = read_clip(path).frames, read_clip(tmp_path / path.name).frames
        # Encoders differ from version to version, the world does not.
        assert float(-10 * (shipped - made).square().mean().clamp(min=1e-9).log10()) > 36
    assert sum(file.stat().st_size for file in SAMPLES.iterdir()) < 1_000_000
