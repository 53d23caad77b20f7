"""The web app's server: the page, the results and nothing else, on this machine by default."""

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
from pathlib import Path
from typing import TYPE_CHECKING

from fourreal.app.guard import Application, Guard
from fourreal.app.queue import JobQueue
from fourreal.app.results import find_result
from fourreal.app.service import Service
from fourreal.app.sessions import Sessions
from fourreal.app.settings import AppSettings
from fourreal.core.errors import InputError
from fourreal.core.folder_lock import locked

if TYPE_CHECKING:
    from fastapi import FastAPI

ROOT_PREFIX = "fourreal-app-"
STYLE = Path(__file__).parent / "assets" / "style.css"
UPLOADS, SESSIONS = "uploads", "sessions"
SWEEP_S = 15.0
DEFAULTS = AppSettings()
FORGOTTEN_UPLOAD_S = 900.0
"""An upload is moved out of its folder within moments; one that is still there after so long was abandoned."""
PORTS_TRIED = 20


def serve(settings: AppSettings = DEFAULTS) -> None:
    """Serve until interrupted; then stop running jobs and remove uploads and results.

    Raises:
        InputError: no free port there, or gradio is not installed.
    """
    _require_gradio()
    import uvicorn

    remove_abandoned(Path(tempfile.gettempdir()))
    with (
        listen(settings.host, settings.port) as listening,
        _temporary_root() as root,
        open_service(settings, root) as service,
    ):
        app = Guard(build_app(service, root), root / UPLOADS, settings.local_only)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=2, server_header=False
        )
        host, port = settings.host, listening.getsockname()[1]
        if not settings.local_only:
            print(
                f"fourreal: WARNING: {host} lets everybody who can reach this machine upload clips, use its "
                "processor and see nothing but their own results; there is no password",
                file=sys.stderr,
            )
        url = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"
        print(f"fourreal app: {url} (Ctrl-C ends)", flush=True)
        if settings.open:
            webbrowser.open(url)
        uvicorn.Server(config).run(sockets=[listening])


@contextlib.contextmanager
def open_service(settings: AppSettings, root: Path) -> Iterator[Service]:
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
        yield Service(settings, sessions, queue)
    finally:
        done.set()
        sessions.close_all()
        queue.close()
        sessions.sweep()
        sweeper.join(1.0)


def build_app(service: Service, root: Path) -> Application:
    """The page and its results as an application, to be put behind a `Guard`."""
    # gradio reads both on first use and has no other setting for them.
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
        max_file_size=service.settings.max_upload_mb * 1_000_000,
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


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to the wanted port, or to one of the next.

    Raises:
        InputError: none of them is free.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reason: Exception | None = None
    for candidate in range(port, port + PORTS_TRIED if port else 1):
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, candidate))
        except (OSError, OverflowError) as error:
            listening.close()
            reason = error
        else:
            return listening
    raise InputError(f"cannot listen on {host}, port {port} or the next ({reason}); choose another")


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
