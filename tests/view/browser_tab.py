"""A headless Chromium tab over the DevTools protocol: open, screenshot, evaluate, and what it asked the network for."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from websockets.sync.client import connect

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--allow-file-access-from-files",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--remote-debugging-port=0",
)


class Tab:
    """One open tab. Events (requests, console messages, exceptions) collect while calls wait for their answers."""

    def __init__(self, address: str) -> None:
        self._socket = connect(address, max_size=None)
        self._last_id = 0
        self.events: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last_id += 1
        self._socket.send(json.dumps({"id": self._last_id, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=60))
            if message.get("id") == self._last_id:
                assert "error" not in message, (method, message["error"])
                return message["result"]
            self.events.append(message)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def screenshot(self) -> np.ndarray:
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, *, control: bool = False) -> None:
        text = {} if control or len(key) > 1 else {"text": key}
        text = {"text": "\r"} if key == "Enter" else text
        code = {"windowsVirtualKeyCode": 13 if key == "Enter" else ord(key.upper())}
        commands = {"commands": ["selectAll"]} if control and key == "a" else {}
        modifiers = 2 if control else 0
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, modifiers=modifiers, **code, **text, **commands)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, modifiers=modifiers, **code)

    def wait_for(self, condition: str, seconds: float = 90.0) -> None:
        """Until a JavaScript expression is true."""
        deadline = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < deadline, f"never true: {condition}"
            time.sleep(0.1)

    @property
    def requests(self) -> list[str]:
        """Every address the page asked for, data and blob ones left out."""
        urls = [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(("data:", "blob:"))]

    @property
    def errors(self) -> list[str]:
        """Uncaught exceptions and console errors."""
        found = []
        for event in self.events:
            parameters = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(str(parameters["exceptionDetails"]))
            elif event.get("method") == "Runtime.consoleAPICalled" and parameters["type"] == "error":
                found.append(" ".join(str(a.get("value", a.get("description"))) for a in parameters["args"]))
        return found


@contextlib.contextmanager
def open_tab(chromium: str, folder: Path, size: tuple[int, int] = (480, 640)) -> Iterator[Tab]:
    """Start a Chromium of its own profile in `folder`, with a window of (height, width)."""
    profile = folder / "profile"
    profile.mkdir(parents=True)
    command = [chromium, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with open(folder / "chromium.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "HOME": str(folder)})
    try:
        tab = Tab(_tab_address(profile, process))
        tab.call("Emulation.setDeviceMetricsOverride", width=size[1], height=size[0], deviceScaleFactor=1, mobile=False)
        yield tab
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tab_address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    port_file = profile / "DevToolsActivePort"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, f"Chromium ended: {(profile.parent / 'chromium.log').read_text()[-800:]}"
        if port_file.is_file() and (lines := port_file.read_text().split("\n")) and lines[0].isdigit():
            with urllib.request.urlopen(f"http://127.0.0.1:{lines[0]}/json/list", timeout=20) as answer:
                pages = [entry for entry in json.load(answer) if entry["type"] == "page"]
            if pages:
                return pages[0]["webSocketDebuggerUrl"]
        time.sleep(0.1)
    raise AssertionError("Chromium gave no DevTools address within 60 s")
