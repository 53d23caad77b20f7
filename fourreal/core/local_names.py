"""Names under which only this machine reaches its own servers."""

from __future__ import annotations

LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
