"""`fourreal run` as a user calls it, with whatever footage comes to hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
import torch
from core.test_media import write_with_av
from job.tiny_jobs import make_quick, moving_square, save_tiny_models, write_clip

from fourreal.cli.__main__ import main
from fourreal.core.media import write_image, write_video
from fourreal.core.progress import set_quiet
from fourreal.files.grid_folder import load_grid


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    make_quick(monkeypatch)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    set_quiet(False)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = save_tiny_models(tmp_path_factory.mktemp("models"))
    return f"--model {folder / 'video'} --recon {folder / 'recon'} --steps 1 --device cpu".split()


def run(*arguments: str | Path) -> None:
    main(["run", *map(str, arguments)])


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one sentence of a run that must not start."""
    with pytest.raises(SystemExit) as stopped:
        run(*arguments)
    said = capsys.readouterr().err.strip()
    assert stopped.value.code == 2, said
    assert "Traceback" not in said
    return said.splitlines()[-1]


def test_a_run_says_what_it_made_and_what_to_do_next(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, out = write_clip(tmp_path / "clip.mp4"), tmp_path / "out"
    run("--fixed", clip, "--out", out, *models)
    said = capsys.readouterr()
    for name in ("preview.png", "grid/", "contact.png", "scene/", "bullet_time.mp4", "scene.html", "fourreal export"):
        assert name in said.out
        if "export" not in name:
            assert (out / name).exists()
    assert "2/5 generate" in said.err
    assert " GB" in said.out
    run("--fixed", clip, "--out", out, *models)
    assert capsys.readouterr().out.count("kept") == 5
    run("--fixed", clip, "--out", out, *models, "--quiet", "--redo", "generate", "--until", "generate")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_phone_videos_of_every_kind_come_in(models: list[str], tmp_path: Path) -> None:
    write_with_av(tmp_path / "ten_bit.mkv", moving_square(), "libx264", "yuv420p10le")
    write_with_av(tmp_path / "a.gif", moving_square(), "gif", "rgb8")
    for number, frame in enumerate(moving_square(5)):
        write_image(tmp_path / "photos" / f"shot{number}.png", frame)
    write_clip(tmp_path / "plain.mp4")
    # A phone stores what its sensor saw, lying on its side, and a display matrix that turns it upright.
    write_video(tmp_path / "sensor.mp4", torch.rot90(moving_square(), -1, dims=(-2, -1)), fps=8)
    data = bytearray((tmp_path / "sensor.mp4").read_bytes())
    start = data.index(b"tkhd") - 4
    end = start + int.from_bytes(data[start : start + 4], "big")
    for place, value in enumerate((0, -1, 0, 1, 0, 0, 0, 0, 1)):
        unit = 1 << 30 if place % 3 == 2 else 1 << 16
        data[end - 44 + 4 * place : end - 40 + 4 * place] = int(value * unit).to_bytes(4, "big", signed=True)
    (tmp_path / "phone.mp4").write_bytes(data)
    inputs = {}
    for name in ("plain.mp4", "phone.mp4", "ten_bit.mkv", "a.gif", "photos"):
        size = ("--size", "16", "32", "--until", "import")
        run("--fixed", tmp_path / name, "--out", tmp_path / f"out_{name}", *models, *size)
        inputs[name] = load_grid(tmp_path / f"out_{name}" / "input").grid.frames[0]
    for name, frames in inputs.items():
        assert frames.shape == (5, 3, 16, 32)
        error = float((frames - inputs["plain.mp4"]).abs().mean())
        assert error < (0.06 if name in ("a.gif", "ten_bit.mkv") else 0.02), f"{name} came in as another picture"


def test_sound_without_a_picture_is_refused(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with av.open(str(tmp_path / "song.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame(format="s16", layout="mono", samples=800)
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    out = ("--out", tmp_path / "out", *models)
    assert "holds no video stream" in refused(capsys, "--fixed", tmp_path / "song.wav", *out)
    assert "give --fixed, --freeze" in refused(capsys, *out)
    assert "--sample brings its own clips" in refused(capsys, "--sample", "--fixed", tmp_path / "song.wav", *out)
    assert "give a base that can: --base" in refused(capsys, "--prompt", "a fox", *out)


def test_missing_weights_say_how_to_get_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fourreal.core.shipped._WEIGHTS", tmp_path)
    clip = write_clip(tmp_path / "clip.mp4")
    said = refused(capsys, "--fixed", clip, "--out", tmp_path / "out")
    assert "fourreal train video --recipe" in said
    assert "no model whose" not in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_says_how_to_go_on(models: list[str], tmp_path: Path, number: signal.Signals) -> None:
    clip, out = write_clip(tmp_path / "clip.mp4"), tmp_path / "out"
    # Enough steps to be stopped in the middle of.
    command = ["run", "--fixed", str(clip), "--out", str(out), *models, "--steps", "200000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "fourreal.cli", *command],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 240
    while not (out / "preview.png").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(number)
    _, said = process.communicate(timeout=240)
    assert process.returncode == 130, said
    assert "stopped; finished stages are kept" in said
    assert f"fourreal {' '.join(command[:3])}" in said
    assert "Traceback" not in said
    run("--fixed", clip, "--out", out, *models, "--until", "generate")
    assert bool(load_grid(out / "grid").grid.known.all())
