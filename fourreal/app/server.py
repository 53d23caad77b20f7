"""The web app's server: the page, the results and nothing else, on this machine unless told otherwise."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fourreal.app.guard import LOCAL_NAMES, Application, Guard
from fourreal.app.queue import JobQueue
from fourreal.app.results import find_result
from fourreal.app.service import Offer, Service
from fourreal.app.sessions import Sessions
from fourreal.core.errors import InputError
from fourreal.core.folder_lock import locked

if TYPE_CHECKING:
    from fastapi import FastAPI

ROOT_PREFIX = "fourreal-app-"
STYLE = Path(__file__).parent / "assets" / "style.css"
UPLOADS, SESSIONS = "uploads", "sessions"
SWEEP_S = 15.0
FORGOTTEN_UPLOAD_S = 900.0
"""An upload is taken out of its folder within moments; one that still lies there after so long was given up."""
PORTS_TRIED = 20


@dataclass(frozen=True)
class ServerOptions:
    """Where the app listens.

    Attributes:
        port: the next free one is taken when it is in use; 0 takes any.
        host: anything but this machine's own names lets others in.
        open_browser: show the page at once.
    """

    port: int = 7860
    host: str = "127.0.0.1"
    open_browser: bool = True

    @property
    def local_only(self) -> bool:
        return self.host in LOCAL_NAMES


def serve(offer: Offer, options: ServerOptions = ServerOptions()) -> None:
    """Serve until interrupted; then stop what runs and remove what was uploaded and made.

    Raises:
        InputError: no free port there, or gradio is not installed.
    """
    _require_gradio()
    import uvicorn

    remove_abandoned(Path(tempfile.gettempdir()))
    with listen(options) as listening, _temporary_root() as root, open_service(offer, root) as service:
        app = Guard(build_app(service, root), root / UPLOADS, options.local_only)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=2, server_header=False
        )
        host, port = options.host, listening.getsockname()[1]
        if not options.local_only:
            print(
                f"fourreal: WARNING: {host} lets everybody who can reach this machine upload clips, use its "
                "processor and see nothing but their own results; there is no password",
                file=sys.stderr,
            )
        url = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"
        print(f"fourreal app: {url} (Ctrl-C ends)", flush=True)
        if options.open_browser:
            webbrowser.open(url)
        uvicorn.Server(config).run(sockets=[listening])


@contextlib.contextmanager
def open_service(offer: Offer, root: Path) -> Iterator[Service]:
    """A service whose sessions live under a folder, swept while the block runs, emptied when it ends."""
    queue, sessions = JobQueue(), Sessions(root / SESSIONS)
    done = threading.Event()

    def sweep() -> None:
        while not done.wait(SWEEP_S):
            sessions.sweep()
            _remove_forgotten_uploads(root / UPLOADS)

    sweeper = threading.Thread(target=sweep, name="fourreal-sweeper", daemon=True)
    sweeper.start()
    try:
        yield Service(offer, sessions, queue)
    finally:
        done.set()
        sessions.close_all()
        queue.close()
        sessions.sweep()
        sweeper.join(1.0)


def build_app(service: Service, root: Path) -> Application:
    """The page and its results as an application, to be put behind a `Guard`."""
    # gradio reads both when it is first used, and knows no other way to be told.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(root / UPLOADS)
    import gradio as gr
    from fastapi import FastAPI

    from fourreal.app.layout import Page
    from fourreal.app.theme import calm_theme

    (root / UPLOADS).mkdir(parents=True, exist_ok=True, mode=0o700)
    app = FastAPI(openapi_url=None)
    _add_results(app, service)
    page = Page(service)
    page.blocks.queue(api_open=False, default_concurrency_limit=8)
    return gr.mount_gradio_app(
        app,
        page.blocks,
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=service.offer.max_upload_mb * 1_000_000,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        theme=calm_theme(),
        css=STYLE.read_text(encoding="utf-8"),
    )


def _add_results(app: FastAPI, service: Service) -> None:
    from fastapi import HTTPException
    from fastapi.responses import FileResponse

    @app.get("/results/{token}/{name}")
    def result(token: str, name: str) -> FileResponse:
        try:
            file = find_result(service.sessions.get(token).folder, name)
        except InputError:
            file = None
        if file is None:
            raise HTTPException(404)
        return FileResponse(file, headers={"Cache-Control": "no-store"})


def remove_abandoned(parent: Path) -> None:
    """Folders of servers that were killed; those of running ones are locked."""
    for folder in parent.glob(f"{ROOT_PREFIX}*"):
        with contextlib.suppress(InputError, OSError):
            if folder.stat().st_uid != os.getuid():
                continue
            with locked(folder):
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _temporary_root() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix=ROOT_PREFIX)).resolve()
    try:
        with locked(root):
            yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def listen(options: ServerOptions) -> socket.socket:
    """A socket bound to the wanted port, or to one of the next.

    Raises:
        InputError: none of them can be had.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    reason: Exception | None = None
    for port in range(options.port, options.port + PORTS_TRIED if options.port else 1):
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((options.host, port))
        except (OSError, OverflowError) as error:
            listening.close()
            reason = error
        else:
            return listening
    raise InputError(f"cannot listen on {options.host}, port {options.port} or the next ({reason}); choose another")


def _remove_forgotten_uploads(folder: Path) -> None:
    old = time.time() - FORGOTTEN_UPLOAD_S
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and path.stat().st_mtime < old:
                path.unlink()


def _require_gradio() -> None:
    try:
        import gradio  # noqa: F401
    except ImportError:
        raise InputError("the web app needs gradio; install it with `pip install 'fourreal[app]'`") from None
