"""Protects the page from the network: which addresses exist, who may call them, what a page may load.

The toolkit under the page serves far more than this page needs (files by path, a proxy, an API); everything not
listed here does not exist. Pages of other sites can reach a server on this machine through the browser; they are
told apart by the Host and Origin they send. What the page loads comes from here or not at all. And where a page
speaks of files, only uploaded ones can be meant: the toolkit, mounted as it is here, would take any path or URL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fourreal.core.local_names import LOCAL_NAMES

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN_ADDRESSES = re.compile(
    r"/|/config/?|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json"
    r"|/(?:assets|static|svelte)/(?!.*\.\.)[\w./@+-]+"
    r"|/gradio_api/(?:info|upload|upload_progress|queue/join|queue/data|startup-events|cancel|reset|heartbeat/\w+)/?"
    r"|/results/[0-9a-f]{32}/[\w.]+"
)
CALL = "/gradio_api/queue/join"
MOST_CALL_BYTES = 100_000
HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' blob:; "
        b"style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        b"connect-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob: data:; object-src 'none'; "
        b"frame-ancestors 'self'; form-action 'self'; base-uri 'self'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class Guard:
    """Wraps an application.

    Args:
        uploads: where uploaded files are.
        local_only: the server listens on this machine only, so no other host name can be meant.
    """

    def __init__(self, app: Application, uploads: Path, local_only: bool) -> None:
        self._app, self._uploads, self._local_only = app, uploads, local_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            status = self.refusal(scope)
            if status is None and scope["path"].rstrip("/") == CALL:
                body = await _read(receive, MOST_CALL_BYTES)
                if body is None:
                    status = 413
                elif not names_only_uploads(body, self._uploads):
                    status = 403
                else:
                    receive = _replayed(body, receive)
            if status is None:
                await self._app(scope, receive, _with_headers(send))
            else:
                await _refuse(status, send)

    def refusal(self, scope: Scope) -> int | None:
        """The HTTP status to refuse a request with; None lets it pass."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if self._local_only and _host_name(host) not in LOCAL_NAMES:
            return 421
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403
        return None if OPEN_ADDRESSES.fullmatch(scope["path"]) else 404


def names_only_uploads(body: bytes, uploads: Path) -> bool:
    """Whether a call is JSON and every file it speaks of is an uploaded one."""
    try:
        values = [json.loads(body)]
        while values:
            value = values.pop()
            if isinstance(value, list):
                values += value
            elif isinstance(value, dict):
                values += value.values()
                path = value.get("path")
                if path is not None and not Path(path).resolve().is_relative_to(uploads.resolve()):
                    return False
    except (ValueError, TypeError, OSError, RecursionError):
        return False
    return True


async def _read(receive: Receive, most: int) -> bytes | None:
    """The body of a request; None when it is longer than that."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > most:
            return None
        if not message.get("more_body", False):
            return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A body that was read already, once more; after it, what comes next."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiving() -> Any:
        return pending.pop() if pending else await receive()

    return receiving


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _with_headers(send: Send) -> Send:
    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *HEADERS]}
        await send(message)

    return sending


async def _refuse(status: int, send: Send) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b""})
