"""Readers of real and rendered benchmarks: foreign files in, a `Capture` with OpenCV cameras out.

One format a file, one entry in `readers.READERS`. Nothing is downloaded; `docs/captures.md` says what to fetch, under
which licence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fourreal.core.lazy_names import install_lazy_names

if TYPE_CHECKING:
    from fourreal.data.captures.capture import Capture as Capture
    from fourreal.data.captures.capture import Selection as Selection
    from fourreal.data.captures.readers import READERS as READERS
    from fourreal.data.captures.readers import read_benchmark as read_benchmark
    from fourreal.data.captures.view_folders import OrbitRig as OrbitRig

install_lazy_names(
    __name__,
    {
        "Capture": "fourreal.data.captures.capture",
        "OrbitRig": "fourreal.data.captures.view_folders",
        "READERS": "fourreal.data.captures.readers",
        "Selection": "fourreal.data.captures.capture",
        "read_benchmark": "fourreal.data.captures.readers",
    },
)
