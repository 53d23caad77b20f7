"""A terminated server removes what its visitors left, as an interrupted one does."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fourreal.app.server import ROOT_PREFIX


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_server_removes_its_folder(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "fourreal.cli", "app", "--port", "0", "--no-open", "--device", "cpu"]
    environment = os.environ | {"TMPDIR": str(tmp_path), "GRADIO_ANALYTICS_ENABLED": "False"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    assert process.stdout is not None
    lines = []
    # Its first line with an address comes when it listens.
    while process.poll() is None and "http://" not in (line := process.stdout.readline()):
        lines.append(line)
    left = [path for path in tmp_path.iterdir() if path.name.startswith(ROOT_PREFIX)]
    assert process.poll() is None, "".join(lines)
    assert left
    process.send_signal(number)
    process.communicate()
    assert not [path for path in left if path.exists()]
