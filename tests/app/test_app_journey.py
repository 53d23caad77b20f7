"""A visit in a real browser: start the app, drop a clip, make the scene, fly through it, take the files, end it."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from job.tiny_jobs import write_clip
from view.browser_tab import Tab, open_tab

from fourreal.app.server import ROOT_PREFIX

PATIENCE_S = 900.0
SMALL_MOVIES = "from fourreal.view import movie; movie.MOVIE_PX = 24; from fourreal.cli.__main__ import main; main()"


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def address(models: Path, tmp_path: Path, temporary: Path) -> Iterator[str]:
    """Where `fourreal app` says it is; ended as a user would, by Ctrl-C."""
    command = [sys.executable, "-c", SMALL_MOVIES, "app", "--port", "0", "--no-open", "--device", "cpu"]
    command += ["--model", str(models / "video"), "--recon", str(models / "recon")]
    environment = {**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    with open(tmp_path / "app.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (said := re.search(r"http://127\.0\.0\.1:\d+", (tmp_path / "app.log").read_text())):
            assert process.poll() is None, (tmp_path / "app.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield said[0]
        assert list(temporary.glob(f"{ROOT_PREFIX}*")), "sessions are not where this test looks for them"
        process.send_signal(signal.SIGINT)
        process.wait(60)
        assert not list(temporary.glob(f"{ROOT_PREFIX}*")), "uploads and results outlived the server"
        assert "Traceback" not in (tmp_path / "app.log").read_text()
    finally:
        process.kill()
        process.wait()


def give(tab: Tab, kind: str, file: Path) -> None:
    root = tab.call("DOM.getDocument")["root"]["nodeId"]
    field = tab.call("DOM.querySelector", nodeId=root, selector=f"#fr-{kind} input[type=file]")["nodeId"]
    tab.call("DOM.setFileInputFiles", nodeId=field, files=[str(file)])


def click(tab: Tab, selector: str) -> None:
    tab.evaluate(f"document.querySelector('{selector}').click()")


def fetched(tab: Tab, name: str) -> bytes:
    """What the download link of that name gives."""
    values = tab.evaluate(
        f"fetch(document.querySelector('a[download=\"{name}\"]').href).then(r => r.arrayBuffer())"
        ".then(b => Array.from(new Uint8Array(b)))"
    )
    return bytes(values)


def check_grid_page(tab: Tab) -> None:
    """Both sliders change the one picture."""
    inside = "document.querySelector('.fr-grid').contentDocument"
    tab.wait_for(f"{inside}.querySelector('#map button[aria-current]')")
    pixels = (
        f"(() => {{ const c = {inside}.querySelector('canvas');"
        " return Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data); })()"
    )
    pictures = {}
    for view, time_index in ((0, 0), (0, 4), (2, 0), (2, 4)):
        for name, value in (("view", view), ("time", time_index)):
            tab.evaluate(
                f"(() => {{ const s = {inside}.querySelector('#{name}'); s.value = {value};"
                " s.dispatchEvent(new Event('input')); })()"
            )
        tab.wait_for(f"{inside}.querySelectorAll('#map button')[{view * 5 + time_index}].hasAttribute('aria-current')")
        time.sleep(0.3)
        pictures[view, time_index] = np.array(tab.evaluate(pixels))
    shown = list(pictures.values())
    assert all(np.abs(a - b).mean() > 1 for i, a in enumerate(shown) for b in shown[:i])
    assert tab.evaluate(f"{inside}.querySelector('#where').textContent").startswith("View 2 at 0.50 s")


@pytest.mark.slow
@pytest.mark.browser
def test_from_a_dropped_clip_to_files_in_hand(chromium: str, address: str, tmp_path: Path) -> None:
    with open_tab(chromium, tmp_path / "browser", (900, 1280)) as tab:
        tab.open(address)
        tab.wait_for("document.querySelector('#fr-run')", PATIENCE_S)
        (tmp_path / "broken.mp4").write_bytes(b"no clip")
        give(tab, "fixed", tmp_path / "broken.mp4")
        tab.wait_for("document.querySelector('#fr-fixed-line .fr-error')")
        assert "broken is no video" in tab.evaluate("document.querySelector('#fr-fixed-line').textContent")
        tab.wait_for("document.querySelector('#fr-fixed input[type=file]')")
        give(tab, "fixed", write_clip(tmp_path / "a <b>clip.mp4"))
        tab.wait_for("document.querySelector('.fr-preview img')?.naturalWidth > 100", PATIENCE_S)
        assert "48 × 40, 12 frames" in tab.evaluate("document.querySelector('#fr-fixed-line').textContent")
        click(tab, "#fr-run")
        tab.wait_for("document.querySelector('.fr-results, #fr-stages .fr-error')", PATIENCE_S)
        assert tab.evaluate("document.querySelector('#fr-stages .fr-error')?.textContent") is None
        assert tab.evaluate("document.querySelectorAll('.fr-stages li.made').length") == 6
        drawn = "[...document.querySelector('.fr-scene').contentDocument.querySelectorAll('canvas')]"
        tab.wait_for(f"{drawn}.some(canvas => canvas.width > 100)", PATIENCE_S)
        # Without a GPU, drawing the scene takes all there is of the browser's time.
        tab.evaluate("document.querySelector('.fr-scene').remove()")
        check_grid_page(tab)
        assert b"<!doctype html>" in fetched(tab, "scene.html")[:200].lower()
        assert fetched(tab, "bullet_time.mp4")[4:8] == b"ftyp"
        names = zipfile.ZipFile(io.BytesIO(fetched(tab, "splats.zip"))).namelist()
        assert names == [f"splats/t{index:03d}.ply" for index in range(5)]
        assert "grid/cameras.json" in zipfile.ZipFile(io.BytesIO(fetched(tab, "grid.zip"))).namelist()
        assert all(url.startswith(address) for url in tab.requests), "the page asked another host for something"
        assert tab.errors == [] or all("computeBoundingSphere" in error for error in tab.errors)
