"""Numba kernels that are compiled once per machine and run by one Python thread at a time.

Four facts about Numba are dealt with here and nowhere else. Its machine code is cached next to
the source, or in the user's cache folder (or NUMBA_CACHE_DIR) where that is read-only; where
nothing is writable it is compiled for each process anew. Its fallback threading layer aborts the
process when two threads start parallel kernels at once, hence a lock. And its thread pool does
not survive a fork, after which a kernel would wait for ever, hence an error instead. And as that
pool starts it takes all cores, for itself and for torch too, whatever torch was told: kernels use
as many threads as torch does, and leave torch's number as it was.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numba
import torch
from numba.core import event

_lock = threading.Lock()
_kernels_ran = False
_forked_after_kernels = False


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` on first use, its `prange` loops in parallel."""
    return _compiled(function, {"contract", "nsz"})


def compiled_with_free_sums(function: Callable[..., Any]) -> Callable[..., Any]:
    """`compiled`, where sums may be taken in any order, so that inner products use the processor's vectors."""
    return _compiled(function, {"contract", "nsz", "reassoc"})


def _compiled(function: Callable[..., Any], arithmetic: set[str]) -> Callable[..., Any]:
    function = inspect.unwrap(function)  # a runtime type checker may have wrapped it; Numba needs the function itself
    options: dict[str, Any] = {"parallel": True, "nogil": True, "error_model": "numpy", "fastmath": arithmetic}
    try:
        return numba.njit(function, cache=True, **options)
    except RuntimeError:  # Numba found no folder that it may write to
        return numba.njit(function, **options)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A part of compiled functions; LLVM leaves no call of it."""
    return numba.njit(inspect.unwrap(function))


@contextlib.contextmanager
def kernels() -> Iterator[None]:
    """Hold this around calls of compiled functions.

    Raises:
        RuntimeError: in a process forked from one that has already rendered.
    """
    global _kernels_ran
    if _forked_after_kernels:
        raise RuntimeError(
            "this process was forked from one that has already rendered on the CPU, and its thread pool did not "
            "survive the fork; start worker processes with the 'spawn' method "
            "(DataLoader: multiprocessing_context='spawn')"
        )
    with _lock, event.install_listener("numba:compile", _Announcement()):
        _kernels_ran = True
        threads = torch.get_num_threads()
        with contextlib.suppress(ValueError):  # NUMBA_NUM_THREADS allows fewer, then it takes those
            numba.set_num_threads(threads)
        torch.set_num_threads(threads)
        yield


class _Announcement(event.Listener):
    """Says, once, why the first picture takes so long. Loading from the cache raises no such event."""

    said = False

    def on_start(self, event: event.Event) -> None:
        if not _Announcement.said:
            _Announcement.said = True
            print("fourreal: compiling for this processor (half a minute, kept for later runs)", file=sys.stderr)

    def on_end(self, event: event.Event) -> None:
        pass


def _after_fork_in_child() -> None:
    global _lock, _forked_after_kernels
    _lock = threading.Lock()  # the parent's may have been held by a thread that does not exist here
    _forked_after_kernels = _kernels_ran


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
