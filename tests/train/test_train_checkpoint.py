"""Checkpoints: whole or not at all, in pieces, readable, and never believed when damaged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from train.tiny_runs import ALONE

from fourreal.core.errors import InputError
from fourreal.train.checkpoint import Counters, latest_checkpoint, save_checkpoint

TENSORS = {"model/a": torch.randn(300, 400), "model/b": torch.arange(3), "optimiser/a/step": torch.tensor(7.0)}


def _save(out: Path, step: int, tensors=TENSORS, **options) -> Path:
    return save_checkpoint(out, Counters(step, 1, 2, 3.5), tensors, ALONE, **options)


def test_a_checkpoint_comes_back_to_the_bit(tmp_path):
    _save(tmp_path, 12)
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert found.counters == Counters(12, 1, 2, 3.5)
    for name, tensor in TENSORS.items():
        read = found.read(name)
        assert read.dtype == tensor.dtype
        assert torch.equal(read, tensor)
    assert found.names("optimiser/") == ["a/step"]


def test_pieces_stay_below_their_limit(tmp_path):
    tensors = {f"model/{i}": torch.randn(200, 250) for i in range(12)}  # 200 kB each
    folder = _save(tmp_path, 1, tensors, piece_mb=1)
    pieces = sorted(folder.glob("*.safetensors"))
    assert len(pieces) == 3
    assert all(piece.stat().st_size < 1.01e6 for piece in pieces)
    assert sum(len(load_file(piece)) for piece in pieces) == 12


def test_the_last_few_are_kept(tmp_path):
    for step in range(1, 6):
        _save(tmp_path, step, keep_last=2)
    assert [path.name for path in sorted((tmp_path / "checkpoints").iterdir())] == ["step-00000004", "step-00000005"]


def test_a_kill_while_writing_leaves_the_one_before(tmp_path):
    _save(tmp_path, 1)
    code = (
        "import os, signal, sys, torch\n"
        "from pathlib import Path\n"
        "import fourreal.train.checkpoint as c\n"
        "from fourreal.train.parallel import Processes\n"
        "class Deadly(dict):\n"
        "    def items(self):\n"
        "        yield 'model/a', torch.zeros(1000, 1000)\n"
        "        yield 'model/b', torch.zeros(1000, 1000)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "alone = Processes(0, 1, torch.device('cpu'))\n"
        "c.save_checkpoint(Path(sys.argv[1]), c.Counters(2), Deadly(), alone, piece_mb=1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert found.counters.step == 1
    assert torch.equal(found.read("model/a"), TENSORS["model/a"])


def test_damage_is_told_in_a_sentence(tmp_path):
    folder = _save(tmp_path, 3)
    found = latest_checkpoint(tmp_path)
    assert found is not None
    with pytest.raises(InputError, match="lacks 'model/c'"):
        found.read("model/c")
    piece = next(folder.glob("*.safetensors"))
    piece.write_bytes(piece.read_bytes()[:100])
    with pytest.raises(InputError, match="is damaged"):
        found.read("model/a")
    (folder / "state.json").write_text('{"counters": 3}')
    with pytest.raises(InputError, match="counters"):
        latest_checkpoint(tmp_path)


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    assert latest_checkpoint(tmp_path) is None
