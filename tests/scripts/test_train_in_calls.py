"""Training in calls: timing scales the recipe, calls go on from one another, and the time is kept to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from scripts.test_pack_run import SCRIPTS, script

from fourreal.core.errors import InputError
from fourreal.train.checkpoint import latest_checkpoint

in_calls = script("train_in_calls")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def test_a_stage_is_timed_by_its_own_steps_alone(tmp_path: Path) -> None:
    lines = [
        {"step": 10, "stage": "base", "loss": 2.0, "seconds": 30.0},  # of which most was starting
        {"step": 20, "stage": "base", "loss": 2.0, "seconds": 32.0},
        {"step": 30, "stage": "base", "loss": 2.0, "seconds": 34.0},
        {"step": 40, "stage": "grids", "loss": 1.0, "seconds": 60.0},
        {"step": 40, "stage": "grids", "psnr": 9.0},
        {"step": 50, "stage": "grids", "loss": 1.0, "seconds": 65.0},
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert in_calls.seconds_per_step(tmp_path, ("base", "grids")) == pytest.approx((0.2, 0.5))
    with pytest.raises(InputError, match="no steps of the stage 'full'"):
        in_calls.seconds_per_step(tmp_path, ("base", "full"))


def test_impossible_sessions_are_refused() -> None:
    for wrong in ({"minutes_total": 0.0}, {"minutes_call": -1.0}, {"video_share": 1.0}, {"kinds": ()}):
        with pytest.raises(InputError, match="minutes must be positive"):
            in_calls.Session(**wrong)


@pytest.mark.slow
def test_the_script_trains_both_models_in_calls_and_packs_them(tmp_path: Path) -> None:
    command = ["bash", str(SCRIPTS / "train_on_gpu.sh"), "--device", "cpu", "--recipe", "tiny", "--workers", "0"]
    command += ["--minutes-total", "4", "--minutes-call", "1.5", "--runs", str(tmp_path / "runs")]
    packed: set[str] = set()
    for call in range(8):
        out = tmp_path / f"out{call}"
        out.mkdir()
        given = {**ENVIRONMENT, "OUT": str(out), "PYTHON": sys.executable}
        done = subprocess.run(command, capture_output=True, text=True, env=given, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        files = list(out.iterdir())
        assert len(files) <= 8
        assert all(path.stat().st_size <= 15_000_000 for path in files)
        packed |= {path.name.split(".")[0] for path in files}
        if done.stdout.rstrip().endswith("\nfinished"):
            break
    else:
        raise AssertionError("not finished after 8 calls of 1.5 minutes for 4")
    assert packed == {f"{kind}-{group}" for kind in ("video", "recon") for group in ("logs", "models", "state")}
    for kind in ("video", "recon"):
        found = latest_checkpoint(tmp_path / "runs" / kind)
        assert found is not None
        assert found.counters.step > 0
        assert (tmp_path / "runs" / kind / "model").is_dir()
    again = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert again.stdout.rstrip().endswith("finished"), "a finished session has nothing left to do"
